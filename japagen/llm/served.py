"""A server that runs already (`llm.base_url`): what it serves, and whether it can be asked.

`connect` makes the endpoint before work starts. `read_served_revision` is for the client process alone, when it plans: what GET /models
tells of the model beyond its name becomes the LLM's revision, so that two servers with one name are not taken for each other; workers find
it in the plan.
"""

import hashlib
import http.client
import logging
import os
import urllib.error
from dataclasses import replace
from typing import Any

from japagen.config.llm import LLM
from japagen.errors import ServerError, UnreachableError, nearest
from japagen.llm.endpoint import Endpoint
from japagen.llm.habits import MAX_TOKENS, REFUSES_FIELDS

logger = logging.getLogger(__name__)

CONNECT_S = 30.0
PLAN_S = 5.0
"""For GET /models when planning, which goes on without the answer."""
FIRST_ANSWER_S = 300.0
"""For the first reply of a server that may have to load the model."""
PREFIX = "served: "
"""How a revision begins that a server stated."""
ENGINE = "vllm"
_CURE = "give the address up to and with /v1"
_ORIGIN = {"owned_by": "owner", "root": "root", "parent": "parent"}
_NO_ADDRESS = (404, 405, 501)
_SIZE = ("n_params", "size")
"""Of llama.cpp's `meta`: the model's parameters and bytes, which tell quantisations of one model apart."""


def connect(llm: LLM, base_url: str) -> Endpoint:
    """The endpoint at `llm.base_url`, after it showed that it answers, takes our key and has the model. ServerError where it doesn't.

    GET /models is asked first. Servers without it, and models that it does not list, are tried by a request for one token.
    """
    endpoint = Endpoint(base_url, os.environ.get(llm.api_key_env, ""), is_vllm=False)
    where = f"llm.base_url={base_url}"
    try:
        models = _list_models(llm, endpoint, CONNECT_S)
    except _NoModelsError as error:
        _try_chat(llm, endpoint, f"{where} answers {error.status} to GET /models; {_CURE}")
        logger.warning("note: %s answers %d to GET /models, but its chat completions answer: going on", where, error.status)
        return endpoint
    model = _find(llm.id, models)
    if model is None:
        names = [str(one.get("id")) for one in models]
        shown = ", ".join(names[:20]) or "none"
        _try_chat(llm, endpoint, f"{where} has no model llm.id={llm.id!r}{nearest(llm.id, names)}; it serves: {shown}")
        logger.warning("note: %s does not list llm.id=%r, but answers under that name: going on", where, llm.id)
    return replace(endpoint, is_vllm=any(one.get("owned_by") == ENGINE for one in models))


def read_served_revision(llm: LLM) -> str | None:
    """What GET /models tells of the LLM beyond its name, as a short text that stays the same; None where it tells no more.

    UnreachableError where the server gives no answer now.
    """
    assert llm.base_url is not None
    endpoint = Endpoint(llm.base_url.rstrip("/"), os.environ.get(llm.api_key_env, ""))
    try:
        model = _find(llm.id, _list_models(llm, endpoint, PLAN_S))
    except _NoModelsError as error:
        if error.status in _NO_ADDRESS:
            return None
        raise UnreachableError(f"llm.base_url={endpoint.base_url} answers {error.status} to GET /models") from error
    except ServerError as error:
        raise UnreachableError(str(error)) from error
    return None if model is None else _describe(model)


def _describe(model: dict[str, Any]) -> str | None:
    stated = {word: model[name] for name, word in _ORIGIN.items() if isinstance(model.get(name), str)}
    stated = {word: value for word, value in stated.items() if value not in ("", model.get("id"))}
    if stated == {"owner": ENGINE}:  # of all its models alike
        stated = {}
    meta = model.get("meta")
    if isinstance(meta, dict):
        stated |= {name: meta[name] for name in _SIZE if isinstance(meta.get(name), int)}
    parts = [f"{word} {_short(str(value))}" for word, value in stated.items()]
    return f"{PREFIX}{', '.join(parts)}" if parts else None


def _short(value: str) -> str:
    """The value; of a path on the server's disk its last part, with a checksum in place of the rest."""
    if not value.startswith(("/", "~", ".")) and ":\\" not in value:
        return value
    name = value.replace("\\", "/").rstrip("/").rpartition("/")[2]
    return f"{name}#{hashlib.sha256(value.encode()).hexdigest()[:8]}"


def _find(model_id: str, models: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The model of this name; Gemini's address lists its models as models/NAME."""
    return next((model for model in models if model.get("id") in (model_id, f"models/{model_id}")), None)


class _NoModelsError(Exception):
    """The server answers, but not to GET /models."""

    def __init__(self, status: int) -> None:
        self.status = status


def _list_models(llm: LLM, endpoint: Endpoint, timeout_s: float) -> list[dict[str, Any]]:
    where = f"llm.base_url={endpoint.base_url}"
    try:
        answer = endpoint.ask(f"{endpoint.base_url}/models", timeout_s=timeout_s)
        if isinstance(answer, list) and answer:  # Together gives the list alone
            answer = {"data": answer}
        return [model for model in answer["data"] if isinstance(model, dict)]
    except urllib.error.HTTPError as error:
        _check_key(llm, endpoint, error)
        raise _NoModelsError(error.code) from error
    except (OSError, http.client.HTTPException) as error:
        cause = getattr(error, "reason", error)
        raise ServerError(f"{where} can't be reached: {cause}; start that server, or leave llm.base_url out to start vLLM") from error
    except (ValueError, TypeError, KeyError) as error:
        raise ServerError(f"{where} answers GET /models, but not as OpenAI-compatible servers do; {_CURE}") from error


def _check_key(llm: LLM, endpoint: Endpoint, error: urllib.error.HTTPError) -> None:
    """Raises ServerError where the key is refused."""
    if error.code in (401, 403):
        state = "is not set" if not endpoint.api_key else "was refused"
        key = f"the key in the environment variable {llm.api_key_env} (llm.api_key_env names it)"
        raise ServerError(f"llm.base_url={endpoint.base_url} answers {error.code}: {key} {state}") from error


def _try_chat(llm: LLM, endpoint: Endpoint, fault: str) -> None:
    """Asks for a token; raises ServerError(fault) unless the server answers as one that has the model (or is too busy to)."""
    body = {"model": llm.id, "messages": [{"role": "user", "content": "1"}], MAX_TOKENS: 1}
    while True:
        shaped = endpoint.habits.shaped(body)
        try:
            if not isinstance(endpoint.ask(f"{endpoint.base_url}/chat/completions", shaped, FIRST_ANSWER_S), dict):
                raise ServerError(fault)
            return
        except urllib.error.HTTPError as error:
            _check_key(llm, endpoint, error)
            if error.code == 429:
                return
            words = " ".join(error.read(4000).decode("utf-8", "replace").split())
            if error.code not in REFUSES_FIELDS or not endpoint.habits.learn(shaped, words):
                said = f" (to chat completions: {error.code}: {words[:200]})" if words.startswith(("{", "[")) and len(words) > 2 else ""
                raise ServerError(f"{fault}{said}") from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise ServerError(fault) from error
