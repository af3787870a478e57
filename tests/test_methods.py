"""Planning an experiment: keys before work, what gold data may be seen, and what results may be called."""

from pathlib import Path

import pytest

from japagen.errors import ConfigError, DataError
from japagen.methods import gold_rows, plan_experiment
from tests.conftest import MIRROR, Compose, needs_mirror


def test_zero_shot_reads_no_training_row(composed: Compose) -> None:
    experiment = plan_experiment(composed())
    assert experiment.train_gold is None
    assert set(experiment.keys) == {"stream", "dataset", "model", "result"}


def test_few_shot_sees_its_exemplars_only(composed: Compose) -> None:
    experiment = plan_experiment(composed("shots=2"))
    assert {label: len(rows) for label, rows in experiment.exemplars.items()} == {"entailment": 2, "contradiction": 2, "neutral": 2}
    shown = experiment.stream.second_ask("neutral", 0, "犬が走る。").messages
    texts = {row.texts[0] for rows in experiment.exemplars.values() for row in rows}
    assert experiment.train_gold is not None
    for row in experiment.train_gold.examples:
        assert any(row.texts[0] in message["content"] for message in shown) == (row.texts[0] in texts)


def test_gold_needs_no_llm(composed: Compose) -> None:
    experiment = plan_experiment(composed("method=gold"))
    assert set(experiment.keys) == {"model", "result"}
    assert not experiment.needs_llm
    assert experiment.protocol == "gold, all rows"


def test_gold_selects_on_held_out_training_rows(composed: Compose) -> None:
    config = composed("method=gold")
    experiment = plan_experiment(config)
    assert experiment.train_gold is not None
    assert experiment.evaluation is not None
    train, valid = gold_rows(config, experiment.train_gold)
    assert len(train) + len(valid) == len(experiment.train_gold.examples)
    assert valid
    assert not {row.texts for row in (*train, *valid)} & {row.texts for row in experiment.evaluation.examples}


def test_few_gold_selects_on_nothing(composed: Compose) -> None:
    config = composed("method=gold", "gold_per_label=3")
    experiment = plan_experiment(config)
    assert experiment.train_gold is not None
    train, valid = gold_rows(config, experiment.train_gold)
    assert (len(train), len(valid)) == (9, 0)


def test_what_llm_or_encoder_have_seen_is_never_called_zero_shot(composed: Compose) -> None:
    assert plan_experiment(composed()).protocol == "0 shots, LLM tuned on this task's train split, encoder too"
    assert plan_experiment(composed("task=news")).protocol == "0 shots, LLM tuned on texts made for this task, encoder too"
    assert plan_experiment(composed("llm.seen=[]")).protocol == "0 shots, encoder tuned on this task's train split"
    other = "model.seen=[jcola/train]"
    assert plan_experiment(composed(other)).protocol == "0 shots, LLM tuned on this task's train split"
    assert plan_experiment(composed(other, "llm.seen=[unknown]")).protocol == "zero-shot, LLM's tuning data unknown"
    assert plan_experiment(composed(other, "llm.seen=[jsts/train]")).protocol == "zero-shot"
    assert plan_experiment(composed(other, "llm.seen=[]", "shots=2")).protocol == "2 shots"


def test_demo_parts_and_smoke_data_make_a_demo_result(composed: Compose, tmp_path: Path) -> None:
    real = ["model.demo=false", "llm.demo=false"]
    gold = tmp_path / "gold.csv"
    gold.write_text("sentence1,sentence2,label\n犬が走る。,動物が走る。,entailment\n", encoding="utf-8")
    files = ["data=files", f"data.eval_file={gold}"]
    assert plan_experiment(composed()).is_demo
    assert plan_experiment(composed(*real)).is_demo, "smoke data"
    assert plan_experiment(composed(*real, *files)).is_demo is False
    assert plan_experiment(composed(*files)).is_demo


def test_runs_that_need_labelled_rows_say_so(composed: Compose) -> None:
    with pytest.raises(DataError, match=r"shots=1 needs labelled train rows.*data\.train_file"):
        plan_experiment(composed("data=files", "shots=1"))
    with pytest.raises(DataError, match="method=gold needs labelled train rows"):
        plan_experiment(composed("data=files", "method=gold"))


def test_a_task_without_gold_is_planned_too(composed: Compose) -> None:
    experiment = plan_experiment(composed("data=files"))
    assert experiment.evaluation is None


def test_a_prompt_longer_than_the_context_is_refused(composed: Compose) -> None:
    with pytest.raises(ConfigError, match=r"llm\.max_model_len=128 is too small for task 'jnli'"):
        plan_experiment(composed("llm.max_model_len=128"))


def test_running_settings_change_no_key(composed: Compose) -> None:
    one, other = (
        plan_experiment(composed()),
        plan_experiment(composed("store=elsewhere", "device=cpu", "logger=none", "synthesis.concurrency=3")),
    )
    assert one.keys == other.keys


@needs_mirror
def test_jcola_is_scored_out_of_domain_as_well(composed: Compose) -> None:
    experiment = plan_experiment(composed("task=jcola", "data=published", f"data.mirror={MIRROR}"))
    assert {name: len(split.examples) for name, split in experiment.also_scored.items()} == {"out_of_domain_valid": 685}
    alone = plan_experiment(composed("task=jcola", "data=published", f"data.mirror={MIRROR}", "task.published.also_scored=[]"))
    assert alone.keys["stream"] == experiment.keys["stream"]
    assert alone.keys["dataset"] != experiment.keys["dataset"]  # contamination is checked against both splits


@pytest.mark.parametrize("name", ["marcja", "covid19"])
@pytest.mark.parametrize("method", ["japagen", "gold"])
def test_gold_data_that_nobody_can_have_are_refused_with_what_to_do(composed: Compose, name: str, method: str) -> None:
    with pytest.raises(DataError, match=r"data\.eval_file=FILE.*WRIME"):
        plan_experiment(composed(f"task={name}", f"method={method}", "data=published"))


def test_every_value_that_may_be_drawn_is_measured_against_the_context(composed: Compose) -> None:
    longest = "とても長い種類" * 60
    config = composed("task=marcja", "prompt=kadg", "llm.max_model_len=256")
    config.task.attributes[0].values.append(longest)
    with pytest.raises(ConfigError, match="max_model_len"):
        plan_experiment(config)
