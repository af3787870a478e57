"""vLLM's serving benchmark (`vllm bench serve`) over given requests. In: a JSONL of request bodies. Out: what it saves, as ever.

    python benchmarks/vllm_bench.py bodies.jsonl --backend openai-chat --base-url http://127.0.0.1:8000 …

Its custom data set takes a prompt a line, but neither a chat of several turns nor a seed of its own for each request. So its sampling of
requests is replaced, and nothing else: each request's fields are those of one body. Runs by the interpreter that has vLLM; imports nothing
of ours. The measuring is vLLM's.
"""

import json
import sys
from pathlib import Path

from vllm.benchmarks import serve
from vllm.benchmarks.datasets import SampleRequest
from vllm.utils.argparse_utils import FlexibleArgumentParser


def main() -> None:
    """Takes the file's path from the command line and leaves the rest to vLLM."""
    bodies = [json.loads(line) for line in Path(sys.argv.pop(1)).read_text(encoding="utf-8").splitlines()]
    requests = [SampleRequest("", 1, body["max_completion_tokens"], request_overrides=body) for body in bodies]
    serve.get_samples = lambda *_: requests
    parser = FlexibleArgumentParser()
    serve.add_cli_args(parser)
    serve.main(parser.parse_args())


if __name__ == "__main__":
    main()
