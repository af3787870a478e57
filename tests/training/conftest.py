"""A tiny random BERT, and tasks that it learns in seconds."""

import numpy as np
import pytest

from japagen.config.schema import Encoder, Train
from japagen.tasks import Example, Label, Task

CHARACTERS = "あいうえおかきくけこさしすせそたちつてとなにぬねのはひふへほまみむめも"


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Threads gain nothing on so small a model, and wait for each other where other programs hold the cores."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def encoder_path(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A BERT of two layers with random weights, stored in float16 as the shipped one is; one token a character."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("encoder")
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *CHARACTERS]
    backend = Tokenizer(models.WordLevel({name: place for place, name in enumerate(names)}, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    ).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(names),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
        initializer_range=0.2,
    )
    BertModel(config).half().save_pretrained(folder)
    return str(folder)


@pytest.fixture
def encoder() -> Encoder:
    return Encoder(name="tiny", id="tests/tiny", max_length=40)


@pytest.fixture
def train() -> Train:
    return Train(epochs=2, batch_size=16, learning_rate=3e-3, patience=10, validations_per_epoch=2, min_steps=0)


@pytest.fixture(scope="session")
def keyword_task() -> Task:
    labels = [Label(name, "書く") for name in ("with", "without", "other")]
    return Task(name="keyword", labels=labels, metric="macro_f1", system="s")


@pytest.fixture(scope="session")
def overlap_task() -> Task:
    labels = [Label(str(level), "書く", score=float(level)) for level in (1, 2, 3)]
    return Task(name="overlap", kind="pair", target="regression", metric="spearman", fields=["a", "b"], labels=labels, system="s")


def texts(num: int, seed: int, shortest: int = 3, longest: int = 20) -> list[str]:
    """Random texts of plain characters, without the two keywords め and も."""
    rng = np.random.default_rng(seed)
    return ["".join(rng.choice(list(CHARACTERS[:-2]), size=rng.integers(shortest, longest + 1))) for _ in range(num)]


@pytest.fixture(scope="session")
def keyword_rows() -> list[Example]:
    """'with' has め in it, 'other' も, 'without' neither."""
    marks = [("め", "with"), ("も", "other"), ("", "without")]
    rows = []
    for place, text in enumerate(texts(360, seed=1)):
        mark, label = marks[place % 3]
        cut = place % (len(text) + 1)
        rows.append(Example((text[:cut] + mark * 2 + text[cut:],), label, id=str(place)))
    return rows


@pytest.fixture(scope="session")
def overlap_rows() -> list[Example]:
    """Scores from 1 to 3 by how much of the second text is め: as much as a random encoder can learn within seconds."""
    rng = np.random.default_rng(2)
    rows = []
    for place, text in enumerate(texts(300, seed=3, shortest=6, longest=10)):
        shared = rng.random()
        second = "".join(character if rng.random() > shared else "め" for character in text)
        score = 1 + 2 * second.count("め") / len(second)
        rows.append(Example((text, second), str(round(score)), score=score, id=str(place)))
    return rows
