"""What the training code feeds to the models, and that the loop spends its budget on lowering the loss."""

import random
from itertools import islice, repeat
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer
from torch import nn

from demo_models import build, train_encoder, train_llm
from demo_models.loop import WIDTHS, Checkpoint, bucketed, loss_at, pad, train
from demo_models.texts import Passage, kinds
from demo_models.tokenizer import END, id_of
from tests.conftest import load_task

DEMO = Path(__file__).parents[2] / "japagen" / "demo"
KINDS = ["proper", "spoilt"]


@pytest.fixture(scope="module")
def llm_tokenizer() -> Tokenizer:
    return Tokenizer.from_file(str(DEMO / "llm" / "tokenizer.json"))


@pytest.fixture(scope="module")
def encoder_tokenizer() -> Tokenizer:
    return Tokenizer.from_file(str(DEMO / "encoder" / "tokenizer.json"))


def test_batches_have_few_shapes_and_lose_no_row_but_the_last_ones() -> None:
    rng = random.Random(0)
    rows = [[number] * rng.randint(1, 200) for number in range(3000)]
    groups = list(bucketed(iter(rows), tokens=512))
    assert {pad(group, 0).shape for group in groups} <= {(512 // width, width) for width in WIDTHS}
    seen = [row[0] for group in groups for row in group]
    assert len(set(seen)) == len(seen) > 2800


def test_loss_is_the_mean_over_asked_positions_only() -> None:
    torch.manual_seed(0)
    hidden, labels, head = torch.randn(4, 300, 8), torch.randint(0, 11, (4, 300)), nn.Linear(8, 11)
    asked = torch.zeros(4, 300, dtype=torch.bool)
    asked[1, 3] = asked[2, 0] = asked[3, 299] = True
    expected = nn.functional.cross_entropy(head(hidden[asked]), labels[asked])
    assert loss_at(asked, head, hidden, labels).item() == pytest.approx(expected.item(), abs=1e-5)


def test_llm_labels_are_the_next_tokens_of_the_replies(llm_tokenizer: Tokenizer) -> None:
    chat = [{"role": "user", "content": "一つ書いてください。"}, {"role": "assistant", "content": "犬が走っています。"}]
    encoder = train_llm.ChatEncoder(llm_tokenizer, llm_tokenizer)
    batch = next(train_llm.batches(iter([chat] * 1000), encoder, padding=1, seed=0))
    assert batch["input_ids"].shape == batch["labels"].shape
    ids, labels = batch["input_ids"][0], batch["labels"][0]
    asked = labels != train_llm.IGNORED
    assert torch.equal(labels[:-1][asked[:-1]], ids[1:][asked[:-1]])
    assert labels[asked].tolist() == [*llm_tokenizer.encode("犬が走っています。").ids, id_of(llm_tokenizer, END)]


def test_encoder_batches_look_like_the_tokenizer_s_pairs(encoder_tokenizer: Tokenizer) -> None:
    pair = ("犬が走っています。", "猫が眠っています。")
    batch = next(train_encoder.batches(iter([Passage(pair)] * 1000), encoder_tokenizer, KINDS, seed=0))
    encoded = encoder_tokenizer.encode(*pair)
    width = len(encoded.ids)
    assert batch["labels"][0, :width].tolist() == encoded.ids
    assert batch["token_type_ids"][0, :width].tolist() == encoded.type_ids
    assert batch["attention_mask"][0].sum() == width
    assert batch["token_type_ids"][0, width:].sum() == 0


def test_encoder_masks_ordinary_tokens_only(encoder_tokenizer: Tokenizer) -> None:
    texts = iter([Passage(("犬が走っています。", "猫が眠っています。"))] * 2000)
    special = torch.tensor([id_of(encoder_tokenizer, token) for token in ("[PAD]", "[CLS]", "[SEP]")])
    for batch in islice(train_encoder.batches(texts, encoder_tokenizer, KINDS, seed=0), 3):
        assert not torch.isin(batch["labels"][batch["chosen"]], special).any()
        assert torch.equal(batch["input_ids"][~batch["chosen"]], batch["labels"][~batch["chosen"]])
        ordinary = ~torch.isin(batch["labels"], special)
        assert 0.17 < batch["chosen"].sum() / ordinary.sum() < 0.23


def test_rows_asked_for_their_kind_are_shown_whole(encoder_tokenizer: Tokenizer) -> None:
    passages = [Passage(("犬が走っています。",)), Passage(("犬が走っています。",), "proper"), Passage(("犬を走がっています。",), "spoilt")]
    batch = next(train_encoder.batches(iter(passages * 1000), encoder_tokenizer, KINDS, seed=0))
    asked = batch["kinds"] != train_encoder.MASKED_ROW
    assert set(batch["kinds"].tolist()) == {train_encoder.MASKED_ROW, 0, 1}
    assert not batch["chosen"][asked].any()
    assert batch["chosen"][~asked].any()
    assert torch.equal(batch["input_ids"][asked], batch["labels"][asked])


def test_kinds_are_every_label_of_every_task() -> None:
    tasks = {name: load_task(name) for name in ("jsts", "jcola")}
    assert kinds(tasks) == ["proper", "spoilt", *(f"jsts/{level}" for level in "012345"), "jcola/acceptable", "jcola/unacceptable"]


def test_training_lowers_the_loss_and_keeps_to_its_budget() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 1))
    inputs = torch.randn(64, 8)

    def loss_of(batch: dict[str, torch.Tensor]) -> torch.Tensor:
        return (model(batch["input_ids"]) - inputs.sum(1, keepdim=True)).pow(2).mean()

    before = loss_of({"input_ids": inputs}).item()
    record = train(model, repeat({"input_ids": inputs}), loss_of, minutes=0.05, peak=0.02)
    assert loss_of({"input_ids": inputs}).item() < before
    assert record.steps > 1
    assert record.tokens == record.steps * inputs.numel()
    assert record.parameters == 8 * 16 + 16 + 16 + 1


class Interrupted(Exception):
    """Ends a run in its middle."""


def test_an_interrupted_run_resumes_at_its_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Used batches are passed over, the budget's used part counts, and the file of another run is not read."""
    monkeypatch.setattr("demo_models.loop.CHECKPOINT_S", 0.0)
    numbered = [{"input_ids": torch.full((2, 1), float(number))} for number in range(100_000)]
    seen: list[float] = []

    def run(name: str, stop_at: int | None = None) -> int:
        model = nn.Linear(1, 1)

        def loss_of(batch: dict[str, torch.Tensor]) -> torch.Tensor:
            seen.append(batch["input_ids"][0].item())
            if len(seen) == stop_at:
                raise Interrupted
            return model(torch.ones(2, 1)).pow(2).mean()

        return train(model, iter(numbered), loss_of, minutes=0.01, peak=0.01, checkpoint=Checkpoint(tmp_path / "state", name)).steps

    with pytest.raises(Interrupted):
        run("first", stop_at=8)
    assert seen == list(range(8))
    seen.clear()
    steps = run("first")
    assert seen[0] == 7.0
    assert steps == 7 + len(seen)
    seen.clear()
    run("second")
    assert seen[0] == 0.0


def test_a_resumed_build_has_the_vocabulary_of_its_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A vocabulary that is learned anew from the same texts has other numbers."""
    learned = iter([[("犬", -1.0)], [("猫", -2.0)]])
    monkeypatch.setattr(build, "train_pieces", lambda texts: next(learned))
    path = tmp_path / "demo" / ".pieces.json"
    assert build.kept_pieces(path, ["犬が走る。"]) == build.kept_pieces(path, ["犬が走る。"]) == [("犬", -1.0)]
    assert build.kept_pieces(path, ["猫が眠る。"]) == [("猫", -2.0)]
