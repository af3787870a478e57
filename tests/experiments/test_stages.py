"""The stages of every method, made with a stub in the LLM's place: what is asked, what the student gets, and what stays unread."""

import asyncio
import random
import zlib
from dataclasses import replace
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from japagen import gold
from japagen.config.methods import METHODS
from japagen.errors import ConfigError, DataError, GenerationError, MissingTextsError
from japagen.experiments.answers import answered, read_answers
from japagen.experiments.experiment import Experiment, changed_options
from japagen.experiments.llm_work import asking
from japagen.experiments.planning import plan_experiment
from japagen.experiments.requests import stream_of
from japagen.experiments.scoring import make_result, settings_key
from japagen.experiments.stages import fill, is_complete
from japagen.experiments.training_rows import build_dataset, training_rows
from japagen.llm.client import Request
from japagen.prompts.writing import Message
from japagen.store.store import Store
from tests.conftest import MIRROR, Compose, needs_mirror
from tests.stubs.stub_client import StubClient
from tests.stubs.stub_llm_answers import AnsweringClient, Rule

SMALL = ("task=jcola", "num_per_label=20", "curate.near_duplicates=null", "data=sample", "logger=none")


def make(experiment: Experiment, store: Store, rule: Rule = lambda prompt, reply: -1.0, client: AnsweringClient | None = None) -> None:
    """All that an LLM does for the experiment."""
    for stage in experiment.llm_stages:
        assert not is_complete(experiment, stage, store)
        chosen = StubClient() if stage == "stream" else client or AnsweringClient(rule)
        asyncio.run(fill(experiment, stage, store, chosen, lambda progress: None))  # type: ignore[arg-type]
        assert is_complete(experiment, stage, store)


def says(word: str) -> Rule:
    return lambda prompt, reply: -0.1 if reply == word else -2.0


def test_what_each_method_needs(composed: Compose) -> None:
    def keys(*overrides: str) -> list[str]:
        return list(plan_experiment(composed("task=jcola", *overrides)).keys)

    assert keys("method=mixed") == ["stream", "dataset", "model", "result"]
    assert keys("method=annotate") == ["answers", "dataset", "model", "result"]
    assert keys("method=annotate_japagen") == ["stream", "answers", "dataset", "model", "result"]
    assert keys("method=prompting") == ["answers", "result"]
    assert keys("curate.judging=soften", "curate.keep_likeliest=0.5") == [
        "stream", "likelihoods", "judgements", "dataset", "model", "result"
    ]  # fmt: skip


def test_annotation_reads_the_train_split_without_its_labels(composed: Compose, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = plan_experiment(composed("task=jcola", "method=annotate"))
    assert plain.train_gold is None
    read = gold.read_train

    def shuffled(*arguments: object) -> gold.Split | None:
        split = read(*arguments)  # type: ignore[arg-type]
        assert split is not None
        other = {"acceptable": "unacceptable", "unacceptable": "acceptable"}
        return replace(split, examples=tuple(replace(one, label=other[one.label]) for one in split.examples), checksum="other")

    monkeypatch.setattr(gold, "read_train", shuffled)
    assert plan_experiment(composed("task=jcola", "method=annotate")).keys == plain.keys


@pytest.mark.parametrize("method", ["japagen", "annotate", "annotate_japagen", "prompting"])
def test_zero_shot_reads_no_gold_label(composed: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    """Whatever the labels of gold are, what is asked and made before the score is the same."""
    plain = plan_experiment(composed("task=jcola", f"method={method}"))
    read = gold.read_eval

    def flipped(*arguments: object) -> gold.Split | None:
        split = read(*arguments)  # type: ignore[arg-type]
        assert split is not None
        return replace(split, examples=tuple(replace(one, label="acceptable") for one in split.examples))

    monkeypatch.setattr(gold, "read_eval", flipped)
    other = plan_experiment(composed("task=jcola", f"method={method}"))
    assert other.keys == plain.keys
    assert plain.exemplars == {}
    for stage in plain.llm_stages:
        if stage == "stream":
            assert other.stream.ask("acceptable", 0) == plain.stream.ask("acceptable", 0)
        else:
            assert asking(other, stage).questions(Store(tmp_path)) == asking(plain, stage).questions(Store(tmp_path))


def test_prompting_scores_the_llms_answers(composed: Compose, tmp_path: Path) -> None:
    store, experiment = Store(tmp_path), plan_experiment(composed(*SMALL, "method=prompting"))
    assert experiment.evaluation is not None
    wanted = {example.texts[0]: example.label for example in experiment.evaluation.examples}

    def rule(prompt: list[Message], reply: str) -> float:
        text = prompt[-1]["content"].partition("文章: ")[2].partition("\n")[0]
        return -0.1 if (reply == "容認できる") == (wanted[text] == "acceptable") else -2.0

    make(experiment, store, rule)
    result = make_result(experiment, store)
    assert result.primary == {"value": 1.0, "low": 1.0, "high": 1.0}
    assert (result.model, result.num_train, result.num_failed, result.seeds["template"]) == (None, 0, 0, 0)
    assert all(result.metrics[name] is not None for name in ("ece", "nll", "brier", "squared_calibration_error"))
    assert set(result.baselines) == {"majority"}, "without a student there is neither a training row nor an encoder"
    assert result.agreement == {}
    assert result.tokens["prompt"] > 0


def test_what_the_llm_does_not_answer_counts_as_wrong(composed: Compose, tmp_path: Path) -> None:
    def write(request: Request) -> str:
        return "容認できる" if "。" in request.messages[-1]["content"][:40] else "さあ"

    store, experiment = Store(tmp_path), plan_experiment(composed(*SMALL, "method=prompting", "method.answer=free"))
    make(experiment, store, client=AnsweringClient(write=write))
    found, result = answered(experiment, store), make_result(experiment, store)
    assert result.num_failed == found.num_failed == found.predictions.count(None)
    assert experiment.evaluation is not None
    right = sum(a == b.label for a, b in zip(found.predictions, experiment.evaluation.examples, strict=True))
    assert result.metrics["accuracy"] is not None
    assert result.metrics["accuracy"]["value"] == pytest.approx(right / len(found.predictions))
    assert not {"ece", "nll", "brier", "squared_calibration_error"} & set(result.metrics)


def test_a_students_encoder_is_scored_untrained_and_holds_texts_against_descriptions(composed: Compose, tmp_path: Path) -> None:
    store, experiment = Store(tmp_path), plan_experiment(composed(*SMALL, "train.min_steps=2", "train.epochs=1", "device=cpu"))
    make(experiment, store)
    result = make_result(experiment, store, say=lambda line: None)
    assert list(result.baselines) == ["majority", "tfidf", "frozen", "nearest_description"]
    rows = training_rows(experiment, store)
    assert {name: found.n for name, found in result.label_agreement.items()} == {
        name: sum(row.label == name for row in (*rows.train, *rows.valid)) for name in experiment.task.label_names
    }
    assert all(0 <= found.agreeing <= found.n for found in result.label_agreement.values())
    assert result.seconds["baselines"] > 0
    assert {"nll", "brier", "squared_calibration_error"} <= set(result.metrics)


@needs_mirror
def test_unanswered_rows_are_counted_split_by_split(composed: Compose, tmp_path: Path) -> None:
    overrides = ["task=jcola", "data=published", f"data.mirror={MIRROR}", "method=prompting", "method.answer=free"]
    store, experiment = Store(tmp_path), plan_experiment(composed(*overrides))
    make(experiment, store, client=AnsweringClient(write=lambda request: "さあ"))
    result = make_result(experiment, store)
    assert (result.num_failed, result.num_eval) == (865, 865)
    assert result.also_scored["out_of_domain_valid"]["num_failed"] == 685


def test_a_regression_is_answered_by_expectation(composed: Compose, tmp_path: Path) -> None:
    store, experiment = Store(tmp_path), plan_experiment(composed("task=jsts", "data=sample", "method=prompting"))
    make(experiment, store)  # all levels are as probable
    assert answered(experiment, store).predictions == pytest.approx([2.5] * len(experiment.asked_texts))
    result = make_result(experiment, store)
    assert result.primary is not None
    assert result.primary["value"] == 0


def test_calibration_asks_of_nothing_and_undoes_a_bias(composed: Compose, tmp_path: Path) -> None:
    store, experiment = Store(tmp_path), plan_experiment(composed(*SMALL, "method=prompting", "method.calibrate=true"))
    make(experiment, store, says("容認できる"))
    assert len(read_answers(experiment, "answers", store)) == len(experiment.asked_texts) + 3
    probs = answered(experiment, store).probs
    assert all(one == pytest.approx((0.5, 0.5)) for one in probs)


def test_templates_go_with_seeds_and_settings_are_the_same(composed: Compose) -> None:
    experiments = [plan_experiment(composed(*SMALL, "method=prompting", f"seed={seed}")) for seed in range(3)]
    assert [experiment.template for experiment in experiments] == [0, 1, 2]
    assert len({experiment.keys["answers"] for experiment in experiments}) == 3
    assert len({settings_key(experiment) for experiment in experiments}) == 1
    fixed = plan_experiment(composed(*SMALL, "method=prompting", "seed=1", "method.template=0"))
    assert fixed.keys == experiments[0].keys, "zero-shot, a seed decides the wording only"


def test_exemplars_of_prompting_are_those_of_synthesis(composed: Compose, tmp_path: Path) -> None:
    asked = plan_experiment(composed(*SMALL, "method=prompting", "shots=3"))
    written = plan_experiment(composed(*SMALL, "shots=3"))
    assert asked.exemplars == written.exemplars
    (first, *_) = asking(asked, "answers").questions(Store(tmp_path))
    shown = [turn["content"] for turn in first.chats[0][:-2]]
    assert all(any(row.texts[0] in turn for turn in shown) for rows in asked.exemplars.values() for row in rows)


def test_annotated_rows_carry_soft_labels(composed: Compose, tmp_path: Path) -> None:
    store, experiment = Store(tmp_path), plan_experiment(composed(*SMALL, "method=annotate"))
    make(experiment, store, says("容認できない"))
    dataset = training_rows(experiment, store)
    rows = (*dataset.train, *dataset.valid)
    assert {row.label for row in rows} == {"unacceptable"}
    assert all(row.probs is not None and row.probs[1] > 0.9 for row in rows)
    assert {row.texts for row in rows} <= set(experiment.unlabelled)
    card = (build_dataset(experiment, store) / "README.md").read_text(encoding="utf-8")
    assert "answers" in card
    assert experiment.protocol.endswith(f"{len(experiment.unlabelled)} train texts without labels")


def test_annotation_takes_a_file_of_ones_own(composed: Compose, tmp_path: Path) -> None:
    file = tmp_path / "mine.csv"
    file.write_text("sentence,label\n本を読む。,?\n本を読む。,?\n空を飛ぶ。,?\n海で泳ぐ。,?\n", encoding="utf-8")
    overrides = (*SMALL, "method=annotate", f"data.unlabelled_file={file}")
    experiment = plan_experiment(composed(*overrides))
    assert experiment.unlabelled == (("本を読む。",), ("空を飛ぶ。",), ("海で泳ぐ。",)), "each once, whatever its other columns say"
    assert len(plan_experiment(composed(*overrides, "method.num_texts=2")).unlabelled) == 2
    with pytest.raises(ConfigError, match=r"num_texts=4 is too many: there are 3"):
        plan_experiment(composed(*overrides, "method.num_texts=4"))


def test_annotated_texts_that_are_scored_are_dropped_and_counted(composed: Compose, tmp_path: Path) -> None:
    rows = [f"{word}が庭で遊ぶ。,{number % 2}" for number, word in enumerate(("犬", "猫", "鳥", "馬", "牛", "羊"))]
    for name, chosen in (("train", rows), ("scored", rows[:2])):
        (tmp_path / f"{name}.csv").write_text("\n".join(["sentence,label", *chosen, ""]), encoding="utf-8")
    files = ("data=files", f"data.train_file={tmp_path}/train.csv", f"data.eval_file={tmp_path}/scored.csv")
    overrides = [one for one in SMALL if one != "data=sample"]
    store, experiment = Store(tmp_path / "store"), plan_experiment(composed(*overrides, *files, "method=annotate", "shots=1"))
    make(experiment, store, says("容認できる"))
    dataset = training_rows(experiment, store)
    assert {row.texts[0] for row in (*dataset.train, *dataset.valid)} == {f"{word}が庭で遊ぶ。" for word in ("鳥", "馬", "牛", "羊")}
    assert dataset.rejects["acceptable"] == {"contamination": 2}


def test_an_llm_that_answers_no_question_gives_no_data_set(composed: Compose, tmp_path: Path) -> None:
    store, experiment = Store(tmp_path), plan_experiment(composed(*SMALL, "method=annotate", "method.answer=free"))
    make(experiment, store, client=AnsweringClient(write=lambda request: "さあ"))
    with pytest.raises(DataError, match=r"no usable answer to any of \d+ texts"):
        build_dataset(experiment, store)


def test_annotated_and_written_rows_together(composed: Compose, tmp_path: Path) -> None:
    store, experiment = Store(tmp_path), plan_experiment(composed(*SMALL, "method=annotate_japagen"))
    make(experiment, store, lambda prompt, reply: -random.Random(reply + prompt[-1]["content"]).random())
    dataset = training_rows(experiment, store)
    kinds = {row.id.partition("/")[0] for row in (*dataset.train, *dataset.valid)}
    assert kinds == {"annotated", "acceptable", "unacceptable"}


def test_mixed_rows_weigh_gold(composed: Compose, tmp_path: Path) -> None:
    overrides = (*SMALL, "method=mixed", "gold_per_label=3", "method.gold_weight=5")
    store, experiment = Store(tmp_path), plan_experiment(composed(*overrides))
    make(experiment, store)
    dataset = training_rows(experiment, store)
    assert [row.weight for row in dataset.train].count(5.0) == 6
    assert dataset.valid, "chosen on written rows: few gold rows select nothing"
    assert not any(row.weight == 5.0 for row in dataset.valid)
    assert "gold, 3 rows a label" in experiment.protocol
    other = plan_experiment(composed(*SMALL, "method=mixed", "gold_per_label=3"))
    assert other.keys["dataset"] == experiment.keys["dataset"]
    assert other.keys["model"] != experiment.keys["model"]


def test_mixed_with_all_gold_selects_on_held_out_gold(composed: Compose, tmp_path: Path) -> None:
    store, experiment = Store(tmp_path), plan_experiment(composed(*SMALL, "method=mixed"))
    make(experiment, store)
    assert experiment.train_gold is not None
    gold_texts = {row.texts for row in experiment.train_gold.examples}
    dataset = training_rows(experiment, store)
    assert {row.texts for row in dataset.valid} <= gold_texts
    assert not {row.texts for row in dataset.valid} & {row.texts for row in dataset.train}


@pytest.mark.parametrize("action", ["drop", "replace", "soften"])
def test_a_judge_changes_rows(composed: Compose, tmp_path: Path, action: str) -> None:
    store = Store(tmp_path)
    experiment = plan_experiment(composed(*SMALL, f"curate.judging={action}", "curate.contamination=off"))

    def rule(prompt: list[Message], reply: str) -> float:  # finds every third text acceptable, whatever it was written as
        right = "容認できる" if zlib.crc32(prompt[-1]["content"].encode()) % 3 == 0 else "容認できない"
        return -0.01 if reply == right else -3.0

    make(experiment, store, rule)
    dataset = training_rows(experiment, store)
    rows = (*dataset.train, *dataset.valid)
    meta = store.meta("dataset", experiment.keys["dataset"])
    if action == "drop":
        assert len(rows) + sum(counts.get("judged otherwise", 0) for counts in meta["rejects"].values()) == 40
        assert len(rows) < 40
    else:
        assert len(rows) == 40
        assert sum(sum(counts.values()) for counts in meta["changes"].values()) > 0
        assert all((row.probs is not None) == (action == "soften") for row in rows)


def test_a_judge_that_answers_nonsense_is_named(composed: Compose, tmp_path: Path) -> None:
    store, experiment = Store(tmp_path), plan_experiment(composed(*SMALL, "curate.judging=drop"))
    client = AnsweringClient()
    client.broken = set(range(1, 10_000))
    make(experiment, store, client=client)
    with pytest.raises(GenerationError, match="judg"):
        build_dataset(experiment, store)


def test_judgements_follow_a_stream_that_grows(composed: Compose, tmp_path: Path) -> None:
    store = Store(tmp_path)
    small, large = (plan_experiment(composed(*SMALL, f"num_per_label={n}", "curate.judging=soften")) for n in (10, 20))
    assert small.keys["judgements"] == large.keys["judgements"]
    make(small, store)
    client = AnsweringClient()
    for stage in large.llm_stages:
        asyncio.run(fill(large, stage, store, StubClient() if stage == "stream" else client, lambda progress: None))  # type: ignore[arg-type]
    assert all(is_complete(large, stage, store) for stage in large.llm_stages)
    asked = 2 * 10 * (2 + 1)
    assert len(client.requests) == asked, (
        "only the new texts were judged: the tokens of each label's chat, and what follows what they share"
    )


REPLY = '[{"name": "話題", "values": ["旅", "料理", "仕事"]}]'


def test_attributes_of_the_llms_own(composed: Compose, tmp_path: Path) -> None:
    store, experiment = Store(tmp_path), plan_experiment(composed(*SMALL, "prompt=kadg_auto"))
    assert experiment.llm_stages == ("attributes", "stream")
    with pytest.raises(GenerationError, match="not there yet"):
        stream_of(experiment, store)
    client = AnsweringClient(write=lambda request: REPLY if "項目" in request.messages[-1]["content"] else "さあ")
    make(experiment, store, client=client)
    asked = stream_of(experiment, store).ask("acceptable", 0)
    assert asked.attributes["話題"] in ("旅", "料理", "仕事")
    assert f"話題は「{asked.attributes['話題']}」です。" in asked.messages[-1]["content"]
    block = OmegaConf.load(store.path("attributes", experiment.keys["attributes"]) / "attributes.yaml")
    assert block.attributes[0] == {"name": "話題", "values": ["旅", "料理", "仕事"], "phrase": "話題は「{value}」です。"}


def test_an_llm_that_names_no_attributes_is_refused(composed: Compose, tmp_path: Path) -> None:
    store, experiment = Store(tmp_path), plan_experiment(composed(*SMALL, "prompt=kadg_auto"))
    client = AnsweringClient(write=lambda request: "さあ")
    with pytest.raises(GenerationError, match=r"named no attributes that can be used in 3 replies \(the first begins 'さあ'\)"):
        asyncio.run(fill(experiment, "attributes", store, client, lambda progress: None))  # type: ignore[arg-type]


def test_the_likeliest_half_is_kept(composed: Compose, tmp_path: Path) -> None:
    store, experiment = Store(tmp_path), plan_experiment(composed(*SMALL, "curate.keep_likeliest=0.5", "curate.contamination=off"))
    make(experiment, store, lambda prompt, reply: -len(reply) / 10)
    dataset = training_rows(experiment, store)
    assert len(dataset.train) + len(dataset.valid) == 20
    assert {label: counts["less probable"] for label, counts in dataset.rejects.items()} == {"acceptable": 10, "unacceptable": 10}


@pytest.mark.parametrize("prior", ["uniform", "given", "estimated", "oracle"])
def test_a_prior_weighs_training_rows(composed: Compose, tmp_path: Path, prior: str) -> None:
    values = ["curate.prior_values={acceptable: 0.8, unacceptable: 0.2}"] if prior == "given" else []
    store, experiment = Store(tmp_path), plan_experiment(composed(*SMALL, f"curate.prior={prior}", *values))
    make(experiment, store)
    rows = training_rows(experiment, store).train
    weights = {label: sum(row.weight for row in rows if row.label == label) for label in experiment.task.label_names}
    assert sum(weights.values()) == pytest.approx(len(rows))
    found = store.meta("dataset", experiment.keys["dataset"])["prior"]
    assert {label: weight / len(rows) for label, weight in weights.items()} == pytest.approx(found)
    if prior == "given":
        assert found == {"acceptable": 0.8, "unacceptable": 0.2}
    assert ("ORACLE" in experiment.protocol) == (prior == "oracle")


def test_missing_answers_are_said(composed: Compose, tmp_path: Path) -> None:
    experiment = plan_experiment(composed(*SMALL, "method=annotate"))
    with pytest.raises(MissingTextsError, match="answers are not all there"):
        build_dataset(experiment, Store(tmp_path))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["curate.prior=given", "curate.prior_values={acceptable: 0.8, unacceptable: 0.3}"], "their sum is 1.1"),
        (["curate.prior=given", "curate.prior_values={acceptable: 1.0}"], "must name each label once"),
        (["curate.prior=given"], "must name each label once"),
        (["curate.prior_values={acceptable: 1.0}"], "doesn't read it"),
        (["curate.judging=maybe"], "allowed: off, drop, replace, soften"),
        (["+llm@judge=demo"], "nothing is judged"),
        (["method=gold", "curate.judging=drop"], "method=gold has no texts written"),
        (["method=prompting", "curate.prior=uniform"], "method=prompting makes none"),
        (["method=prompting", "method.answer=free", "method.calibrate=true"], "needs method.answer=label"),
        (["method=prompting", "method.template=3"], "allowed: 0, 1, 2"),
        (["method=prompting", "method.answer=guess"], "allowed: label, channel, choice, free"),
        (["task=jsts", "train.ensemble_momentum=0.8"], "is for classification"),
        (["train.robust_q=1.5"], "allowed: 0"),
        (
            [
                "task=jcola",
                "task.labels=[{name: acceptable, instruction: b}, {name: unacceptable, instruction: d}]",
                "prompt.variants=true",
            ],
            "variants",
        ),
        (["synthesis.temperatures=[0.7, -1]"], "temperatures"),
        (["synthesis.verbalized=true", "synthesis.texts_per_request=1"], "allowed: 2 or more"),
        (["method=annotate", "prompt=kadg_auto"], "has none written"),
        (["curate.keep_likeliest=0"], "above 0, up to 1"),
    ],
)
def test_what_can_not_be_run_is_refused(composed: Compose, overrides: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        composed("task=jcola", *overrides)


def test_data_that_a_setting_needs_are_asked_for(composed: Compose) -> None:
    with pytest.raises(DataError, match=r"data\.unlabelled_file"):
        plan_experiment(composed("task=jcola", "data=files", "method=annotate"))
    with pytest.raises(DataError, match="scored on gold rows"):
        plan_experiment(composed("task=jcola", "data=files", "method=prompting"))
    with pytest.raises(DataError, match=r"prior=oracle"):
        plan_experiment(composed("task=jcola", "data=files", "curate.prior=oracle"))


def test_options_are_those_that_the_method_reads(composed: Compose) -> None:
    changed = ["method.answer=channel", "method.gold_weight=2", "train.epochs=1", "synthesis.temperatures=[0.5]", "curate.max_same_first=2"]
    found = {name: set(changed_options(composed("task=jcola", f"method={name}", *changed))) for name in METHODS}
    assert found == {
        "gold": {"train.epochs"},
        "prompting": {"method.answer"},
        "annotate": {"method.answer", "train.epochs", "curate.max_same_first"},
        "japagen": {"train.epochs", "synthesis.temperatures", "curate.max_same_first"},
        "mixed": {"method.gold_weight", "train.epochs", "synthesis.temperatures", "curate.max_same_first"},
        "annotate_japagen": {"method.answer", "train.epochs", "synthesis.temperatures", "curate.max_same_first"},
    }
