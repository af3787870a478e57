"""Chat templates: BOS once, which files are refused, and models that have none."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from japagen.config.llm import LLM, Server
from japagen.errors import ConfigError, ServerError
from japagen.experiments.planning import plan_experiment
from japagen.hub.models import lacks_file
from japagen.llm.command import command
from japagen.llm.context import check_context
from japagen.llm.endpoint import Endpoint
from japagen.llm.template import PLAIN_FILE, check_served_plain, check_template, template_file, template_identity
from japagen.prompts.writing import Message
from tests.conftest import Compose
from tests.stubs import stub_hub

CHAT: list[Message] = [
    {"role": "system", "content": "課題"},
    {"role": "user", "content": "文章："},
    {"role": "assistant", "content": "犬が走る。"},
    {"role": "user", "content": "文章："},
]
TURNS = "{% for message in messages %}[{{ message['role'] }}] {{ message['content'] }}\n{% endfor %}"
OWN = f"{{{{ bos_token }}}}{TURNS}"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model's folder with a tokenizer that adds BOS by itself, and no chat template."""
    from tokenizers import Tokenizer, models, processors

    folder = tmp_path / "model"
    folder.mkdir()
    vocabulary = {"<bos>": 0, "<eos>": 1, "<unk>": 2} | {character: 3 + index for index, character in enumerate("犬が走る。文章：課題\n")}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[], unk_token="<unk>"))
    tokenizer.add_special_tokens(["<bos>", "<eos>"])
    tokenizer.post_processor = processors.TemplateProcessing(single="<bos> $A", special_tokens=[("<bos>", 0)])
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "config.json").write_text("{}", encoding="utf-8")
    name_tokens(folder)
    return folder


def name_tokens(folder: Path, **settings: Any) -> None:
    content = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<bos>", "eos_token": "<eos>"} | settings
    (folder / "tokenizer_config.json").write_text(json.dumps(content), encoding="utf-8")


def llm_of(folder: Path, template: str | None = None, **settings: Any) -> LLM:
    return LLM(name="base", id=str(folder), chat_template=template, **settings)


@pytest.mark.parametrize("bos", ["<bos>", None])
def test_plain_joins_turns_by_line_ends_after_one_bos(model: Path, bos: str | None) -> None:
    from transformers import AutoTokenizer

    name_tokens(model, bos_token=bos)
    tokenizer, source = AutoTokenizer.from_pretrained(model), PLAIN_FILE.read_text(encoding="utf-8")

    def render(chat: list[Message], opens_reply: bool) -> str:
        return str(tokenizer.apply_chat_template(chat, chat_template=source, tokenize=False, add_generation_prompt=opens_reply))

    for opens_reply in (True, False):
        assert render(CHAT, opens_reply) == f"{bos or ''}課題\n文章：犬が走る。\n文章："
        assert render(CHAT[:2], opens_reply) == f"{bos or ''}課題\n文章："
    assert render(CHAT[1:3], False) == f"{bos or ''}文章：犬が走る。\n", "a reply goes on in its heading's line, and closes it"
    ids = tokenizer(render(CHAT, True), add_special_tokens=False)["input_ids"]
    assert ids.count(0) == (1 if bos else 0)


def test_a_server_is_given_the_template(tmp_path: Path) -> None:
    for template, file in (
        (None, None),
        ("plain", PLAIN_FILE),
        ("~/own.jinja", Path.home() / "own.jinja"),
        ("own.jinja", Path.cwd() / "own.jinja"),
    ):
        llm = llm_of(tmp_path, template)
        arguments = command(llm, str(tmp_path), None, "cpu", 8000)
        assert template_file(llm) == file
        assert ("--chat-template" in arguments) == (file is not None)
        assert file is None or arguments[arguments.index("--chat-template") + 1] == str(file)


def test_a_model_without_a_template_is_refused_with_the_line_to_write(model: Path, composed: Compose) -> None:
    wanted = r"llm\.id='.*': its tokenizer has no chat template.* write llm\.chat_template=plain shots=5 \(.*\), or llm\.chat_template=FILE"
    with pytest.raises(ConfigError, match=wanted):
        plan_experiment(composed("task=jcola", f"llm.id={model}"))
    with pytest.raises(ConfigError, match=r"judge\.id='.*': its tokenizer has no chat template.* judge\.chat_template=plain"):
        plan_experiment(composed("task=jcola", "curate.judging=drop", "+llm@judge=demo", f"judge.id={model}"))
    plan_experiment(composed("task=jcola", f"llm.id={model}", "llm.chat_template=plain", "shots=2"))


@pytest.mark.parametrize(
    ("files", "settings"),
    [
        ({"tokenizer_config.json": '{"chat_template": "{{ messages }}"}'}, {}),
        ({"chat_template.jinja": TURNS}, {}),
        ({"chat_template.json": "{}"}, {}),
        ({"tekken.json": "{}"}, {}),
        ({}, {"trust_remote_code": True}),
        ({}, {"server": Server(extra_args=["--tokenizer-mode", "mistral"])}),
        ({}, {"base_url": "http://127.0.0.1:9/v1"}),
    ],
)
def test_a_template_may_come_from_elsewhere(model: Path, files: dict[str, str], settings: dict[str, Any]) -> None:
    for name, content in files.items():
        (model / name).write_text(content, encoding="utf-8")
    check_template(llm_of(model, **settings), "r")


def test_a_model_of_the_hub_without_a_template_is_refused(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    files = {name: (model / name).read_bytes() for name in ("config.json", "tokenizer_config.json", "tokenizer.json")}
    both = {"owner/base": files, "owner/tuned": files | {"chat_template.jinja": TURNS.encode()}}
    with stub_hub.serving(stub_hub.StubHub(both)) as hub, monkeypatch.context() as patch:
        patch.setattr(constants, "ENDPOINT", hub.endpoint)
        patch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", hub.endpoint + "/{repo_id}/resolve/{revision}/{filename}")
        check_template(LLM(name="tuned", id="owner/tuned"), stub_hub.COMMIT)
        with pytest.raises(ConfigError, match="owner/base': its tokenizer has no chat template"):
            check_template(LLM(name="base", id="owner/base"), stub_hub.COMMIT)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert not lacks_file("owner/other", stub_hub.COMMIT, "chat_template.jinja"), "nobody can say"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{% for %}", r"own\.jinja:1: no Jinja template: "),
        (b"\x83\x65", "the file must be UTF-8"),
        ("{{ bos_token }}{{ messages[-1]['content'] }}", "leaves out the system turn of a sample chat; set llm.system_role=false"),
        ("{{ bos_token }}{{ messages[0]['content'] }}", "leaves out the user turn of a sample chat; print message"),
        (f"{{{{ bos_token }}}}{OWN}", r"writes BOS \(<bos>\) twice"),
        ("{{ raise_exception('System role not supported') }}", r"refuses a sample chat \(system, user\): .*System role not supported"),
        ("{{ messages.pop() }}", "refuses a sample chat .*SecurityError"),
        ("{{ messages[7]['content'] + 1 }}", "refuses a sample chat"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(model: Path, tmp_path: Path, content: str | bytes, words: str) -> None:
    file = tmp_path / "own.jinja"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ConfigError, match=rf"llm\.chat_template=.*{words}"):
        check_template(llm_of(model, str(file)), "r")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"judge\.chat_template=.*none\.jinja: the file can't be read: No such .*; allowed: null .*plain"):
        template_identity(llm_of(tmp_path, str(tmp_path / "none.jinja")), "judge")


def test_a_file_that_can_be_used_passes(model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "own.jinja"
    blocks = "{% for m in messages %}{% generation %}{{ m['content'] | tojson }}{% endgeneration %}{% endfor %}{{ strftime_now('%Y') }}"
    for content in (OWN, f"{{{{ bos_token }}}}{blocks}", f"{{{{ bos_token }}}}{{% if thinks %}}{TURNS}{{% endif %}}"):
        file.write_text(content, encoding="utf-8")
        check_template(llm_of(model, str(file), chat_template_args={"thinks": True}), "r")
    name_tokens(model, bos_token={"__type": "AddedToken", "content": "<bos>"})
    assert not caplog.records
    file.write_text(TURNS, encoding="utf-8")
    check_template(llm_of(model, str(file)), "r")
    assert "writes no BOS (<bos>), and vLLM adds none to a chat" in caplog.text


def test_a_template_is_identified_by_its_text(tmp_path: Path) -> None:
    found = []
    for name, text in (("a", "x"), ("b", "x"), ("c", "y")):
        (tmp_path / name).write_text(text, encoding="utf-8")
        found.append(template_identity(llm_of(tmp_path, str(tmp_path / name))))
    assert found[0] == found[1] != found[2]
    assert template_identity(llm_of(tmp_path)) is None
    assert template_identity(llm_of(tmp_path, "plain"))[0] == "plain"


def test_a_plain_prompt_is_measured_with_one_bos(model: Path) -> None:
    prompt: list[Message] = [{"role": "user", "content": "犬が走る。" * 4}]
    llm = llm_of(model, "plain", max_model_len=20 + 2 + 10)
    check_context(llm, "r", [prompt], "jcola", 10)
    with pytest.raises(ConfigError, match="the longest prompt takes about 22 tokens"):
        check_context(llm, "r", [prompt], "jcola", 11)


class Tokenizing(BaseHTTPRequestHandler):
    around: tuple[list[int], list[int]] = ([], [])
    """Token ids before and after a turn; without the first of the latter 404 is answered."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        before, after = self.around if "messages" in body else ([], [])
        text = body["messages"][0]["content"] if "messages" in body else body["prompt"]
        self.send_response(404 if after == [404] else 200)
        self.end_headers()
        self.wfile.write(json.dumps({"tokens": [*before, *map(ord, text), *after]}).encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def address() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Tokenizing) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/v1"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("around", "words"),
    [
        (([], []), ""),
        (([0], []), ""),
        (([0, 0], []), "2 tokens"),
        (([0], [7]), "2 tokens"),
        (([], [7]), "1 tokens"),
        (([], [404]), "gives no tokens"),
    ],
)
def test_a_running_server_must_have_the_plain_template(
    monkeypatch: pytest.MonkeyPatch, address: str, around: tuple[list[int], list[int]], words: str
) -> None:
    monkeypatch.setattr(Tokenizing, "around", around)
    llm = LLM(name="x", id="x", base_url=address, chat_template="plain")
    check_served_plain(LLM(name="x", id="x", base_url=address), Endpoint(address))
    check_served_plain(llm, Endpoint(address, is_vllm=False))
    if not words:
        check_served_plain(llm, Endpoint(address))
        return
    with pytest.raises(ServerError, match=rf"{words}.* start it with --chat-template .*plain\.jinja"):
        check_served_plain(llm, Endpoint(address))
