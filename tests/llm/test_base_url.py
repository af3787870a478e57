"""A server that runs already: what GET /models must show."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from japagen.config.llm import LLM
from japagen.errors import ServerError
from japagen.llm.command import choose_port_base
from japagen.llm.endpoint import Endpoint
from japagen.llm.served import read_served_revision
from japagen.llm.server import serve
from tests.stubs.stub_llm import StubLLM, serving


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


@pytest.fixture
def stub_llm() -> Iterator[StubLLM]:
    with serving(StubLLM(owned_by="somebody")) as stub:
        yield stub


def served(stub: StubLLM, model: str = "stub") -> Endpoint:
    with serve(LLM(name="x", id=model, base_url=stub.base_url), model, None, Path("unused")) as endpoint:
        return endpoint


@pytest.mark.parametrize("status", [404, 405, 500])
def test_a_server_without_models_is_taken_where_it_writes(stub_llm: StubLLM, status: int, caplog: pytest.LogCaptureFixture) -> None:
    stub_llm.models_status = status
    assert not served(stub_llm).is_vllm
    assert f"answers {status} to GET /models, but its chat completions answer" in caplog.text
    assert [body["max_tokens"] for body in stub_llm.bodies] == [1]


def test_a_server_without_models_may_have_habits(stub_llm: StubLLM) -> None:
    stub_llm.models_status = 404
    refusal = {"error": {"message": "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."}}
    stub_llm.refuse = lambda body: (400, refusal) if "max_tokens" in body else None
    assert served(stub_llm).habits.length_field == "max_completion_tokens"


def test_a_server_without_models_must_have_the_model(stub_llm: StubLLM) -> None:
    stub_llm.models_status = 404
    stub_llm.refuse = lambda body: (400, {"error": {"message": "Server is pinned to 'other'"}})
    with pytest.raises(ServerError, match=r"answers 404 to GET /models; give the address up to and with /v1 .*pinned to 'other'"):
        served(stub_llm)


def test_a_model_that_is_not_listed_is_tried(stub_llm: StubLLM, caplog: pytest.LogCaptureFixture) -> None:
    """transformers serve lists the models of its cache, and serves a local folder beside them."""
    served(stub_llm, "/models/mine")
    assert "does not list llm.id='/models/mine', but answers" in caplog.text


@pytest.mark.parametrize(
    ("told", "revision"),
    [
        ({"owned_by": "vllm", "root": "org/model"}, "served: owner vllm, root org/model"),
        (
            {"owned_by": "llamacpp", "meta": {"n_params": 134515008, "size": 91, "n_ctx": 4096}},
            "served: owner llamacpp, n_params 134515008, size 91",
        ),
        ({"owned_by": None, "root": "stub"}, None),
        ({"owned_by": ""}, None),
        ({"owned_by": "vllm", "root": "stub"}, None),
    ],
)
def test_what_models_tells_is_a_revision(stub_llm: StubLLM, told: dict[str, object], revision: str | None) -> None:
    stub_llm.told = told
    assert read_served_revision(LLM(name="x", id="stub", base_url=stub_llm.base_url)) == revision


def test_a_folder_of_the_server_is_told_without_its_path(stub_llm: StubLLM) -> None:
    revisions = []
    for root in ("/home/me/models/a", "/home/you/models/a"):
        stub_llm.told = {"root": root}
        revisions.append(read_served_revision(LLM(name="x", id="stub", base_url=stub_llm.base_url)))
    assert len(set(revisions)) == 2
    assert all(revision is not None and "root a#" in revision and "home" not in revision for revision in revisions)
