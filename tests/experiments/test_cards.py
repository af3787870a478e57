"""Cards: front matter that the hub reads, the licences of all that took part, and nothing of this machine or of users' texts."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from japagen.curation.dataset import Dataset, dataset_card
from japagen.curation.licenses import HUB_LICENSES, LicensedSource, hub_license, name_prefixes
from japagen.experiments.cards import dataset_sources, making, model_card, model_sources
from japagen.experiments.planning import Planner, plan_experiment
from japagen.hub.models import PACKAGE
from japagen.tasks import Example, Task
from tests.conftest import MIRROR, ROOT, Compose, needs_mirror

COMMIT = "0" * 40
LLAMA = ["llm=llama-3.1-swallow-8b", f"llm.revision={COMMIT}"]


def front_matter(card: str) -> dict[str, Any]:
    assert card.startswith("---\n")
    content = yaml.safe_load(card.split("---\n")[1])
    assert isinstance(content, dict)
    return content


def made_with(*licenses: str) -> list[LicensedSource]:
    return [LicensedSource("language model", "x", one) for one in licenses]


@pytest.mark.parametrize(
    ("licenses", "front"),
    [
        (["Apache-2.0"], {"license": "apache-2.0"}),
        (["MIT", "Apache-2.0"], {"license": "mit"}),
        (["Apache-2.0", "CC BY-SA 4.0"], {"license": "cc-by-sa-4.0"}),
        (["Apache-2.0 + Gemma Terms of Use"], {"license": "gemma"}),
        (["MIT", "Llama 3.1 Community License + Gemma Terms of Use"],
         {"license": "other", "license_name": "Llama 3.1 Community License + Gemma Terms of Use"}),
        (["MIT", "CC BY-ND 2.1 JP"], {"license": "other", "license_name": "CC BY-ND 2.1 JP"}),
        (["unknown", "MIT"], {"license": "unknown"}),
        ([], {"license": "unknown"}),
    ],
)  # fmt: skip
def test_the_license_that_asks_most_is_the_front_matters(licenses: list[str], front: dict[str, str]) -> None:
    assert hub_license(made_with(*licenses)) == front


def test_exemplars_are_named_and_decide_no_license() -> None:
    assert hub_license([*made_with("MIT"), LicensedSource("exemplars", "x", "CC BY-SA 4.0")]) == {"license": "mit"}


def test_the_hub_knows_the_licenses_of_shipped_models() -> None:
    for path in (ROOT / "conf" / "llm").glob("*.yaml"):
        llm = yaml.safe_load(path.read_text(encoding="utf-8"))
        assert set(llm["license"].split(" + ")) <= HUB_LICENSES.keys() | {"OpenAI Terms of Use"}  # `other` on the hub
        assert llm.get("license_name_prefix", "") == ("Llama" if "Llama" in llm["license"] else ""), path.name
    for path in (ROOT / "conf" / "model").glob("*.yaml"):
        assert yaml.safe_load(path.read_text(encoding="utf-8"))["license"] in HUB_LICENSES


def test_a_students_card_names_all_that_took_part(composed: Compose) -> None:
    judge = ["+llm@judge=demo", "curate.judging=drop", "judge.id=x/y", f"judge.revision={COMMIT}", "judge.license=Gemma Terms of Use"]
    experiment = Planner(tentative=True).plan(composed("task=jcola", "method=mixed", "shots=1", *judge))
    sources = model_sources(experiment)
    assert [one.role for one in sources] == ["encoder", "language model", "judge", "exemplars", "gold rows"]
    card = model_card(experiment, 90)
    front = front_matter(card)
    assert front["license"] == "other"
    assert front["license_name"] == "CC BY-SA 4.0 + Gemma Terms of Use"
    assert front["pipeline_tag"] == "text-classification"
    assert "base_model" not in front, "the demo encoder is not on the hub"
    for part in (
        f"| judge | x/y at {COMMIT} | Gemma Terms of Use |",
        "| gold rows | sample (smoke data) | CC0-1.0 |",
        "Demo:",
        "90 training",
    ):
        assert part in card, part


def test_a_student_of_llamas_texts_is_called_so(composed: Compose) -> None:
    experiment = Planner(tentative=True).plan(
        composed("task=jcola", *LLAMA, "model=modernbert-ja-30m", f"model.revision={COMMIT}", "data=files", "num_per_label=4")
    )
    card = model_card(experiment, 90)
    assert "\n# Llama-modernbert-ja-30m for " in card
    assert "**Built with Llama**" in card
    assert "must have a name that starts with 'Llama'" in card
    assert front_matter(card)["base_model"] == "sbintuitions/modernbert-ja-30m"
    assert "Demo" not in card
    assert name_prefixes(dataset_sources(experiment)) == ["Llama"]


def test_a_judge_of_llamas_reaches_the_name_too(composed: Compose) -> None:
    judge = ["+llm@judge=llama-3.1-swallow-8b", f"judge.revision={COMMIT}", "curate.judging=drop"]
    assert name_prefixes(model_sources(Planner(tentative=True).plan(composed("task=jcola", *judge)))) == ["Llama"]


def test_a_gold_student_learned_from_gold_rows_only(composed: Compose) -> None:
    experiment = plan_experiment(composed("task=jcola", "method=gold"))
    assert dataset_sources(experiment) == ()
    assert [one.role for one in model_sources(experiment)] == ["encoder", "gold rows"]
    assert "language model" not in model_card(experiment, 9)


def test_texts_of_the_users_are_told_and_their_folder_is_not(composed: Compose, tmp_path: Path) -> None:
    texts = tmp_path / "secret" / "mails.csv"
    texts.parent.mkdir()
    texts.write_text("sentence\n秘密の文です。\n", encoding="utf-8")
    encoder = tmp_path / "own-encoder"
    encoder.symlink_to(PACKAGE / "demo" / "encoder")
    config = composed("task=jcola", "method=annotate")
    config.data.unlabelled_file, config.model.id = str(texts), str(encoder)
    experiment = plan_experiment(config)
    dataset = Dataset((Example(("秘密の文です。",), "acceptable", None, "annotated/0"),), (), {}, ())
    cards = dataset_card(config.task, dataset, making(experiment), dataset_sources(experiment)) + model_card(experiment, 9)
    assert "**Rows whose id begins with `annotated/` hold texts that no model wrote: files: mails.csv, licence the user's own.**" in cards
    assert "| encoder | local folder own-encoder at " in cards
    assert str(tmp_path) not in cards
    assert "秘密" not in cards


@pytest.mark.parametrize(
    ("overrides", "texts"),
    [
        (["data=sample"], LicensedSource("texts", "sample (smoke data)", "CC0-1.0")),
        (["data=files", "data.train_file=FOLDER/more.csv"], LicensedSource("texts", "files: more.csv", "the user's own")),
        pytest.param(
            ["data=published", f"data.mirror={MIRROR}"],
            LicensedSource("texts", "JCoLA v1.0 train, without its labels", "CC BY-SA 4.0"),
            marks=needs_mirror,
        ),
    ],
)
def test_annotated_texts_of_a_train_split_are_told_too(
    composed: Compose, tmp_path: Path, overrides: list[str], texts: LicensedSource
) -> None:
    (tmp_path / "more.csv").write_text("sentence,label\n犬が走る。,0\n", encoding="utf-8")
    filled = [one.replace("FOLDER", str(tmp_path)) for one in overrides]
    experiment = plan_experiment(composed("task=jcola", "method=annotate", *filled))
    assert [one for one in dataset_sources(experiment) if one.role == "texts"] == [texts]


def test_a_template_and_stop_strings_are_told(composed: Compose) -> None:
    base = making(plan_experiment(composed("task=jcola", "shots=2", "llm.chat_template=plain", "llm.stop=['。']")))
    assert (base["chat template"], base["replies end at"]) == ("plain", '["。"]')
    assert not {"chat template", "replies end at"} & making(plan_experiment(composed("task=jcola"))).keys()


def test_files_named_in_options_lose_their_folder(composed: Compose, tmp_path: Path) -> None:
    persons = tmp_path / "persons.txt"
    persons.write_text("店の主人\n学生\n", encoding="utf-8")
    config = composed("task=jcola")
    config.prompt.personas = str(persons)
    assert making(plan_experiment(config))["options"] == "prompt.personas=persons.txt"


@pytest.mark.parametrize("name", ["jcola", "jsts"])
def test_a_data_sets_card_says_what_its_columns_are(composed: Compose, name: str) -> None:
    task: Task = composed(f"task={name}").task
    task.title = '"A": title #1'
    task.labels[0].name = "a|b"
    probs = (1.0,) + (0.0,) * (len(task.labels) - 1)
    row = Example(("犬が走る。",) * task.num_turns, "a|b", 0.0 if task.is_regression else None, "a|b/0", probs, 2.0)
    card = dataset_card(task, Dataset((row,), (), {"a|b": {"too short": 3}}, ()), {"method": "japagen"}, made_with("MIT"))
    front = front_matter(card)
    assert front["pretty_name"] == 'Synthetic data for "A": title #1'
    assert front["configs"][0]["data_files"] == [
        {"split": "train", "path": "train.parquet"},
        {"split": "validation", "path": "valid.parquet"},
    ]
    assert "| a\\|b | 1 | too short 3 |" in card
    assert "`label_probs`" in card
    assert "`weight`" in card
    assert ("a number, 0.0 to 5.0" in card) == task.is_regression
