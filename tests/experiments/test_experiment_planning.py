"""Planning an experiment: keys before work, what gold data may be seen, and what results may be called."""

from http.client import HTTPResponse
from pathlib import Path
from urllib.error import URLError

import pytest

from japagen.errors import ConfigError, DataError, JapagenError, UnreachableError
from japagen.experiments.llm_work import llm_work
from japagen.experiments.planning import Planner, gold_rows, plan_experiment
from tests.conftest import MIRROR, Compose, needs_mirror


def test_zero_shot_reads_no_training_row(composed: Compose) -> None:
    experiment = plan_experiment(composed())
    assert experiment.train_gold is None
    assert set(experiment.keys) == {"stream", "dataset", "model", "result"}


def test_few_shot_sees_its_exemplars_only(composed: Compose) -> None:
    experiment = plan_experiment(composed("shots=2"))
    assert {label: len(rows) for label, rows in experiment.exemplars.items()} == {"entailment": 2, "contradiction": 2, "neutral": 2}
    shown = [*experiment.stream.ask("", 0).messages, *experiment.stream.second_ask("neutral", 0, "犬が走る。").messages]
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


@pytest.mark.parametrize(
    ("overrides", "draw"),
    [
        (["shots=0"], {"synthesis.seed": 4}),
        (["shots=2"], {"synthesis.seed": 4, "shots_seed": 4}),
        (["shots=2", "draw=1", "shots_seed=3"], {"synthesis.seed": 1, "shots_seed": 3}),
        (["method=gold"], {}),
        (["method=gold", "gold_per_label=8"], {"shots_seed": 4}),
        (["method=mixed"], {"synthesis.seed": 4}),
        (["method=prompting"], {}),
        (["method=prompting", "shots=1"], {"shots_seed": 4}),
        (["method=annotate"], {}),
        (["method=annotate", "method.num_texts=9"], {"shots_seed": 4}),
    ],
)
def test_a_draw_is_of_the_seeds_that_decide_the_data(composed: Compose, overrides: list[str], draw: dict[str, int]) -> None:
    assert plan_experiment(composed("task=jcola", "seed=4", *overrides)).draw == draw


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


def test_a_judge_is_asked_in_the_form_of_its_own_template(composed: Compose) -> None:
    for writer, judge in (("null", "plain"), ("plain", "null")):
        judging = ("shots=2", "curate.judging=drop", "+llm@judge=demo", f"judge.chat_template={judge}")
        experiment = plan_experiment(composed("task=jcola", f"llm.chat_template={writer}", *judging))
        prompts, _ = next(llm_work(experiment, "judgements").longest())
        for template, roles in ((writer, [turn["role"] for turn in experiment.stream.ask("acceptable", 0).messages]),
                                (judge, [turn["role"] for turn in prompts[0][:-1]])):  # fmt: skip
            assert (roles == ["user"]) == (template == "plain")


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


@pytest.fixture
def unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    """No publisher's server answers."""

    def refuse(url: str) -> HTTPResponse:
        raise URLError("no such host")

    monkeypatch.setattr("japagen.gold.published.open_url", refuse)
    monkeypatch.delenv("JAPAGEN_DATA_MIRROR", raising=False)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["data=files", "data.eval_file={}/none.csv", "method=prompting"], r"none\.csv does not exist"),
        (["data=files", "data.eval_file={}/broken.jsonl"], r"broken\.jsonl:1: not JSON"),
        (["data=files", "data.train_file={}/none.csv", "method=gold"], r"none\.csv does not exist"),
        (["data.unlabelled_file={}/none.csv", "method=annotate"], r"none\.csv does not exist"),
        (["prompt.personas={}/none.csv"], r"none\.csv"),
        (["data=published", "data.cache={}/cache", "method=prompting"], r"valid-v1\.3\.json: sha256 is"),
        (["data=published", "data.cache={}/broken.jsonl"], "can't be (downloaded to|read)"),
        (["data=published", "data.split=tset"], r"data\.split='tset' is no split of"),
        (["data=published", "task=covid19"], "can't be downloaded: "),
    ],
)
def test_a_look_ahead_refuses_what_a_run_refuses(
    composed: Compose, tmp_path: Path, unreachable: None, overrides: list[str], words: str
) -> None:
    (tmp_path / "broken.jsonl").write_text('{"a"', encoding="utf-8")
    cached = tmp_path / "cache" / "JGLUE" / "jnli-v1.3" / "valid-v1.3.json"
    cached.parent.mkdir(parents=True)
    cached.write_text("cut of", encoding="utf-8")
    config = composed(*(one.format(tmp_path) for one in overrides))
    for tentative in (False, True):
        with pytest.raises(JapagenError, match=words) as caught:
            Planner(tentative).plan(config)
        assert not isinstance(caught.value, UnreachableError)


@pytest.mark.parametrize("method", ["prompting", "gold", "annotate", "japagen"])
def test_a_look_ahead_goes_on_without_a_publishers_file(composed: Compose, tmp_path: Path, unreachable: None, method: str) -> None:
    texts = ["method.num_texts=50"] if method == "annotate" else []
    config = composed(f"method={method}", "data=published", f"data.cache={tmp_path}", *texts)
    planner = Planner(tentative=True)
    experiment = planner.plan(config)
    mirrored = Planner(tentative=True)
    assert mirrored.plan(composed("data=published", f"data.mirror={tmp_path}")).evaluation is None
    assert "the mirror folder" in mirrored.unknown[0]
    assert experiment.evaluation is None
    assert [line.partition(" ")[2][:19] for line in planner.unknown] == ["can't be downloaded"] * (
        2 if method in ("gold", "annotate") else 1
    )
    assert len(experiment.asked_texts) == (50 if texts else 0)
    with pytest.raises(UnreachableError, match="can't be downloaded"):
        plan_experiment(config)


def test_what_one_experiment_does_not_know_hides_no_fault_of_another(composed: Compose, tmp_path: Path, unreachable: None) -> None:
    planner = Planner(tentative=True)
    planner.plan(composed("data=published", f"data.cache={tmp_path}"))
    with pytest.raises(DataError, match="method=gold needs labelled train rows"):
        planner.plan(composed("data=files", "method=gold"))
    with pytest.raises(DataError, match="method=prompting is scored on gold rows"):
        planner.plan(composed("data=files", "method=prompting"))


def test_planning_may_stop_after_the_stages_of_the_llm(composed: Compose) -> None:
    judged = ("method=mixed", "curate.judging=drop", "data=sample")
    whole, part = plan_experiment(composed(*judged)), Planner().plan(composed(*judged, "model.id=./nowhere"), until="llm")
    assert list(part.keys) == ["stream", "judgements"]
    assert part.keys.items() < whole.keys.items()
    absent = Planner().plan(composed("data=published", "data.mirror=/nowhere"), until="llm")
    assert absent.evaluation is None, "no gold row is shown or asked about"
