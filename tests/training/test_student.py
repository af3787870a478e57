import json
import shutil
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from transformers import BertModel

from japagen.config.schema import Encoder, Train
from japagen.errors import ConfigError, TrainingError
from japagen.evaluation.metrics import decide
from japagen.tasks import Example, Task
from japagen.training import classifier, encoding, student
from japagen.training.ensemble import Ensemble
from japagen.training.prediction import load_student, predict
from japagen.training.student import Fit, choose_precision, train_student

Rows = list[Example]


@pytest.fixture
def fit(tmp_path: Path, encoder: Encoder, encoder_path: str, train: Train) -> Any:
    """Trains into tmp_path/<name> and returns the Fit."""

    def fitted(task: Task, rows: Rows, valid: Rows, name: str = "out", seed: int = 0, **more: Any) -> Fit:
        arguments: dict[str, Any] = {"encoder": encoder, "encoder_path": encoder_path, "train": train, "device": "cpu"} | more
        return train_student(
            task, revision=None, rows=rows, valid=valid, seed=seed, out=tmp_path / name, work=tmp_path / f"{name}-work", **arguments
        )

    return fitted


def test_learns_a_keyword_and_writes_a_folder_that_says_its_labels(
    fit: Any, train: Train, keyword_task: Task, keyword_rows: Rows, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    told: list[tuple[int, dict[str, float]]] = []
    done = fit(keyword_task, keyword_rows[:270], keyword_rows[270:300], train=replace(train, epochs=5),
               on_metrics=lambda metrics, step: told.append((step, metrics)))  # fmt: skip
    said = capfd.readouterr()
    assert (said.out, said.err) == ("", "")
    unseen = keyword_rows[300:]
    guesses = decide(keyword_task, predict(tmp_path / "out", [row.texts for row in unseen], "cpu"))
    assert np.mean([guess == row.label for guess, row in zip(guesses, unseen, strict=True)]) > 0.9
    config = json.loads((tmp_path / "out" / "config.json").read_text(encoding="utf-8"))
    assert config["id2label"] == {"0": "with", "1": "without", "2": "other"}
    assert config["dtype"] == "float32"
    assert config["japagen"] == {"fields": list(keyword_task.fields), "gold_chars": None}
    assert {path.name for path in (tmp_path / "out").iterdir()} >= {"model.safetensors", "tokenizer.json", "config.json"}
    assert done.num_steps == 5 * 17
    assert done.samples == 5 * 270
    assert done.truncated == 0
    assert [entry["step"] for entry in done.history] == [step for step, metrics in told if "valid/macro_f1" in metrics]
    assert {"train/loss", "train/learning_rate"} <= set(told[1][1])
    assert done.best_score == max(entry["valid/macro_f1"] for entry in done.history)


def test_learns_a_regression_on_the_tasks_own_scale(fit: Any, train: Train, overlap_task: Task, overlap_rows: Rows, tmp_path: Path) -> None:
    fit(overlap_task, overlap_rows[:220], overlap_rows[220:250], train=replace(train, epochs=6))
    unseen = overlap_rows[250:]
    values = predict(tmp_path / "out", [row.texts for row in unseen], "cpu")
    truth = np.array([row.score for row in unseen])
    assert values.shape == (50, 1)
    assert spearmanr(truth, values[:, 0]).statistic > 0.8
    assert np.abs(values[:, 0] - truth).mean() < 0.3
    assert values.min() >= 1
    assert values.max() <= 3


def test_the_same_seed_gives_the_same_student_and_another_seed_another(
    fit: Any, keyword_task: Task, keyword_rows: Rows, tmp_path: Path
) -> None:
    for name, seed in [("a", 0), ("b", 0), ("c", 1)]:
        fit(keyword_task, keyword_rows[:60], keyword_rows[60:90], name, seed)
    first, second, third = ((tmp_path / name / "model.safetensors").read_bytes() for name in "abc")
    assert first == second
    assert first != third


def test_another_seed_is_trained_and_scored_without_tokenising_again(
    fit: Any, keyword_task: Task, keyword_rows: Rows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    tokenise = encoding._tokenise
    monkeypatch.setattr(encoding, "_tokenise", lambda tokenizer, texts, *more: seen.append(len(texts)) or tokenise(tokenizer, texts, *more))
    scored = [row.texts for row in keyword_rows[200:230]]

    def train_and_score(seed: int) -> np.ndarray:
        fit(keyword_task, keyword_rows[100:163], keyword_rows[163:180], name=f"seed-{seed}", seed=seed)
        return predict(tmp_path / f"seed-{seed}", scored, "cpu")

    first = train_and_score(0)
    assert sum(seen) == 63 + 17 + 30
    assert not np.array_equal(train_and_score(1), first)
    assert sum(seen) == 63 + 17 + 30


def test_the_best_validations_weights_are_kept_and_patience_ends_training(
    fit: Any, train: Train, keyword_task: Task, keyword_rows: Rows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = iter([0.2, 0.8, 0.5, 0.8, 0.1, 0.9])
    monkeypatch.setattr(classifier, "score", lambda *_: {"macro_f1": next(scores)})
    monkeypatch.setattr(classifier.Classifier, "loss", rising_validation_loss(classifier.Classifier.loss))
    valid = keyword_rows[90:120]
    done = fit(keyword_task, keyword_rows[:90], valid, train=replace(train, epochs=3, patience=3))
    assert done.best_score == 0.8
    assert [entry["step"] for entry in done.history] == [3, 6, 9, 12, 15]
    assert (done.best_step, done.num_steps) == (6, 15)
    assert same_loss(keyword_task, valid, tmp_path, done.history[1]["valid/loss"])


@pytest.mark.parametrize(
    ("settings", "num_steps"),
    [({"min_steps": 0}, 9), ({"min_steps": 11}, 12), ({"min_steps": 18}, 18), ({"steps": 12}, 12), ({"min_steps": 60}, 60)],
)
def test_training_stops_early_only_once_the_least_steps_are_done(
    fit: Any,
    train: Train,
    keyword_task: Task,
    keyword_rows: Rows,
    monkeypatch: pytest.MonkeyPatch,
    settings: dict[str, int],
    num_steps: int,
) -> None:
    """Scores fall from the first validation on, so with a patience of two the third would be the last."""
    scores = iter(np.linspace(0.9, 0.1, 20).tolist())
    monkeypatch.setattr(classifier, "score", lambda *_: {"macro_f1": next(scores)})
    done = fit(keyword_task, keyword_rows[:90], keyword_rows[90:120], train=replace(train, epochs=3, patience=2, **settings))
    assert (done.num_steps, done.best_score) == (num_steps, 0.9)


def test_the_kept_weights_answer_the_validation_rows(
    fit: Any, train: Train, overlap_task: Task, overlap_rows: Rows, tmp_path: Path
) -> None:
    valid = overlap_rows[100:120]
    done = fit(overlap_task, overlap_rows[:100], valid)
    assert np.allclose(done.valid_predictions, predict(tmp_path / "out", [row.texts for row in valid], "cpu")[:, 0], atol=1e-5)
    assert fit(overlap_task, overlap_rows[:100], [], "other").valid_predictions == ()


def test_a_derived_length_is_at_most_the_encoders(
    fit: Any, encoder: Encoder, keyword_task: Task, keyword_rows: Rows, tmp_path: Path
) -> None:
    done = fit(keyword_task, keyword_rows[:20], [], encoder=replace(encoder, max_length=None))
    assert done.max_length == 64
    assert load_student(tmp_path / "out", "cpu").max_length == 64


def rising_validation_loss(loss: Any) -> Any:
    """Adds more with each validation, so that of two equal scores the earlier one has the lower loss."""
    calls = 0

    def rising(self: Any, *arguments: Any) -> torch.Tensor:
        nonlocal calls
        calls += not self.training
        return loss(self, *arguments) + (0 if self.training else 100 * (calls - 2))

    return rising


def test_equal_scores_are_told_apart_by_the_validation_loss(
    fit: Any, keyword_task: Task, keyword_rows: Rows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(classifier, "score", lambda *_: {"macro_f1": None})
    valid = keyword_rows[90:120]
    done = fit(keyword_task, keyword_rows[:90], valid)
    losses = [entry["valid/loss"] for entry in done.history]
    assert done.best_step == done.history[int(np.argmin(losses))]["step"]
    assert done.best_score is None
    assert same_loss(keyword_task, valid, tmp_path, min(losses))


def same_loss(task: Task, valid: Rows, tmp_path: Path, expected: float) -> bool:
    """Whether the student in tmp_path/out has this cross entropy on `valid`."""
    chosen = predict(tmp_path / "out", [row.texts for row in valid], "cpu")
    entropy = -np.log(chosen[np.arange(len(valid)), [task.label_names.index(row.label) for row in valid]]).mean()
    return bool(np.isclose(entropy, expected, atol=1e-4))


def test_without_validation_rows_the_least_steps_are_done_too(fit: Any, train: Train, keyword_task: Task, keyword_rows: Rows) -> None:
    done = fit(keyword_task, keyword_rows[:9], [], train=replace(train, min_steps=12))
    assert (done.num_steps, done.best_step, done.best_score, done.samples) == (12, 12, None, 12 * 9)


def test_steps_drop_out_clip_gradients_warm_up_and_spare_biases_and_norms(
    fit: Any, train: Train, keyword_task: Task, keyword_rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[Any, Any]] = []
    norms: list[float] = []
    drops: list[bool] = []
    configure = classifier.Classifier.configure_optimizers

    def spy(self: Any) -> Any:
        def after_step(*_: Any) -> None:
            norms.append(gradient_norm(self))
            drops.append(self.model.training)

        found = configure(self)
        seen.append(({name: id(parameter) for name, parameter in self.named_parameters()}, found["optimizer"]))
        found["optimizer"].register_step_post_hook(after_step)
        return found

    monkeypatch.setattr(classifier.Classifier, "configure_optimizers", spy)
    done = fit(keyword_task, keyword_rows[:90], keyword_rows[90:120], train=replace(train, warmup_ratio=0.5))
    parameters, optimizer = seen[0]
    decayed = {id(parameter) for group in optimizer.param_groups if group["weight_decay"] for parameter in group["params"]}
    for name, parameter in parameters.items():
        assert (parameter in decayed) == (not name.endswith("bias") and "LayerNorm" not in name), name
    rates = [entry["train/learning_rate"] for entry in done.history]
    assert rates == pytest.approx([3e-3 * part for part in (1 / 2, 1, 1 / 2, 0)])
    assert drops == [True] * 12
    assert len(norms) == 12
    assert max(norms) == pytest.approx(1, abs=1e-3)


def gradient_norm(module: torch.nn.Module) -> float:
    return float(torch.stack([parameter.grad.norm() for parameter in module.parameters() if parameter.grad is not None]).norm())


def test_label_smoothing_softens_the_student(fit: Any, train: Train, keyword_task: Task, keyword_rows: Rows, tmp_path: Path) -> None:
    texts = [row.texts for row in keyword_rows[:90]]
    for name, smoothing in [("sharp", 0.0), ("soft", 0.4)]:
        fit(keyword_task, keyword_rows[:90], [], name, train=replace(train, steps=60, label_smoothing=smoothing))
    sharp, soft = (predict(tmp_path / name, texts, "cpu").max(axis=1).mean() for name in ("sharp", "soft"))
    assert soft < sharp - 0.1


def test_soft_labels_are_what_the_student_comes_to_say(
    fit: Any, train: Train, keyword_task: Task, keyword_rows: Rows, tmp_path: Path
) -> None:
    """Rows with the first keyword are 'with' at 0.6 and 'other' at 0.4; the rest stay hard."""
    rows = [replace(row, probs=(0.6, 0.0, 0.4)) if row.label == "with" else row for row in keyword_rows[:240]]
    fit(keyword_task, rows, [], train=replace(train, steps=200))
    unseen = keyword_rows[240:]
    found = predict(tmp_path / "out", [row.texts for row in unseen], "cpu")
    is_soft = np.array([row.label == "with" for row in unseen])
    np.testing.assert_allclose(found[is_soft].mean(axis=0), [0.6, 0.0, 0.4], atol=0.12)
    assert found[~is_soft].max(axis=1).mean() > 0.85


def test_rows_without_weight_teach_nothing(fit: Any, train: Train, keyword_task: Task, keyword_rows: Rows, tmp_path: Path) -> None:
    """Half the rows have a wrong label, and weight 0: their labels may be any."""
    rows = keyword_rows[:120]
    for name, shift in [("a", 1), ("b", 2)]:
        wrong = [replace(row, label=keyword_task.label_names[(place + shift) % 3], weight=0.0) for place, row in enumerate(rows[60:])]
        fit(keyword_task, [*rows[:60], *wrong], rows[60:], name)
    assert weights(tmp_path / "a") == weights(tmp_path / "b")


def weights(folder: Path) -> bytes:
    return (folder / "model.safetensors").read_bytes()


def test_weights_that_are_all_the_same_change_nothing(fit: Any, keyword_task: Task, keyword_rows: Rows, tmp_path: Path) -> None:
    rows, valid = keyword_rows[:60], keyword_rows[60:90]
    plain = fit(keyword_task, rows, valid, "plain")
    heavy = fit(keyword_task, [replace(row, weight=3.0) for row in rows], valid, "heavy")
    assert heavy.history == plain.history
    assert weights(tmp_path / "heavy") == weights(tmp_path / "plain")


def test_validation_weighs_the_loss_and_not_the_scores(fit: Any, keyword_task: Task, keyword_rows: Rows, tmp_path: Path) -> None:
    rows, valid = keyword_rows[:90], keyword_rows[90:120]
    twice = [row for place, row in enumerate(valid) for _ in range(1 + place % 2)]
    heavy = [replace(row, weight=1.0 + place % 2) for place, row in enumerate(valid)]
    found = {name: fit(keyword_task, rows, part, name) for name, part in (("plain", valid), ("heavy", heavy), ("twice", twice))}
    losses = {name: [entry["valid/loss"] for entry in one.history] for name, one in found.items()}
    scores = {name: [entry["valid/accuracy"] for entry in one.history] for name, one in found.items()}
    assert losses["heavy"] == pytest.approx(losses["twice"], abs=1e-5)
    assert losses["heavy"] != pytest.approx(losses["plain"], abs=1e-3)
    assert scores["heavy"] == scores["plain"]


def test_a_regression_learns_from_weighted_rows(fit: Any, train: Train, overlap_task: Task, overlap_rows: Rows, tmp_path: Path) -> None:
    """Rows whose score is turned round weigh next to nothing."""
    turned = [replace(row, score=4 - (row.score or 0), weight=0.01) for row in overlap_rows[110:220]]
    fit(overlap_task, [*overlap_rows[:110], *turned], [], train=replace(train, steps=160))
    unseen = overlap_rows[250:]
    values = predict(tmp_path / "out", [row.texts for row in unseen], "cpu")
    assert spearmanr([row.score for row in unseen], values[:, 0]).statistic > 0.7


def with_wrong_labels(task: Task, rows: Rows, share: float) -> Rows:
    """A `share` of the rows, drawn at random, have another of the task's labels."""
    rng, names = np.random.default_rng(0), task.label_names
    others = [names[(names.index(row.label) + 1 + rng.integers(2)) % 3] for row in rows]
    return [replace(row, label=other) if rng.random() < share else row for row, other in zip(rows, others, strict=True)]


def test_ensembling_leaves_wrong_labels_out_and_learns_the_task_in_spite_of_them(
    fit: Any, train: Train, keyword_task: Task, keyword_rows: Rows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Ensemble] = []

    def kept(*arguments: Any) -> Ensemble:
        made.append(Ensemble(*arguments))
        return made[-1]

    monkeypatch.setattr(student, "Ensemble", kept)
    rows, unseen = with_wrong_labels(keyword_task, keyword_rows[:240], 0.3), keyword_rows[240:]
    accuracies = []
    for seed, momentum in [(0, 0.0), (0, 0.8), (1, 0.8), (2, 0.8)]:
        name = f"{momentum}-{seed}"
        done = fit(keyword_task, rows, [], name, seed, train=replace(train, steps=300, ensemble_momentum=momentum))
        assert ("train/kept" in done.history[-1]) == bool(momentum)
        guesses = decide(keyword_task, predict(tmp_path / name, [row.texts for row in unseen], "cpu"))
        accuracies.append(np.mean([guess == row.label for guess, row in zip(guesses, unseen, strict=True)]))
    plain, *ensembling = accuracies  # of several seeds, since a student that learned little in its first epoch leaves out the wrong rows
    assert np.median(ensembling) > max(0.93, plain + 0.04)
    is_wrong = np.array([row.label != true.label for row, true in zip(rows, keyword_rows, strict=False)])
    left_out = [(one.weights == 0).numpy() for one in made]
    assert np.median([one[is_wrong].mean() for one in left_out]) > 0.9
    assert np.median([one[~is_wrong].mean() for one in left_out]) < 0.3


def test_all_rows_are_predicted_without_dropout_after_each_epoch_but_the_last(
    fit: Any, train: Train, keyword_task: Task, keyword_rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, bool]] = []
    forward, update = classifier.Classifier.forward, Ensemble.update
    monkeypatch.setattr(classifier.Classifier, "forward", lambda self, batch: (modes.append(self.model.training), forward(self, batch))[1])
    monkeypatch.setattr(Ensemble, "update", lambda self, found: (seen.append((len(found), modes[-1])), update(self, found))[1])
    modes: list[bool] = []
    done = fit(keyword_task, keyword_rows[:90], keyword_rows[90:120], train=replace(train, epochs=3, ensemble_momentum=0.8))
    assert (done.num_steps, done.samples) == (18, 270)
    assert seen == [(90, False)] * 2
    assert modes.count(True) == 18


def test_robust_loss_and_ensembling_work_with_soft_labels_weights_and_smoothing(
    fit: Any, train: Train, keyword_task: Task, keyword_rows: Rows
) -> None:
    rows = [
        replace(row, probs=(0.5, 0.25, 0.25) if place % 4 else None, weight=1 + place % 2) for place, row in enumerate(keyword_rows[:120])
    ]
    settings = replace(train, label_smoothing=0.15, robust_q=0.7, ensemble_momentum=0.8)
    done = fit(keyword_task, rows[:90], rows[90:], train=settings)
    assert all(np.isfinite(value) for entry in done.history for value in entry.values())


def test_ensembling_a_regression_is_refused(fit: Any, train: Train, overlap_task: Task, overlap_rows: Rows) -> None:
    with pytest.raises(TrainingError, match=r"train.ensemble_momentum=0.8 is for classification, and task 'overlap' is a regression"):
        fit(overlap_task, overlap_rows[:60], [], train=replace(train, ensemble_momentum=0.8))


def test_a_run_is_another_one_only_where_an_option_does_something(
    train: Train, encoder: Encoder, keyword_task: Task, keyword_rows: Rows
) -> None:
    def run(rows: Rows = keyword_rows, **changed: Any) -> str:
        return student._fingerprint(keyword_task, encoder, None, replace(train, **changed), rows, [], 0)

    assert run(ensemble_threshold=0.5) == run()
    on = [run(ensemble_momentum=0.8), run(ensemble_momentum=0.8, ensemble_threshold=0.5), run(robust_q=0.7)]
    first, *rest = keyword_rows
    rows = [run([replace(first, weight=2.0), *rest]), run([replace(first, probs=(1.0, 0.0, 0.0)), *rest])]
    assert len({run(), *on, *rows}) == 6


def test_rows_cut_at_max_length_are_counted(fit: Any, encoder: Encoder, keyword_task: Task, keyword_rows: Rows) -> None:
    rows = keyword_rows[:20]
    done = fit(keyword_task, rows, [], encoder=replace(encoder, max_length=10))
    assert done.truncated == sum(len(row.texts[0]) + 2 > 10 for row in rows) > 0


def test_rows_that_cannot_train_are_refused_with_counts(fit: Any, keyword_task: Task, overlap_task: Task, keyword_rows: Rows) -> None:
    with pytest.raises(TrainingError, match=r"'keyword': 1 training row\(s\) \(with: 1, without: 0, other: 0\)"):
        fit(keyword_task, keyword_rows[:1], [])
    with pytest.raises(TrainingError, match=r"all 30 training rows have one label .*with: 30"):
        fit(keyword_task, keyword_rows[:90:3], [])
    with pytest.raises(TrainingError, match=r"1 training row\(s\)"):
        fit(overlap_task, [Example(("あ", "い"), "1", 1.0)], [])
    with pytest.raises(TrainingError, match="labelled 'none'; labels: with, without, other"):
        fit(keyword_task, [*keyword_rows[:3], Example(("あ",), "none")], [])


def test_a_slurm_job_is_not_taken_for_one_that_lightning_requeues(
    fit: Any, train: Train, keyword_task: Task, keyword_rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"SLURM_JOB_ID": "7", "SLURM_JOB_NAME": "students", "SLURM_NTASKS": "4", "SLURM_PROCID": "3"}.items():
        monkeypatch.setenv(name, value)
    handlers: list[Any] = []
    before = signal.getsignal(signal.SIGUSR1)
    done = fit(keyword_task, keyword_rows[:30], [], train=replace(train, steps=12),
               on_metrics=lambda *_: handlers.append(signal.getsignal(signal.SIGUSR1)))  # fmt: skip
    assert done.num_steps == 12
    assert handlers == [before]


def test_a_gpu_that_is_not_there_is_told_with_the_cure(
    fit: Any, keyword_task: Task, keyword_rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", None)
    with pytest.raises(TrainingError, match=r"device='cuda'.*CPU build.*make install ACCEL=cuda"):
        fit(keyword_task, keyword_rows, [], device="cuda")
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    with pytest.raises(TrainingError, match=r"sees no GPU.*CUDA_VISIBLE_DEVICES"):
        fit(keyword_task, keyword_rows, [], device="cuda")


def test_bf16_is_for_gpus_that_have_it_and_encoders_that_bear_it(encoder: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: True)
    assert choose_precision(encoder, "cuda") == "bf16-mixed"
    assert choose_precision(encoder, "cpu") == choose_precision(replace(encoder, bf16=False), "cuda") == "32-true"
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: False)
    assert choose_precision(encoder, "cuda") == "32-true"


def test_a_tokenizer_whose_package_is_missing_names_it(
    fit: Any, encoder_path: str, keyword_task: Task, keyword_rows: Rows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "japanese"
    shutil.copytree(encoder_path, folder, ignore=shutil.ignore_patterns("tokenizer*"))
    settings = {"tokenizer_class": "BertJapaneseTokenizer", "word_tokenizer_type": "mecab", "subword_tokenizer_type": "character"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    (folder / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nあ\n", encoding="utf-8")
    monkeypatch.setitem(sys.modules, "fugashi", None)
    with pytest.raises(TrainingError, match=r"model='tiny'.*tokenizer.*fugashi.*unidic-lite beside it"):
        fit(keyword_task, keyword_rows, [], encoder_path=str(folder))


def test_a_folder_without_weights_is_told(fit: Any, encoder_path: str, keyword_task: Task, keyword_rows: Rows, tmp_path: Path) -> None:
    shutil.copytree(encoder_path, tmp_path / "empty", ignore=shutil.ignore_patterns("*.safetensors"))
    with pytest.raises(TrainingError, match=r"the model of 'tests/tiny' can't be loaded.*HF_HOME"):
        fit(keyword_task, keyword_rows, [], encoder_path=str(tmp_path / "empty"))


def test_more_tokens_than_the_encoder_takes_are_refused(fit: Any, encoder: Encoder, keyword_task: Task, keyword_rows: Rows) -> None:
    with pytest.raises(ConfigError, match=r"model.max_length=65 .* allowed: 8 to 64"):
        fit(keyword_task, keyword_rows, [], encoder=replace(encoder, max_length=65))


def test_a_training_that_diverges_stops_and_says_what_to_change(
    fit: Any, encoder_path: str, keyword_task: Task, keyword_rows: Rows, tmp_path: Path
) -> None:
    model = BertModel.from_pretrained(encoder_path, dtype=torch.float32)
    torch.nn.init.constant_(model.embeddings.word_embeddings.weight, float("nan"))
    shutil.copytree(encoder_path, tmp_path / "broken")
    model.save_pretrained(tmp_path / "broken")
    with pytest.raises(TrainingError, match=r"loss is nan after 10 steps; lower train.learning_rate.*model.bf16=false"):
        fit(keyword_task, keyword_rows[:90], [], encoder_path=str(tmp_path / "broken"))
    assert not (tmp_path / "out").exists()


def test_a_loss_that_only_validation_finds_infinite_stops_too(
    fit: Any, train: Train, keyword_task: Task, keyword_rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(classifier.Classifier, "validation_step", breaking(classifier.Classifier.validation_step))
    with pytest.raises(TrainingError, match=r"the validation loss is nan after 3 steps"):
        fit(keyword_task, keyword_rows[:90], keyword_rows[90:120])


def breaking(step: Any) -> Any:
    """The weights as a last, far too large step leaves them."""

    def broken(self: Any, batch: Any, batch_idx: int) -> None:
        with torch.no_grad():
            self.model.classifier.weight.fill_(float("nan"))
        step(self, batch, batch_idx)

    return broken


def test_a_gpu_that_is_too_small_is_told_what_to_lower(
    fit: Any, keyword_task: Task, keyword_rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has …")

    monkeypatch.setattr(classifier.Classifier, "training_step", full)
    with pytest.raises(TrainingError, match=r"CUDA out of memory; lower train.batch_size or model.max_length"):
        fit(keyword_task, keyword_rows[:30], [])
