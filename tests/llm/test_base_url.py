"""A server that runs already: what GET /models must show."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from japagen.config.schema import LLM
from japagen.errors import ServerError
from japagen.llm.command import choose_port_base
from japagen.llm.server import serve


class Handler(BaseHTTPRequestHandler):
    content = json.dumps({"data": [{"id": "qwen3:8b", "owned_by": "library"}, {"id": "org/served", "owned_by": "vllm"}]})

    def do_GET(self) -> None:
        status = 404 if self.path != "/v1/models" else 200 if self.headers["Authorization"] == "Bearer right" else 401
        self.send_response(status)
        self.end_headers()
        self.wfile.write(self.content.encode() if status == 200 else b"{}")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("THE_KEY", "right")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # must not be asked for a server on this machine
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def connect(base_url: str, model: str = "org/served", key: str = "THE_KEY") -> tuple[str, str, bool]:
    with serve(LLM(name="x", id=model, base_url=base_url, api_key_env=key), model, None, Path("unused")) as endpoint:
        assert endpoint.failure() is None
        return endpoint.base_url, endpoint.api_key, endpoint.is_vllm


def test_endpoint_of_a_running_server(address: str) -> None:
    assert connect(f"{address}/v1/") == (f"{address}/v1", "right", True)
    assert not Path("unused").exists()


def test_a_model_that_is_not_served_is_named_with_those_that_are(address: str) -> None:
    with pytest.raises(ServerError, match=r"no model llm.id='qwen3:8' \(did you mean 'qwen3:8b'\?\); it serves: qwen3:8b, org/served"):
        connect(f"{address}/v1", "qwen3:8")


def test_a_refused_key_names_its_variable(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WRONG", "wrong")
    with pytest.raises(ServerError, match=r"401: the key in the environment variable WRONG .* was refused"):
        connect(f"{address}/v1", key="WRONG")
    with pytest.raises(ServerError, match=r"401: the key in the environment variable UNSET .* is not set"):
        connect(f"{address}/v1", key="UNSET")


def test_a_wrong_address_is_named(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ServerError, match="404 to GET /models"):
        connect(address)
    with pytest.raises(ServerError, match=r"llm\.base_url=http://127.0.0.1:\d+/v1 can't be reached"):
        connect(f"http://127.0.0.1:{choose_port_base(1)}/v1")
    monkeypatch.setattr(Handler, "content", "[]")
    with pytest.raises(ServerError, match="not as OpenAI-compatible servers do"):
        connect(f"{address}/v1")
