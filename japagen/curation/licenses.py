"""What an artifact was made of, and what the licenses of that ask: lines of cards, and what `japagen export` holds a name against.

In: `Source`s, which meta.json keeps. Out: front matter as the Hugging Face hub reads it, and Markdown. A note is the YAML's
`license_note`; nothing is added to it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

HUB_LICENSES = {
    "CC0-1.0": "cc0-1.0",
    "Apache-2.0": "apache-2.0",
    "MIT": "mit",
    "CC BY-SA 4.0": "cc-by-sa-4.0",
    "Gemma Terms of Use": "gemma",
    "Llama 3.1 Community License": "llama3.1",
    "Llama 3.3 Community License": "llama3.3",
    "unknown": "unknown",
}
"""Our words -> the hub's identifiers; any other license is `other` there."""
PERMISSIVE = ("cc0-1.0", "apache-2.0", "mit")
"""These give way to a license that asks more."""
DEMO = "**Demo: made with demo models or smoke data, so that the pipeline runs anywhere. {} mean nothing.**"


@dataclass(frozen=True)
class LicensedSource:
    """One thing that an artifact was made of, and what its license asks."""

    role: str
    """encoder, language model, judge, texts, gold rows or exemplars."""
    name: str
    license: str
    note: str = ""
    name_prefix: str = ""
    """Name of a student begins so, if it is handed on (LLM.license_name_prefix)."""


def hub_license(sources: Iterable[LicensedSource]) -> dict[str, Any]:
    """The front matter's fields: the one license that asks most, the first of several permissive ones, or `other` for several that ask."""
    named = [name for source in sources if source.role != "exemplars" for name in source.license.split(" + ")]
    found = list(dict.fromkeys(HUB_LICENSES.get(name, name) for name in named)) or ["unknown"]
    asking = [name for name in found if name not in PERMISSIVE]
    if not asking:
        return {"license": found[0]}
    if len(asking) == 1 and asking[0] in HUB_LICENSES.values():
        return {"license": asking[0]}
    words = [name for name in dict.fromkeys(named) if HUB_LICENSES.get(name) not in PERMISSIVE]
    return {"license": "other", "license_name": " + ".join(words)}


def name_prefixes(sources: Iterable[LicensedSource]) -> list[str]:
    """What a student's name must begin with, if it is handed on."""
    return list(dict.fromkeys(source.name_prefix for source in sources if source.name_prefix))


def license_lines(sources: Sequence[LicensedSource]) -> list[str]:
    """The card's section: a line a source, then the notes; nothing without sources."""
    if not sources:
        return []
    lines = ["## Licences", "", "| made with | what | licence |", "|---|---|---|"]
    lines += [f"| {source.role} | {cell(source.name)} | {cell(source.license)} |" for source in sources]
    notes = list(dict.fromkeys(f"- {source.role}: {source.note.strip()}" for source in sources if source.note.strip()))
    return [*lines, "", *notes, *([""] if notes else [])]


def cell(text: str) -> str:
    """Text for a cell of a Markdown table."""
    return " ".join(text.split()).replace("|", "\\|")
