"""prompt.personas and prompt.style: a text file of the user's, an entry a line, as an attribute that is drawn for every request.

UTF-8; blank lines and lines that begin with # are skipped.
"""

from dataclasses import dataclass

from japagen.errors import DataError
from japagen.prompts.scaffold import Scaffold
from japagen.store.files import check_encoding, expand_home
from japagen.tasks import PERSONA, STYLE, Attribute


@dataclass(frozen=True)
class _Kind:
    attribute: str
    """What rows record it as."""
    entries: str
    phrase: str
    """Name of the scaffold's field."""


KINDS = {"personas": _Kind(PERSONA, "persons", "persona_phrase"), "style": _Kind(STYLE, "texts", "style_phrase")}
"""Setting of `prompt` -> what its file holds."""


def read_lines(setting: str, path: str, scaffold: Scaffold) -> Attribute:
    """The file's entries in its order; DataError, naming file and line, for what can't be read, repeated lines, or fewer than two."""
    kind, file, named = KINDS[setting], expand_home(path), f"prompt.{setting}"
    try:
        content = file.read_bytes()
    except OSError as error:
        raise DataError(f"{named}: {file} can't be read: {error.strerror}") from error
    check_encoding(file, content)
    found: dict[str, int] = {}
    for number, raw in enumerate(content.removeprefix(b"\xef\xbb\xbf").splitlines(), 1):
        try:
            entry = raw.decode().strip()
        except UnicodeDecodeError as error:
            raise DataError(f"{file}:{number}: {named} must be UTF-8 ({error.reason}); save the file in UTF-8") from error
        if not entry or entry.startswith("#"):
            continue
        if entry in found:
            raise DataError(f"{file}:{number}: {named}: {entry!r} is in line {found[entry]} already; remove one of them")
        found[entry] = number
    if len(found) < 2:
        raise DataError(f"{file}: {named} must hold two or more {kind.entries}, one a line; found {len(found)}")
    return Attribute(kind.attribute, list(found), getattr(scaffold, kind.phrase))
