"""Every kind of error stands in docs/troubleshooting.md."""

import inspect

import pytest

from japagen import errors
from japagen.errors import JapagenError
from japagen.store import locks
from tests.conftest import ROOT

KINDS = {one for module in (errors, locks) for _, one in inspect.getmembers(module, inspect.isclass) if issubclass(one, JapagenError)}


@pytest.mark.parametrize("name", sorted(one.__name__ for one in KINDS))
def test_every_error_is_explained(name: str) -> None:
    assert f"\n| {name} | " in (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
