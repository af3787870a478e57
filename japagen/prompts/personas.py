"""prompt.personas: a text file, one person a line, as an attribute that is drawn for every request.

UTF-8; blank lines and lines that begin with # are skipped.
"""

from japagen.errors import DataError
from japagen.prompts.scaffold import JAPANESE, Scaffold
from japagen.store.files import check_encoding, expand_home
from japagen.tasks import PERSONA, Attribute


def read_personas(path: str, scaffold: Scaffold = JAPANESE) -> Attribute:
    """The file's persons in its order; DataError, naming file and line, for what can't be read, repeated lines, or fewer than two."""
    file = expand_home(path)
    try:
        content = file.read_bytes()
    except OSError as error:
        raise DataError(f"prompt.personas: {file} can't be read: {error.strerror}") from error
    check_encoding(file, content)
    found: dict[str, int] = {}
    for number, raw in enumerate(content.removeprefix(b"\xef\xbb\xbf").splitlines(), 1):
        try:
            person = raw.decode().strip()
        except UnicodeDecodeError as error:
            raise DataError(f"{file}:{number}: prompt.personas must be UTF-8 ({error.reason}); save the file in UTF-8") from error
        if not person or person.startswith("#"):
            continue
        if person in found:
            raise DataError(f"{file}:{number}: prompt.personas: {person!r} stands in line {found[person]} already; remove one of them")
        found[person] = number
    if len(found) < 2:
        raise DataError(f"{file}: prompt.personas must name two or more persons, one a line; found {len(found)}")
    return Attribute(PERSONA, list(found), scaffold.persona_phrase)
