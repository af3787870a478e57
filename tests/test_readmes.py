"""README.ja.md says what README.md says: in as many sections, with the same code and links."""

import re

from tests.conftest import ROOT

OTHERS = {"README.md": "README.ja.md", "README.ja.md": "README.md"}
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMENT = re.compile(r"(?:^|\s+)#.*$")
LINK = re.compile(r"(!?)\[[^\]]*\]\(([^)\s]+)\)")


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def prose(name: str) -> str:
    return FENCED.sub("", read(name))


def code(name: str) -> list[tuple[str, list[str]]]:
    """Every block's language and lines, without comments, which are translated."""
    return [(language, [COMMENT.sub("", line) for line in block.splitlines()]) for language, block in FENCED.findall(read(name))]


def links(name: str) -> list[tuple[str, str]]:
    """Images and links by their targets; each file's link to the other one counts as the same."""
    return [(image, "the other README" if target == OTHERS[name] else target) for image, target in LINK.findall(prose(name))]


def sections(name: str) -> list[str]:
    return re.findall(r"^## .+$", prose(name), re.MULTILINE)


def test_the_same_number_of_sections() -> None:
    assert len(sections("README.ja.md")) == len(sections("README.md")) > 0


def test_the_same_code_but_for_comments() -> None:
    assert code("README.ja.md") == code("README.md") != []


def test_the_same_links_in_the_same_order() -> None:
    assert links("README.ja.md") == links("README.md") != []
