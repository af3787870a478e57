"""A server that knows the gold scores: method=prompting reads them all, in the form in which LLMs write them."""

import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from japagen import gold
from japagen.experiments.result import Result
from launch.execute import execute
from tests.conftest import Compose

SHOWN = re.compile(r"文1: (.*)\n文2: (.*)")


class Oracle(BaseHTTPRequestHandler):
    """Answers a pair with its gold score, in the form `form`."""

    scores: dict[tuple[str, ...], float]
    form: str

    def do_GET(self) -> None:
        self._answer({"data": [{"id": "oracle", "owned_by": "nobody"}]})

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["messages"][-1]["content"]
        shown = SHOWN.search(asked)
        assert shown is not None
        message = {"role": "assistant", "content": self.form.format(self.scores[shown.groups()])}
        usage = {"prompt_tokens": 9, "completion_tokens": 3}
        self._answer({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": usage})

    def _answer(self, content: object) -> None:
        body = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def address() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Oracle) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/v1"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("form", ["{:.1f}", "類似度は{:.1f}です。", "<think>2人と3人、4か。</think>\n5点満点中{:.1f}点"])
def test_gold_scores_in_one_decimal_have_a_spearman_of_one(
    composed: Compose, tmp_path: Path, address: str, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asks = ["task=jsts", "data=sample", "method=prompting", "method.answer=free", "llm.id=oracle", f"llm.base_url={address}", "logger=none"]
    config = composed(*asks, f"store={tmp_path}")
    split = gold.read_eval(config.task, config.data)
    assert split is not None
    monkeypatch.setattr(Oracle, "scores", {example.texts: example.score for example in split.examples}, raising=False)
    monkeypatch.setattr(Oracle, "form", form, raising=False)
    (result,) = execute([config], str(tmp_path / "sweep"))
    assert isinstance(result, Result)
    assert result.num_failed == 0
    assert result.primary is not None
    assert result.primary["value"] == pytest.approx(1.0)
