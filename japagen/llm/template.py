"""Chat templates: which one a server gets, whether a user's file can be used, and whether a model has one at all.

A template decides every prompt, so it is part of what keys are made of: by its text, not its path. All checks read small files only,
before a server starts; with `llm.base_url` the template is that server's own.
"""

import hashlib
import http.client
import json
import logging
from pathlib import Path
from typing import Any

from japagen.config.llm import LLM, PLAIN
from japagen.errors import ConfigError, ServerError
from japagen.hub.models import find_file, lacks_file
from japagen.llm.endpoint import Endpoint
from japagen.prompts import continuation
from japagen.store.files import expand_home

logger = logging.getLogger(__name__)

PLAIN_FILE = Path(__file__).with_name("plain.jinja")
_SPECIAL = ("bos_token", "eos_token", "pad_token", "unk_token")
_SYSTEM, _ASKED, _REPLY = "課題の説明です。", "文を一つ書いてください。", "犬が走る。"
_SAMPLE = [{"role": "user", "content": _ASKED}, {"role": "assistant", "content": _REPLY}, {"role": "user", "content": "もう一つ。"}]


def template_file(llm: LLM) -> Path | None:
    """The file that a server of ours is given; None: the model's own template serves."""
    if llm.chat_template is None:
        return None
    return PLAIN_FILE if llm.continues else expand_home(llm.chat_template).absolute()


def template_identity(llm: LLM, key: str = "llm") -> Any:
    """What keys hold of `llm.chat_template`: a file's checksum, or the form's name and version; None where nothing is set."""
    if llm.chat_template is None:
        return None
    return [PLAIN, continuation.VERSION] if llm.continues else hashlib.sha256(_read(llm, key).encode()).hexdigest()


def check_template(llm: LLM, revision: str, key: str = "llm") -> None:
    """Raises ConfigError where a model of ours has no chat template, or `llm.chat_template` is a file that can't be used."""
    if llm.base_url is not None or llm.continues:
        return
    if llm.chat_template is not None:
        _check_file(llm, revision, key)
    elif _lacks_template(llm, revision, key):
        raise ConfigError(
            f"{key}.id={llm.id!r}: its tokenizer has no chat template, as base models have none, and vLLM refuses chats without; write"
            f" {key}.chat_template=plain shots=5 (prompts that a base model continues), or {key}.chat_template=FILE (a Jinja template)"
        )


def check_served_plain(llm: LLM, endpoint: Endpoint) -> None:
    """Raises ServerError where a vLLM that runs already puts anything but BOS around a turn; other servers can't be asked and pass."""
    if not (llm.continues and endpoint.is_vllm):
        return
    cure = f"start it with --chat-template {PLAIN_FILE}, or leave llm.chat_template out for chats in its own form"
    try:
        bare = endpoint.ask(endpoint.tokenize_url, {"model": llm.id, "prompt": _ASKED, "add_special_tokens": False})["tokens"]
        turn = endpoint.ask(endpoint.tokenize_url, {"model": llm.id, "messages": _SAMPLE[:1]})["tokens"]
    except (OSError, http.client.HTTPException, ValueError, TypeError, KeyError) as error:
        raise ServerError(
            f"llm.chat_template=plain: the server at {endpoint.base_url} gives no tokens of a turn ({error}); {cure}"
        ) from error
    if turn[-len(bare) :] != bare or len(turn) > len(bare) + 1:
        raise ServerError(
            f"llm.chat_template=plain: the server at {endpoint.base_url} writes {len(turn) - len(bare)} tokens around a turn, where BOS is"
            f" one, so it has another template; {cure}"
        )


def _lacks_template(llm: LLM, revision: str, key: str) -> bool:
    """Whether the tokenizer is known to have none; False where code or another tokenizer may bring one."""
    if llm.trust_remote_code or any(argument.startswith("--tokenizer") for argument in llm.server.extra_args):
        return False
    settings = _tokenizer_settings(llm, revision, key)
    others = ("chat_template.jinja", "chat_template.json", "tekken.json")  # the last: Mistral's own, whose library writes chats
    return bool(settings) and not settings.get("chat_template") and all(lacks_file(llm.id, revision, name) for name in others)


def _tokenizer_settings(llm: LLM, revision: str, key: str) -> dict[str, Any]:
    path = find_file(llm.id, revision, "tokenizer_config.json")
    try:
        found = json.loads(path.read_text(encoding="utf-8")) if path is not None else {}
    except (OSError, ValueError) as error:
        raise ConfigError(f"{key}.id={llm.id!r}: {path} can't be read ({error}); get the model's files anew") from error
    return found if isinstance(found, dict) else {}


def _read(llm: LLM, key: str) -> str:
    path = expand_home(str(llm.chat_template))
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{key}.chat_template={llm.chat_template}: the file must be UTF-8 ({error.reason}); save it in UTF-8") from error
    except OSError as error:
        raise ConfigError(
            f"{key}.chat_template={llm.chat_template}: the file can't be read: {error.strerror}; allowed: null (the model's own), plain"
            " (for base models), or the path of a Jinja file"
        ) from error


def _check_file(llm: LLM, revision: str, key: str) -> None:
    """Renders sample chats as vLLM does: a request, and a second one after a reply."""
    where, special = f"{key}.chat_template={llm.chat_template}", _special_tokens(llm, revision, key)
    system = [{"role": "system", "content": _SYSTEM}] if llm.system_role else []
    for chat in (_SAMPLE[:1], _SAMPLE):
        text = _render(_read(llm, key), [*system, *chat], special | llm.chat_template_args, where)
        absent = [message["role"] for message in (*system, *chat) if message["content"] not in text]
        if absent:
            cure = f"; set {key}.system_role=false" if absent == ["system"] else "; print message['content'] for every message"
            raise ConfigError(f"{where} leaves out the {absent[0]} turn of a sample chat{cure}")
        bos = special.get("bos_token")
        if bos and text.lstrip().removeprefix(bos).lstrip().startswith(bos):
            raise ConfigError(f"{where} writes BOS ({bos}) twice at the beginning; write it once: vLLM adds none to a chat")
    if bos and bos not in text:
        logger.warning("%s writes no BOS (%s), and vLLM adds none to a chat; begin the file with {{ bos_token }} where the model needs it",
                       where, bos)  # fmt: skip


def _render(source: str, chat: list[dict[str, str]], variables: dict[str, Any], where: str) -> str:
    """The prompt that a chat becomes, in the environment that transformers gives to chat templates."""
    from jinja2 import TemplateError, TemplateSyntaxError, nodes
    from jinja2.ext import Extension, loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(Extension):
        """{% generation %}…{% endgeneration %}, which marks a reply for training and writes nothing."""

        tags = {"generation"}  # noqa: RUF012

        def parse(self, parser: Any) -> Any:
            line = next(parser.stream).lineno
            return nodes.Scope(parser.parse_statements(("name:endgeneration",), drop_needle=True), lineno=line)

    def refuse(message: str) -> None:
        raise TemplateError(message)

    def to_json(value: Any, **options: Any) -> str:
        return json.dumps(value, ensure_ascii=False, **options)

    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols, Generation])
    environment.filters["tojson"] = to_json
    environment.globals |= {"raise_exception": refuse, "strftime_now": lambda form: form}
    try:
        return environment.from_string(source).render(messages=chat, add_generation_prompt=True, tools=None, documents=None, **variables)
    except TemplateSyntaxError as error:
        raise ConfigError(f"{where}:{error.lineno}: no Jinja template: {error.message}") from error
    except Exception as error:  # a template may raise whatever its expressions do
        roles = ", ".join(message["role"] for message in chat)
        raise ConfigError(
            f"{where} refuses a sample chat ({roles}): {type(error).__name__}: {error}; without a system turn: llm.system_role=false"
        ) from error


def _special_tokens(llm: LLM, revision: str, key: str) -> dict[str, str]:
    """bos_token, eos_token, …: those that the tokenizer names."""
    settings = _tokenizer_settings(llm, revision, key)
    named = {name: settings.get(name) for name in _SPECIAL}
    texts = {name: token.get("content") if isinstance(token, dict) else token for name, token in named.items()}
    return {name: text for name, text in texts.items() if isinstance(text, str)}
