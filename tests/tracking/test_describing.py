"""What an experiment is called in W&B, and that its configuration tells nothing of this machine."""

import json
from pathlib import Path

from japagen.experiments.experiment import run_name
from japagen.experiments.planning import plan_experiment
from japagen.tracking.describing import tags_of, tracked_config, without_paths
from tests.conftest import Compose


def test_the_tracked_config_has_no_paths_no_exemplars_and_no_keys(composed: Compose, tmp_path: Path) -> None:
    (tmp_path / "persons.txt").write_text("店の主人\n学生\n", encoding="utf-8")
    personal = ["site.scratch=/secret/scratch", "+site.environment.TOKEN=abc123", "llm.base_url=http://secret.host/v1", "llm.id=gpt"]
    overrides = ["shots=2", "store=/secret/place", "data.cache=/secret/cache", f"prompt.personas={tmp_path}/persons.txt", *personal]
    experiment = plan_experiment(composed(*overrides))
    sent = json.dumps(tracked_config(experiment), ensure_ascii=False)
    for part in ("secret", "abc123", "api_key", str(tmp_path), "店の主人"):
        assert part not in sent
    for examples in experiment.exemplars.values():
        assert not any(example.texts[0] in sent for example in examples)
    assert without_paths(run_name(experiment), experiment) == "jnli-japagen-2-shot-demo-demo-personas=persons.txt-seed0"


def test_a_template_is_called_by_its_file_s_name(composed: Compose, tmp_path: Path) -> None:
    file = tmp_path / "own.jinja"
    file.write_text("{% for turn in messages %}{{ turn['content'] }}{% endfor %}", encoding="utf-8")
    assert tracked_config(plan_experiment(composed(f"llm.chat_template={file}")))["llm"]["chat_template"] == "own.jinja"
    assert tracked_config(plan_experiment(composed("llm.chat_template=plain", "shots=2")))["llm"]["chat_template"] == "plain"


def test_a_model_in_a_folder_is_called_by_its_name(composed: Compose) -> None:
    from japagen.hub.models import locate

    folder = locate("package:demo/encoder")
    experiment = plan_experiment(composed(f"model.id={folder}"))
    assert tracked_config(experiment)["model"]["id"] == "encoder"
    assert tracked_config(plan_experiment(composed()))["model"]["id"] == "package:demo/encoder"


def test_runs_of_both_prompts_have_names_of_their_own(composed: Compose) -> None:
    base, kadg = (run_name(plan_experiment(composed(f"prompt={prompt}"))) for prompt in ("base", "kadg"))
    assert base == "jnli-japagen-0-shot-demo-demo-seed0"
    assert kadg == "jnli-japagen-0-shot-kadg-demo-demo-seed0"


def test_tags_name_task_method_and_models_once(composed: Compose) -> None:
    assert tags_of(plan_experiment(composed())) == ["jnli", "japagen", "demo"]
    named = plan_experiment(composed("llm.name=" + "a" * 99, "model.name=bert", "llm.demo=false", "model.demo=false"))
    assert tags_of(named) == ["jnli", "japagen", "a" * 64, "bert", "demo"]
    assert tags_of(plan_experiment(composed("method=gold", "model.name=bert"))) == ["jnli", "gold", "bert", "demo"]
