"""Errors in words: only a fault of ours shows a traceback."""

from japagen.cli import explain, known_settings
from japagen.errors import ConfigError, nearest


def test_faults_of_the_user_are_one_message() -> None:
    assert explain(ConfigError("shots=-1 is too small")) == "error: shots=-1 is too small"


def test_faults_of_ours_are_not_explained_away() -> None:
    assert explain(ZeroDivisionError("x")) is None


def test_known_settings_follow_the_schema() -> None:
    assert "temperature" in known_settings("llm.sampling")
    assert "instruction" in known_settings("task.labels[0]")
    assert "sha256" in known_settings("task.published.splits")
    assert known_settings("no.such.place") == []


def test_the_nearest_name_is_offered_only_when_it_is_near() -> None:
    assert nearest("jnil", ["jnli", "jsts"]) == " (did you mean 'jnli'?)"
    assert nearest("xyz", ["jnli", "jsts"]) == ""
