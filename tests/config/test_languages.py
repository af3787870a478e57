"""Languages by code and by name."""

import pytest

from japagen.config.languages import NAMES, check_language, find_language, names_of
from japagen.errors import ConfigError
from tests.conftest import Compose


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("en", "en"), ("EN", "en"), (" English ", "en"), ("英語", "en"), ("日本語", "ja"), ("jp", "ja"),
        ("Deutsch", "de"), ("ドイツ語", "de"),
        ("中文", "zh"), ("한국어", "ko"), ("Norwegian", "no"), ("norwegian bokmål", "nb"), ("la", "la"),
    ],
)  # fmt: skip
def test_a_language_is_found_by_any_of_its_names(text: str, code: str) -> None:
    assert find_language(text) == code


def test_every_code_is_found_by_itself_and_by_its_name() -> None:
    assert len(NAMES) == 183
    for code, name in NAMES.items():
        assert find_language(code) == find_language(name) == code
        assert name in names_of(code)
        check_language("task.language", code)


@pytest.mark.parametrize(("text", "meant"), [("Englsh", "'en', English"), ("Germn", "'de', German"), ("日本", "'ja', Japanese")])
def test_what_is_no_language_is_refused_with_the_nearest_and_codes(text: str, meant: str) -> None:
    with pytest.raises(
        ConfigError, match=rf"'{text}' is no language .* \(did you mean {meant}\?\); give a code of ISO 639-1: ja \(Jap.*183"
    ):
        find_language(text)


def test_the_setting_takes_codes_only(composed: Compose) -> None:
    assert composed("task.language=ko").task.language == "ko"
    with pytest.raises(ConfigError, match=r"task\.language='English' is not known \(did you mean 'en', English\?\); allowed: '' for any"):
        composed("task.language=English")
