"""`--where`: which keys and values there are, and which configurations they leave."""

from dataclasses import replace

import pytest

from japagen.config.schema import Config
from japagen.errors import ConfigError
from japagen.reporting.filters import choose, parse_where, read_setting
from tests.conftest import Compose


@pytest.fixture
def configs(composed: Compose) -> list[Config]:
    plain = composed("task=jnli", "train.learning_rate=2e-5", "synthesis.temperatures=[0.1,10]")
    return [plain, replace(plain, seed=1), composed("task=jsts", "method=gold", "seed=1"), composed("task=jcola", "num_per_label=50")]


def chosen(configs: list[Config], *texts: str) -> list[int]:
    return choose(parse_where(texts), configs)


def test_values_are_alternatives_and_keys_hold_together(configs: list[Config]) -> None:
    assert chosen(configs) == [0, 1, 2, 3]
    assert chosen(configs, "task=jnli,jsts") == [0, 1, 2]
    assert chosen(configs, "task=jnli", "task=jsts") == [0, 1, 2]
    assert chosen(configs, "task=jnli,jsts", "seed=1") == [1, 2]
    assert chosen(configs, "method=gold", "data=sample", "split=valid", "llm=demo", "model=demo") == [2]
    assert chosen(configs, "num_per_label=50") == [3]


def test_any_setting_has_its_dotted_name_and_numbers_are_compared_as_such(configs: list[Config]) -> None:
    assert 0 in chosen(configs, "train.learning_rate=0.00002")
    assert chosen(configs, "synthesis.temperatures=[0.1,10]") == [0, 1]
    assert chosen(configs, "prompt.variants=false") == [0, 1, 2, 3]
    assert chosen(configs, "judge=null") == [0, 1, 2, 3]
    assert read_setting(configs[0], "judge.name") == "null"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("taks=jnli", r"no setting 'taks' \(did you mean 'task'\?\); the usual ones: task, method"),
        ("train.epoch=3", "did you mean 'train.epochs'"),
        ("train=3", "no setting 'train'"),
        ("task", "expected KEY=VALUE"),
        ("task=", "expected KEY=VALUE"),
        ("=jnli", "no setting ''"),
    ],
)
def test_unknown_keys_are_refused(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        parse_where([text])


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (["task=jnly"], r"task=jnly fits no experiment \(did you mean 'jnli'\?\); task: jnli, jsts, jcola"),
        (["task=jnli,jnly"], "task=jnly fits no experiment"),
        (["task=jcola", "method=gold"], "with the ones before it, method is only: japagen"),
    ],
)
def test_what_leaves_nothing_says_what_there_is(configs: list[Config], texts: list[str], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        chosen(configs, *texts)
