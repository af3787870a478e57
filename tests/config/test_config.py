"""The configuration: every shipped YAML composes, answers come at once, and what can't be run is refused in words."""

import subprocess
import sys
import time
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest

from japagen.config.composition import compose_sweep
from japagen.config.validation import to_config
from japagen.errors import ConfigError
from japagen.experiments.planning import plan_experiment
from japagen.tasks import Attribute, Label, Task, check_task
from tests.conftest import ROOT, Compose
from tests.stubs.run_py import run_py

GROUPS = ["task", "llm", "model", "method", "prompt", "curate", "train", "data", "logger", "site"]
EXPERIMENTS = sorted(path.stem for path in (ROOT / "conf" / "experiment").glob("*.yaml"))
SHIPPED = [(group, path.stem) for group in GROUPS for path in sorted((ROOT / "conf" / group).glob("*.yaml"))]


@pytest.mark.parametrize(("group", "name"), SHIPPED)
def test_every_shipped_yaml_composes_and_converts(composed: Compose, group: str, name: str) -> None:
    config = composed(f"{group}={name}", *(["shots=5"] if group == "llm" else []))  # base models need exemplars
    if group in ("task", "llm", "model", "method", "prompt", "site"):
        assert getattr(config, group).name == name


def test_every_experiment_composes_all_its_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAPAGEN_DATA_MIRROR", raising=False)
    jobs = {name: compose_sweep([f"+experiment={name}", "seed=0"]) for name in EXPERIMENTS}
    for name, configs in jobs.items():
        assert len({repr(config) for config in configs}) == len(configs) > 1, f"{name} has jobs that are the same"
        assert not any(config.data.source == "published" and config.task.published.unavailable for config in configs)
    grid = product(["jsts", "jnli", "jcola", "news"], [0, 3], ["base", "kadg"])
    assert {(config.task.name, config.shots, config.prompt.name) for config in jobs["paper"]} == set(grid)
    for name in ("paper", "paper-gold"):
        assert {config.seed for config in compose_sweep([f"+experiment={name}"], one_of=["task", "shots", "prompt"])} == {0, 1, 2}
    settings = {(config.num_per_label, config.method.name, config.llm.name, config.model.name) for config in jobs["paper"]}
    assert settings == {(25000, "japagen", "qwen3-swallow-8b", "bert-base-japanese-v3")}
    arms = {(config.method.name, config.gold_per_label, config.model.name, config.data.source) for config in jobs["paper-gold"]}
    assert arms == {("gold", "all", "bert-base-japanese-v3", "published")}
    assert {config.task.name for config in jobs["paper-gold"]} == {config.task.name for config in jobs["paper"]}
    assert all(config.llm.demo and config.model.demo for config in jobs["quickstart"])


def test_own_files_bring_the_papers_other_tasks_in() -> None:
    own = ["data=files", "data.eval_file=valid.csv", "data.train_file=train.csv"]
    configs = compose_sweep(["+experiment=paper", "task=marcja", "seed=0", *own])
    assert {(config.task.name, config.data.source, config.data.train_file) for config in configs} == {("marcja", "files", "train.csv")}
    assert len(configs) == 4


@pytest.mark.parametrize(
    ("overrides", "seeds"),
    [
        ([], (0, 0, 0)),
        (["seed=2"], (2, 2, 2)),
        (["seed=2", "draw=0"], (2, 0, 0)),
        (["draw=5"], (0, 5, 5)),
        (["seed=2", "draw=5", "synthesis.seed=7"], (2, 7, 5)),
        (["seed=2", "shots_seed=1"], (2, 2, 1)),
    ],
)
def test_a_draw_of_the_data_follows_the_seed(composed: Compose, overrides: list[str], seeds: tuple[int, ...]) -> None:
    (swept,) = compose_sweep(overrides)
    for config in (composed(*overrides), swept):
        assert (config.seed, config.synthesis.seed, config.shots_seed) == seeds


def test_an_experiment_has_one_key_in_a_sweep_or_alone(composed: Compose) -> None:
    swept = compose_sweep(["task=jcola", "shots=2", "seed=0,1,2"])
    alone = [composed("task=jcola", "shots=2", f"seed={seed}", f"synthesis.seed={seed}", f"shots_seed={seed}") for seed in range(3)]
    assert [plan_experiment(config).keys for config in swept] == [plan_experiment(config).keys for config in alone]
    assert plan_experiment(composed("draw=4", "synthesis.seed=1", "shots_seed=2")).keys == (
        plan_experiment(composed("synthesis.seed=1", "shots_seed=2")).keys
    ), "draw feeds the two seeds and enters no key"


def test_a_seed_that_is_refused_is_the_one_typed(composed: Compose) -> None:
    with pytest.raises(ConfigError, match=r"^seed=-1 "):
        composed("seed=-1")


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_says_what_it_is(name: str) -> None:
    lines = (ROOT / "conf" / "experiment" / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "# @package _global_", "Hydra reads it from the first line only"
    assert lines[1].startswith("# ")


@pytest.mark.parametrize(("group", "name"), SHIPPED)
def test_every_shipped_yaml_opens_with_a_comment(group: str, name: str) -> None:
    assert (ROOT / "conf" / group / f"{name}.yaml").read_text(encoding="utf-8").startswith("# ")


@pytest.mark.parametrize(
    ("override", "parts"),
    [
        ("shots=-1", ["shots=-1", "0 or more"]),
        ("num_per_label=0", ["num_per_label=0", "1 or more"]),
        ("gold_per_label=many", ["gold_per_label='many'", "all"]),
        ("gold_per_label=0", ["gold_per_label='0'"]),
        ("curate.contamination=reports", ["curate.contamination='reports'", "did you mean 'report'?", "drop"]),
        ("curate.contamination=ngram", ["curate.contamination=ngram is no more; set curate.contamination=drop"]),
        ("task.metric=accuracyy", ["metric='accuracyy'", "did you mean 'accuracy'?"]),
        ("task.metric=spearman", ["metric='spearman' does not score classification"]),
        ("task.target=regression", ["metric='accuracy' does not score regression"]),
        ("task.labels=[]", ["labels has 0 entries"]),
        ("task.fields=[text]", ["fields=['text']", "2 text column(s)"]),
        ("train.label_smoothing=1", ["train.label_smoothing=1.0"]),
        ("train.learning_rate=0", ["train.learning_rate=0.0"]),
        ("llm.sampling.top_p=0", ["llm.sampling.top_p=0.0"]),
        ("data.train_source=jnli_neg", ["data.train_source='jnli_neg' needs data.source=published"]),
        ("model.word_splitter=mecab", ["model.word_splitter='mecab'", "allowed: jumanpp"]),
        ("device=gpu", ["device='gpu'", "auto, cpu, cuda"]),
        ("task.name=../reviews", ["task '../reviews'", "it names folders"]),
        ("llm.base_url='http://me:secret@host/v1'", ["llm.base_url holds a password", "llm.api_key_env"]),
        ("llm.server.extra_args=[--api_key\\=secret]", ["--api-key, which japagen sets itself", "random key"]),
        ("llm.server.extra_args=[--host,0.0.0.0]", ["--host", "this machine only"]),
        ("llm.server.extra_args=[--chat-template,own.jinja]", ["--chat-template, which japagen sets itself", "llm.chat_template=FILE"]),
        ("llm.stop=['']", ["llm.stop=['']", "not empty"]),
        ("llm.stop=[x,x]", ["llm.stop=['x', 'x'] must be strings that differ"]),
        ("llm.chat_template=", ["llm.chat_template is empty", "plain (for base models)"]),
        ("llm.chat_template=plain", ["shots=0, but llm.chat_template=plain is for base models", "set shots=5"]),
        ("+foo=3", ["no setting 'foo'"]),
        ("+task.labell=3", ["task has no setting 'labell'", "did you mean 'label"]),
        ("seed=4294967296", ["seed=4294967296 is too large", "0 to 4294967295"]),
        ("train.learning_rate=nan", ["train.learning_rate=nan", "finite numbers"]),
        ("synthesis.temperatures=[1,inf]", ["synthesis.temperatures=inf", "finite numbers"]),
        ("store=", ["store is empty"]),
        ("llm.base_url=", ["llm.base_url='' is no address", "/v1"]),
        (
            "llm.max_cost=5",
            ["llm.max_cost=5", "set llm.price_per_million_tokens", "price_per_million_completion_tokens", "max_tokens_total"],
        ),
        ("llm.price_per_million_completion_tokens=5", ["llm.price_per_million_tokens (of prompts) is not"]),
        ("llm.max_tokens_total=0", ["llm.max_tokens_total=0"]),
        ("+llm.request_args.temperature=1", ["llm.request_args holds temperature, which japagen sets itself"]),
        ("llm.base_url=localhost:8000/v1", ["'localhost:8000/v1' is no address"]),
        ("llm.base_url='http://[::1/v1'", ["is no address"]),
        ("llm.base_url=http://host:99999/v1", ["is no address"]),
        ("llm.base_url='me:secret@[::1/v1'", ["llm.base_url holds a password"]),
        ("llm.server.port=65536", ["llm.server.port=65536 is too large", "1 to 65535"]),
        ("curate.near_duplicates=0", ["curate.near_duplicates=0.0", "above 0, up to 1, or null"]),
        ("task.min_chars=300", ["max_chars=50 is less than min_chars=300; raise the one or lower the other"]),
        ("task.first_instruction=''", ["first_instruction is empty, and a pair task needs one"]),
        ("task.name=${nowhere}", ["task.name: Interpolation key 'nowhere' not found"]),
    ],
)
def test_what_cannot_be_run_is_refused(composed: Compose, override: str, parts: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        composed(override)
    for part in parts:
        assert part in str(caught.value)
    assert "secret" not in str(caught.value)


BASE = ("llm.chat_template=plain", "shots=3")
SERVER = "llm.base_url=http://h/v1"


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ((*BASE, "synthesis.verbalized=true"), "synthesis.verbalized=true asks for a list in JSON, but llm.chat_template=plain"),
        ((*BASE, "prompt=kadg_auto"), "prompt=kadg_auto asks the LLM for attributes in JSON, but .* set prompt=kadg"),
        (("llm.chat_template=plain", "method=annotate", "method.answer=choice"), "shots=0, but .*set shots=5 .*method.answer=label"),
        (("llm.chat_template=plain", "method=annotate_japagen"), "shots=0, but .*set shots=5$"),
        ((SERVER, "llm.chat_template=own.jinja"), "server at llm.base_url runs already .* start it with --chat-template own.jinja"),
        (("+llm@judge=demo", "curate.judging=drop", "judge.base_url=http://h/v1", "judge.chat_template=x"), "judge.chat_template=x is set"),
        ((SERVER, "llm.stop=[a,b,c,d,e]"), "llm.stop names 5 strings, and OpenAI's API, .* takes 4; leave 1 out"),
        ((SERVER, *BASE, "llm.stop=[a,b,c,d]"), "llm.stop names 4 strings and plain adds one"),
    ],
)
def test_what_a_base_model_or_a_running_server_cannot_do_is_refused(composed: Compose, overrides: tuple[str, ...], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        composed("task=jcola", *overrides)


@pytest.mark.parametrize(
    "overrides",
    [
        ("llm.chat_template=plain", "method=gold"),
        ("llm.chat_template=plain", "method=prompting"),
        ("llm.chat_template=plain", "method=annotate", "method.answer=channel"),
        (*BASE, "method=prompting", "method.answer=free"),
        (*BASE, SERVER, "llm.stop=[a,b,c]"),
        (*BASE, "prompt.variants=true", "llm.stop=[a,b,c,d,e]"),
    ],
)
def test_what_a_base_model_can_do_is_taken(composed: Compose, overrides: tuple[str, ...]) -> None:
    composed("task=jcola", *overrides)


def test_line_ends_may_be_typed_as_two_characters(composed: Compose) -> None:
    assert composed(r'llm.stop=["\n","\t|"]').llm.stop_strings == ("\n", "\t|")
    assert composed('llm.stop=["\n"]').llm.stop_strings == ("\n",)
    with pytest.raises(ConfigError, match="must be strings that differ"):
        composed(r'llm.stop=["\n","' + '\n"]')


def test_regression_labels_must_be_numbers(composed: Compose) -> None:
    with pytest.raises(ConfigError, match=r"labels\.entailment\.score is missing"):
        composed("task.target=regression", "task.metric=spearman")


def test_labels_at_fault_are_named() -> None:
    for label, message in [
        (Label("b", "x"), "labels names b more than once"),
        (Label("a", "x", score=1.0), r"labels\.a\.score=1\.0 is set"),
    ]:
        with pytest.raises(ConfigError, match=message):
            check_task(Task(name="mail", fields=["text"], labels=[label, Label("b", "y")]))


def test_an_attribute_of_a_pair_is_for_all_labels(composed: Compose) -> None:
    task = replace(composed("task=jnli").task, attributes=[Attribute("who", ["a", "b"], "{value}", ["entailment"])])
    with pytest.raises(ConfigError, match=r"attributes\.who\.labels is set, but a pair's first sentence serves every label"):
        check_task(task)


def test_a_mapping_to_no_label_is_named() -> None:
    task = Task(name="mail", fields=["text"], labels=[Label("a", "x"), Label("b", "y")], label_map={"0": "a", "1": "c"})
    with pytest.raises(ConfigError, match="label_map leads to 'c', which is no label; labels: a, b"):
        check_task(task)


def test_unknown_train_source_names_the_known_one(composed: Compose) -> None:
    with pytest.raises(ConfigError, match=r"did you mean 'jnli_neg'"):
        composed("data=published", "data.train_source=jnli_ng")


def test_a_task_of_ones_own_comes_from_config_dir(tmp_path: Path) -> None:
    (tmp_path / "task").mkdir()
    task = "name: mine\nsystem: 文を書きます。\nfields: [text]\nlabels:\n- {name: a, instruction: 甲}\n- {name: b, instruction: 乙}\n"
    (tmp_path / "task" / "mine.yaml").write_text(task, encoding="utf-8")
    printed = run_py("--config-dir", str(tmp_path), "task=mine", "--cfg", "job")
    assert printed.returncode == 0
    assert "name: mine" in printed.stdout


def test_a_folder_that_shadows_a_setting_is_named(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    printed = run_py("--config-dir", str(tmp_path), f"store={tmp_path / 'store'}")
    assert printed.returncode != 0
    assert "a folder 'store' stands in --config-dir" in printed.stderr


@pytest.mark.parametrize(
    ("argument", "parts"),
    [
        ("task=jnil", ["task='jnil' is not known", "did you mean 'jnli'?", "jcola, jnli, jsts"]),
        ("llm=demmo", ["llm='demmo' is not known", "did you mean 'demo'?"]),
        ("shotz=1", ["no setting 'shotz'", "did you mean 'shots'?"]),
        ("llm.sampling.temprature=1", ["llm.sampling has no setting 'temprature'", "did you mean 'temperature'?"]),
        ("shots=abc", ["shots must be a whole number; found 'abc'"]),
        ("shots=-1", ["shots=-1 is too small; allowed: 0 or more"]),
        ("llm.id=/no/such/model", ["llm.id='/no/such/model'", "no folder"]),
        ("shots=1000", ["shots=1000 is too many", "allowed: up to"]),
        ("llm.max_model_len=64", ["llm.max_model_len=64 is too small", "llm.sampling.max_tokens"]),
        ("llm.sampling.max_tokens", ["'llm.sampling.max_tokens' is no setting; settings are typed NAME=VALUE"]),
        ("hydra/launcher=slurm", ["hydra/launcher=slurm takes sweeps: add -m"]),
    ],
)
def test_messages_of_the_command(argument: str, parts: list[str]) -> None:
    printed = run_py(argument, "store=/nonexistent/never-written")
    assert printed.returncode != 0
    assert "Traceback" not in printed.stderr
    for part in parts:
        assert part in printed.stderr


@pytest.mark.parametrize("arguments", [["--cfg", "job"], ["--help"]])
def test_answers_come_without_heavy_imports(arguments: list[str]) -> None:
    program = (
        "import sys, runpy; sys.argv = ['run.py', *sys.argv[1:]]\n"
        "try: runpy.run_path('run.py', run_name='__main__')\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'transformers', 'pytorch_lightning', 'wandb', 'numpy', 'submitit', 'aiohttp'} & set(sys.modules)\n"
        "sys.exit(f'imported: {heavy}' if heavy else 0)"
    )
    printed = subprocess.run(
        [sys.executable, "-c", program, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert printed.returncode == 0, printed.stderr
    assert "jnli" in printed.stdout


def test_debug_shows_the_traceback() -> None:
    done = run_py("--debug", "num_per_label=0")
    assert done.returncode != 0
    assert "Traceback" in done.stderr
    assert "num_per_label=0 is too small" in done.stderr


def test_a_sweep_with_one_bad_job_starts_nothing(tmp_path: Path) -> None:
    started = time.monotonic()
    printed = run_py("-m", "shots=0,-1", f"store={tmp_path / 'store'}")
    assert printed.returncode != 0
    assert "1 of 2 experiments can't be run, so none was started" in printed.stderr
    assert not (tmp_path / "store").exists()
    assert time.monotonic() - started < 60


def test_conversion_refuses_a_foreign_configuration() -> None:
    from omegaconf import OmegaConf

    with pytest.raises(ConfigError, match="is not japagen's"):
        to_config(OmegaConf.create({"task": "x"}))
