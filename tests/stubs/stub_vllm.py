"""Stands in for vLLM's API server where a test needs one that fails in a known way, and starts at once.

Its behaviour comes by the environment variable STUB: a folder with a file `mode` (ok, die, die after 0, taken, taken_once, silent,
sick 0, hung 0, mute 0), read at every start and request, where 0 is the first start; it notes its arguments and environment there.
"""

import json
import os
import signal
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

FOLDER = Path(os.environ["STUB"])
START = len(list(FOLDER.glob("start-*")))


def mode() -> str:
    return (FOLDER / "mode").read_text(encoding="utf-8")


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/health":
            status = 503 if mode() == f"sick {START}" else 200
        else:
            status = 200 if self.headers["Authorization"] == f"Bearer {os.environ['VLLM_API_KEY']}" else 401
        if mode() == f"mute {START}":
            signal.pause()
        is_at_work = self.path == "/metrics" and mode() == f"hung {START}"
        content = b'vllm:generation_tokens_total{engine="0"} 7.0\n' if is_at_work else b""
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


def main() -> None:
    note = {"pid": os.getpid(), "arguments": sys.argv[1:], "environment": dict(os.environ)}
    (FOLDER / f"start-{START}.tmp").write_text(json.dumps(note), encoding="utf-8")
    (FOLDER / f"start-{START}.tmp").rename(FOLDER / f"start-{START}")
    # Like an EngineCore whose parent was killed: another session, deaf to SIGTERM.
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(1000)"
    subprocess.Popen([sys.executable, "-S", "-c", code], start_new_session=True)
    now = mode()
    if now == "silent":
        signal.pause()
    if now == "die" or (now == "die after 0" and START > 0):
        error = "(EngineCore pid=7) ERROR 11-21 04:08:08 [core.py:2]"
        print(f'(EngineCore pid=7) INFO 11-21 04:08:07 [core.py:1] loading\n\n{error}   File "x.py"\n{error}     x = 1')
        sys.exit(f"{error} torch.OutOfMemoryError: CUDA out of memory")
    if now == "taken" or (now == "taken_once" and START == 0):
        sys.exit("OSError: [Errno 98] Address already in use")
    port = int(sys.argv[sys.argv.index("--port") + 1])
    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.serve_forever()


main()
