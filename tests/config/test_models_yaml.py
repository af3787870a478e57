"""The shipped LLMs and encoders: what each YAML must say; and encoders whose texts Juman++ splits into words."""

import json
import re
import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from japagen.config.schema import Encoder, Train
from japagen.errors import ConfigError, TrainingError
from japagen.experiments.planning import plan_experiment
from japagen.tasks import Example, Label, Task
from tests.conftest import ROOT, Compose

HOSTED = ["gpt-6-luna"]
LLMS = sorted(path.stem for path in (ROOT / "conf" / "llm").glob("*.yaml") if path.stem not in ("demo", *HOSTED))
ENCODERS = sorted(path.stem for path in (ROOT / "conf" / "model").glob("*.yaml") if path.stem != "demo")
SPLIT = [name for name in ENCODERS if "word_splitter" in (ROOT / "conf" / "model" / f"{name}.yaml").read_text(encoding="utf-8")]
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
OLDER = """
    gemma-3-12b gemma-4-31b gpt-oss-swallow-20b llama-3.1-swallow-8b llm-jp-3.1-1.8b llm-jp-3.1-13b llm-jp-4-32b-a3b-thinking llm-jp-4-8b
    qwen3-0.6b qwen3-32b qwen3-4b qwen3-8b qwen3-swallow-30b-a3b qwen3-swallow-32b qwen3-swallow-8b sarashina2.2-0.5b sarashina2.2-1b
    sarashina2.2-3b tinyswallow-1.5b bert-base-japanese-v3 deberta-v2-base-japanese deberta-v3-base-japanese llm-jp-modernbert-base
    luke-japanese-base-lite mmbert-base mmbert-small modernbert-ja-130m modernbert-ja-30m modernbert-ja-310m modernbert-ja-70m
    roberta-base-japanese xlm-roberta-base xlm-roberta-large
"""
"""YAMLs older than the rule that a YAML says where its id, licence and sampling were read."""
ARCHITECTURES = {
    "qwen3.5-4b": "Qwen3_5ForConditionalGeneration",
    "qwen3.5-9b": "Qwen3_5ForConditionalGeneration",
    "qwen3.6-27b": "Qwen3_5ForConditionalGeneration",
    "qwen3.6-35b-a3b": "Qwen3_5MoeForConditionalGeneration",
    "qwen3.8-27b": "Qwen3_5ForConditionalGeneration",
    "gemma-4-e4b": "Gemma4ForConditionalGeneration",
    "gemma-4-26b-a4b": "Gemma4ForConditionalGeneration",
    "gpt-oss-swallow-20b": "GptOssForCausalLM",
    "gpt-oss-swallow-120b": "GptOssForCausalLM",
    "gemma-3-270m-q4": "Gemma3ForCausalLM",
    "smollm2-135m-instruct-q4": "LlamaForCausalLM",
}
"""`architectures` in the models' config.json, where vLLM or transformers got it lately."""


def stated(group: str, name: str) -> set[str]:
    """The top-level keys that a YAML writes out, so that no default speaks for it."""
    text = (ROOT / "conf" / group / f"{name}.yaml").read_text(encoding="utf-8")
    return {line.partition(":")[0] for line in text.splitlines() if re.match(r"\w+:", line)}


def opening(group: str, name: str) -> str:
    """The comment that a YAML begins with, in one line."""
    text = (ROOT / "conf" / group / f"{name}.yaml").read_text(encoding="utf-8").partition("\nname:")[0]
    return text.replace("\n# ", " ")


def check_id(name: str, model_id: str) -> None:
    """An id of the hub; of dequantised weights a folder, which no hub's id can be taken for."""
    if name.endswith("-q4"):
        assert model_id.startswith("./weights/")
    else:
        assert HUB_ID.fullmatch(model_id)


@pytest.fixture(autouse=True)
def no_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAPAGEN_WEIGHTS", raising=False)


def test_there_is_a_choice() -> None:
    assert len(LLMS) >= 12
    assert len(ENCODERS) >= 10


@pytest.mark.parametrize("name", LLMS)
def test_an_llm_says_what_a_report_and_a_plan_need(composed: Compose, name: str) -> None:
    llm = composed(f"llm={name}", "shots=5").llm
    assert llm.name == name
    check_id(name, llm.id)
    assert stated("llm", name) >= {"revision", "dtype", "max_model_len", "sampling", "gpus", "license", "license_note", "seen", "verified"}
    assert llm.license != "unknown"
    assert llm.price_per_gpu_hour is not None
    assert llm.seen
    assert llm.verified == "never" or re.match(r"20\d\d-\d\d-\d\d, .+", llm.verified)
    assert not llm.demo
    assert llm.sampling.longest <= llm.max_model_len // 2


@pytest.mark.parametrize("name", HOSTED)
def test_a_hosted_llm_says_where_it_is_and_what_its_tokens_cost(composed: Compose, name: str) -> None:
    llm = composed(f"llm={name}", "llm.max_cost=5").llm
    assert llm.name == name
    assert llm.base_url is not None
    assert llm.base_url.startswith("https://")
    assert llm.api_key_env
    assert llm.price_per_gpu_hour is None
    assert llm.token_cost(1e6, 1e6) == pytest.approx(0.6)
    assert stated("llm", name) >= {"license", "license_note", "seen", "verified", "price_per_million_completion_tokens"}
    opening = (ROOT / "conf" / "llm" / f"{name}.yaml").read_text(encoding="utf-8").partition("\nname:")[0]
    assert re.search(r"https://\S+, as of \w+ 20\d\d", opening), "where id and prices were read, and when"


@pytest.mark.parametrize("name", LLMS)
def test_a_license_that_reaches_the_student_says_how(composed: Compose, name: str) -> None:
    llm = composed(f"llm={name}", "shots=5").llm
    owners = [owner for owner in ("Gemma", "Llama") if owner in llm.license]
    assert all(owner in llm.license_note for owner in owners)
    if "Llama" in owners:
        assert "Built with Llama" in llm.license_note
        assert "name" in llm.license_note
    assert owners or llm.license in ("Apache-2.0", "MIT")


@pytest.mark.parametrize("name", LLMS)
def test_thinking_is_off_or_taken_apart(composed: Compose, name: str) -> None:
    llm = composed(f"llm={name}", "shots=5").llm
    parser = llm.reasoning_parser
    if parser and "--reasoning-parser-plugin" not in llm.server.extra_args:
        vllm = find_spec("vllm")
        assert vllm is not None, "vLLM is not installed: make install"
        assert vllm.submodule_search_locations
        registered = (Path(vllm.submodule_search_locations[0]) / "reasoning" / "__init__.py").read_text(encoding="utf-8")
        assert f'"{parser}": (' in registered
    if "think" in name or "gpt-oss" in name:  # they think first whatever they are told
        assert llm.sampling.longest >= 1024
        assert parser or "gpt-oss" in name  # which vLLM takes apart by itself
    elif "qwen3" in name or "gemma-4" in name:
        assert llm.chat_template_args == {"enable_thinking": False}


@pytest.mark.parametrize(("group", "name"), [*(("llm", name) for name in LLMS), *(("model", name) for name in ENCODERS)])
def test_a_yaml_says_where_its_facts_were_read(group: str, name: str) -> None:
    if name not in OLDER.split():
        assert re.search(r"Read in (\w+ )?20\d\d: .*licence.* (on|in) [\w.-]+\.\w+/", opening(group, name))


@pytest.mark.parametrize(
    ("package", "file"), [("vllm", "model_executor/models/registry.py"), ("transformers", "models/auto/modeling_auto.py")]
)
def test_vllm_and_transformers_know_the_architectures(package: str, file: str) -> None:
    found = find_spec(package)
    assert found is not None, f"{package} is not installed: make install"
    assert found.submodule_search_locations
    registered = (Path(found.submodule_search_locations[0]) / file).read_text(encoding="utf-8")
    for name, architecture in ARCHITECTURES.items():
        assert name in LLMS
        assert f'"{architecture}"' in registered


def test_a_q4_name_belongs_to_weights_in_a_folder(composed: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    llm, encoder = "smollm2-135m-instruct-q4", "multilingual-e5-small-q4"
    with pytest.raises(ConfigError, match=rf"llm='{llm}' is weights in a folder.*set JAPAGEN_WEIGHTS to the folder that holds smollm2"):
        plan_experiment(composed(f"llm={llm}"))
    with pytest.raises(ConfigError, match=rf"model='{encoder}' is weights in a folder.*or give model.id=FOLDER"):
        plan_experiment(composed(f"model={encoder}"))
    with pytest.raises(ConfigError, match=r"llm.id='owner/full' is on the hub.*by another name .*name=smollm2-135m-instruct\)"):
        plan_experiment(composed(f"llm={llm}", "llm.id=owner/full"))
    with pytest.raises(ConfigError, match=r"judge.id='owner/full' is on the hub"):
        plan_experiment(composed(f"+llm@judge={llm}", "judge.id=owner/full", "curate.judging=drop"))
    for name, shipped in (("smollm2-135m-instruct", "llm"), (encoder, "encoder")):
        (tmp_path / name).symlink_to(ROOT / "japagen" / "demo" / shipped)
    monkeypatch.setenv("JAPAGEN_WEIGHTS", str(tmp_path))
    found = plan_experiment(composed(f"llm={llm}", f"model={encoder}", "llm.max_model_len=1024", "seed=7")).config
    assert (found.llm.id, found.model.id) == (f"{tmp_path}/smollm2-135m-instruct", f"{tmp_path}/{encoder}")


@pytest.mark.parametrize("name", ENCODERS)
def test_an_encoder_says_what_a_report_needs(composed: Compose, name: str) -> None:
    encoder = composed(f"model={name}").model
    assert encoder.name == name
    check_id(name, encoder.id)
    assert stated("model", name) >= {"revision", "max_length", "learning_rate", "license", "verified"}
    assert encoder.license != "unknown"
    assert encoder.verified == "never" or re.match(r"20\d\d-\d\d-\d\d, .+", encoder.verified)
    assert not encoder.demo
    if "BY-SA" in encoder.license:
        assert "the student carries it on" in opening("model", name)


@pytest.mark.parametrize("name", SPLIT)
def test_without_juman_an_encoder_is_refused_with_the_cure(composed: Compose, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    config = composed(f"model={name}")
    assert config.model.word_splitter == "jumanpp"
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ConfigError) as caught:
        plan_experiment(config)
    for part in (name, "no program jumanpp on PATH", "pip install rhoknp", "ku-nlp/jumanpp/releases", "model=bert-base-japanese-v3"):
        assert part in str(caught.value)


def test_the_other_encoders_need_no_juman(composed: Compose, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert SPLIT
    assert plan_experiment(composed()).config.model.word_splitter == ""


JUMANPP = """#!{python}
import sys
for line in iter(sys.stdin.readline, ""):
    line = line.rstrip("\\n")
    if line.startswith("# "):
        continue
    for part in line.split():
        for start in range(0, len(part), 2):
            word = part[start : start + 2]
            print(word, word, word, "名詞 6 普通名詞 1 * 0 * 0 NIL")
    print("EOS", flush=True)
"""
"""A stand-in for the program: words of two characters, in Juman++'s format."""


class PlainJumanpp:
    """A stand-in for rhoknp.Jumanpp where rhoknp is not installed: it is none of this project's requirements."""

    def __init__(self) -> None:
        import subprocess

        self._process = subprocess.Popen(["jumanpp"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8")

    def apply_to_sentence(self, sentence: str, timeout: int) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{sentence}\n")
        self._process.stdin.flush()
        words = []
        while (line := self._process.stdout.readline()) != "EOS\n":
            if not line:
                raise RuntimeError("Juman++ exited unexpectedly before EOS.")
            words.append(SimpleNamespace(surf=line.split()[0]))
        return SimpleNamespace(morphemes=words)

    apply_to_document = apply_to_sentence

    def __del__(self) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.fixture
def jumanpp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The stand-in program on PATH, and rhoknp: the real one where it is installed."""
    program = tmp_path / "bin" / "jumanpp"
    program.parent.mkdir()
    program.write_text(JUMANPP.format(python=sys.executable), encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    monkeypatch.setenv("PYTHONIOENCODING", "utf-8")
    if find_spec("rhoknp") is None:
        module = ModuleType("rhoknp")
        module.Jumanpp = PlainJumanpp  # type: ignore[attr-defined]
        module.__spec__ = SimpleNamespace()  # type: ignore[assignment]
        monkeypatch.setitem(sys.modules, "rhoknp", module)
    return program


def test_texts_are_split_into_words(jumanpp: Path) -> None:
    from japagen.training.words import split_words

    rows = [("あいうえお", "かき\nくけ"), ("＃こ", ""), ("# 犬", " あいうえお "), ("あいうえお", "#猫がいる")]
    assert split_words(rows) == [("あい うえ お", "かき くけ"), ("＃こ", ""), ("＃ 犬", "あい うえ お"), ("あい うえ お", "＃猫 がい る")]


@pytest.fixture
def word_encoder(tmp_path: Path) -> str:
    """A tiny BERT that knows words of two characters, and takes unsplit text for one unknown word."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    folder = tmp_path / "encoder"
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "いぬ", "ねこ", "とり"]
    backend = Tokenizer(models.WordLevel({name: index for index, name in enumerate(names)}, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    backend.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]", mask_token="[MASK]"
    ).save_pretrained(folder)
    torch.manual_seed(0)
    sizes: dict[str, Any] = {
        "hidden_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "max_position_embeddings": 32,
    }
    BertModel(BertConfig(vocab_size=len(names), initializer_range=0.2, **sizes)).save_pretrained(folder)
    return str(folder)


def test_a_student_of_split_words_splits_by_itself(
    jumanpp: Path, word_encoder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import AutoTokenizer

    from japagen.training.prediction import predict
    from japagen.training.student import train_student

    task = Task(name="animal", labels=[Label("dog", "書く"), Label("cat", "書く")], metric="accuracy", system="s")
    texts = [(f"とり{word}とり", label) for word, label in (("いぬ", "dog"), ("ねこ", "cat"))] * 16
    rows = [Example((text,), label, id=str(index)) for index, (text, label) in enumerate(texts)]
    encoder = Encoder(name="tiny", id="tests/tiny", max_length=16, word_splitter="jumanpp")
    train, student = Train(batch_size=8, learning_rate=1e-2, steps=40), tmp_path / "student"
    train_student(task, encoder, word_encoder, None, train, rows, [], 0, student, tmp_path / "work", device="cpu")
    assert json.loads((student / "tokenizer_config.json").read_text(encoding="utf-8"))["word_splitter"] == "jumanpp"
    assert AutoTokenizer.from_pretrained(student)("とりいぬとり")["input_ids"] == [2, 1, 3]  # as it is, one unknown word
    assert predict(student, [("とりいぬ",), ("ねこねことり",)], "cpu").argmax(axis=1).tolist() == [0, 1]
    monkeypatch.setenv("PATH", "")
    with pytest.raises(TrainingError, match=r"no program jumanpp on PATH.*pip install rhoknp"):
        predict(student, [("とりいぬ",)], "cpu")


def test_a_program_that_fails_is_told(jumanpp: Path) -> None:
    from japagen.training.words import split_words

    jumanpp.write_text(f"#!{sys.executable}\nraise SystemExit(3)\n", encoding="utf-8")
    with pytest.raises(TrainingError, match=r"Juman\+\+ can't split 'いぬ' into words"):
        split_words([("いぬ",)])
