"""The shipped models: small enough, loadable without special code, and built on relations that hold by construction."""

import json
import random
from pathlib import Path

import pytest

from demo_models.broken import break_sentence
from demo_models.build import CONF
from demo_models.chats import FORMS, load_tasks
from demo_models.edits import EXCLUDING, nli_edit, similar_edit
from demo_models.grammar import (
    RELATIONS,
    Scene,
    add_fact,
    caption,
    contradict,
    draw_scene,
    draw_style,
    generalise,
    nli_pair,
    render,
    similar_pair,
)
from demo_models.words import KINDS
from japagen.prompts.writing import Prompting, first_messages, messages
from japagen.tasks import Task

DEMO = Path(__file__).parents[2] / "japagen" / "demo"
LLM, ENCODER = DEMO / "llm", DEMO / "encoder"


@pytest.fixture(scope="module")
def tasks() -> dict[str, Task]:
    return load_tasks(CONF)


def folder_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_sizes_on_disk() -> None:
    assert folder_bytes(LLM) <= 16 * 1024**2
    assert folder_bytes(ENCODER) <= 10 * 1024**2


@pytest.mark.parametrize("folder", [LLM, ENCODER])
def test_cards_name_license_and_sources(folder: Path) -> None:
    card = (folder / "README.md").read_text(encoding="utf-8")
    for wanted in ("license: cc-by-sa-4.0", "JGLUE", "JCoLA", "JNLI-Neg", "CC BY 2.0 FR", "Seed", "results mean nothing"):
        assert wanted in card


def test_chat_template_renders_pair_prompts(tasks: dict[str, Task]) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(LLM)
    task = tasks["jnli"]
    chat = messages(task, Prompting(), task.labels[0], first="犬が走っています。")
    text = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    assert text.startswith(f"<|system|>{task.system}<|end|><|user|>{task.first_instruction}<|end|><|assistant|>犬が走っています。<|end|>")
    assert text.endswith(f"<|user|>{task.labels[0].instruction}<|end|><|assistant|>")
    assert not tokenizer.apply_chat_template(chat, tokenize=False).endswith("<|assistant|>")


def test_constant_prompts_take_few_tokens(tasks: dict[str, Task]) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(LLM)
    for task in tasks.values():
        request = first_messages(task, Prompting()) if task.is_pair else messages(task, Prompting(), task.labels[0])
        assert len(tokenizer.apply_chat_template(request, add_generation_prompt=True)["input_ids"]) < 40


@pytest.mark.parametrize("folder", [LLM, ENCODER])
def test_any_text_survives_the_tokenizer(folder: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    for text in ("二人の男性が、公園でサッカーをしています。", "Ａ４サイズ 12枚", "𩸽とüと🐈。"):
        assert tokenizer.decode(tokenizer(text, add_special_tokens=False)["input_ids"]) == text


def test_training_reads_chats_as_the_template_writes_them(tasks: dict[str, Task]) -> None:
    from tokenizers import Tokenizer
    from transformers import AutoTokenizer

    from demo_models.train_llm import ChatEncoder

    plain = Tokenizer.from_file(str(LLM / "tokenizer.json"))
    task = tasks["jsts"]
    shown = [("猫がいる。", "犬がいる。")]
    request = messages(task, Prompting(), task.labels[2], shown, first="犬が走る。")
    chat = [*request, {"role": "assistant", "content": "犬が歩く。"}]
    ids = ChatEncoder(plain, plain).encode(chat)
    templated = AutoTokenizer.from_pretrained(LLM).apply_chat_template(chat)["input_ids"]
    assert [-1 - token if token < 0 else token for token in ids] == templated
    replies = ("猫がいる。", "犬がいる。", "犬が走る。", "犬が歩く。")
    assert sum(token < 0 for token in ids) == sum(len(plain.encode(text).ids) + 1 for text in replies)


def test_llm_loads_and_ends_its_turn(tasks: dict[str, Task]) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(LLM)
    model = AutoModelForCausalLM.from_pretrained(LLM, dtype=torch.float32)
    assert model.generation_config.eos_token_id == tokenizer.convert_tokens_to_ids("<|end|>")
    request = first_messages(tasks["jsts"], Prompting())
    ids = tokenizer.apply_chat_template(request, add_generation_prompt=True, return_tensors="pt", return_dict=True)["input_ids"]
    replies = model.generate(ids, do_sample=True, max_new_tokens=64, num_return_sequences=8)[:, ids.shape[1] :]
    ended = (replies == model.generation_config.eos_token_id).any(dim=1)
    assert ended.sum() >= 6
    assert all(0 < len(tokenizer.decode(reply, skip_special_tokens=True)) <= 80 for reply in replies)


def test_encoder_loads_as_a_classifier_of_pairs() -> None:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(ENCODER)
    model = AutoModelForSequenceClassification.from_pretrained(ENCODER, dtype=torch.float32, num_labels=3)
    batch = tokenizer(["犬がいる。", "猫"], ["動物がいる。", "犬が走る。"], padding=True, return_tensors="pt")
    assert batch["token_type_ids"].max() == 1
    assert model(**batch).logits.shape == (2, 3)
    assert all(parameter.dtype == torch.float32 for parameter in model.parameters())


def test_configs_ask_for_no_code_of_ours() -> None:
    for folder in (LLM, ENCODER):
        assert "auto_map" not in json.loads((folder / "config.json").read_text(encoding="utf-8"))


def scenes(number: int) -> list[Scene]:
    rng = random.Random(0)
    return [draw_scene(rng) for _ in range(number)]


def said_of(scene: Scene) -> dict[str, object]:
    """The optional facts that a scene states."""
    return {name: getattr(scene, name) for name in ("modifier", "count", "place", "manner") if getattr(scene, name)}


def test_hypothesis_of_entailment_says_nothing_new() -> None:
    rng = random.Random(1)
    for scene in scenes(500):
        general = generalise(scene, rng)
        assert general != scene
        assert said_of(general).items() <= said_of(scene).items()
        assert general.noun.word in (scene.noun.word, scene.noun.hypernym)
        assert general.action.te in (scene.action.te, scene.action.general)


def test_hypothesis_of_contradiction_changes_one_fact_to_an_excluding_one() -> None:
    rng = random.Random(2)
    for scene in scenes(500):
        opposite = contradict(scene, rng)
        changed = [name for name in ("noun", "action", "modifier", "count", "place") if getattr(opposite, name) != getattr(scene, name)]
        assert len(changed) == 1
        place = scene.place.opposite if scene.place else ""
        excluded = {scene.noun.opposite, scene.action.opposite, KINDS[scene.kind].modifiers.get(scene.modifier), place}
        found = getattr(opposite, changed[0])
        assert changed == ["count"] or {getattr(found, "word", None), getattr(found, "te", None), found} & excluded


def test_hypothesis_of_neutral_adds_to_what_was_said() -> None:
    rng = random.Random(3)
    for scene in scenes(500):
        added = add_fact(scene, rng)
        if len(said_of(scene)) < 3:
            assert said_of(added).items() > said_of(scene).items()
            assert (added.noun, added.action) == (scene.noun, scene.action)


def test_every_opposite_differs() -> None:
    for kind in KINDS.values():
        for noun in kind.nouns:
            assert noun.word not in (noun.opposite, noun.hypernym)
        for action in kind.actions:
            assert action.te != action.opposite
            assert action.general != action.opposite
        assert all(modifier != opposite for modifier, opposite in kind.modifiers.items())


def test_grammar_is_deterministic_and_short() -> None:
    def made(seed: int) -> list[tuple[str, str]]:
        rng = random.Random(seed)
        return [nli_pair(relation, rng) for relation in RELATIONS] + [similar_pair(level, rng) for level in range(6)]

    assert made(1) == made(1)
    assert made(1) != made(2)
    texts = [text for seed in range(300) for pair in made(seed) for text in pair]
    assert max(map(len, texts)) <= 60
    assert len(set(texts)) > 0.9 * len(texts)


def test_level_5_says_the_same_in_other_words() -> None:
    rng = random.Random(0)
    for _ in range(200):
        first, second = similar_pair(5, rng)
        assert first != second
        assert len(set(first) & set(second)) / len(set(first)) > 0.4


def test_captions_render_in_the_style_asked_for() -> None:
    rng = random.Random(0)
    scene, style = draw_scene(rng), draw_style(rng)
    assert render(scene, style, ending="いません。").endswith("いません。")
    assert caption(random.Random(7)) == caption(random.Random(7))


def test_caption_edits_change_what_they_say() -> None:
    rng = random.Random(0)
    assert nli_edit("男性が眠っています。", "entailment", rng) == "人が眠っています。"
    assert nli_edit("男性が眠っています。", "contradiction", rng) in ("女性が眠っています。", "男性が眠っていません。")
    assert nli_edit("空が広い", "entailment", rng) is None
    assert similar_edit("赤いバスが走っている。", 3, rng) in [
        "赤いバスが走っている。".replace(old, new) for old, new in EXCLUDING if old in "赤いバスが走っている。"
    ]


def test_broken_sentences_differ_from_the_plain_one() -> None:
    words = ["私", "は", "毎日", "図書館", "で", "本", "を", "読", "み", "まし", "た", "。"]
    rng = random.Random(0)
    found = [found for found in (break_sentence(words, rng) for _ in range(100)) if found is not None]
    assert "".join(words) not in {text for text, _ in found}
    assert len(set(found)) > 20
    assert {target for _, target in found} == {*FORMS, "語順"}
    assert break_sentence(["はい", "。"], rng) is None
