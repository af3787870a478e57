"""A stub LLM that answers on a socket of this machine, one for each test."""

from collections.abc import Iterator

import pytest

from tests.stubs.stub_llm import StubLLM, serving


@pytest.fixture
def stub_llm(monkeypatch: pytest.MonkeyPatch) -> Iterator[StubLLM]:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # must not be asked for a server on this machine
    with serving(StubLLM()) as stub:
        yield stub
