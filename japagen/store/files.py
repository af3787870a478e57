"""Files of the store: JSON, checksums, and what the file system says against them in words."""

import codecs
import errno
import hashlib
import json
import os
import re
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar, get_origin

from japagen.errors import ConfigError, DataError, JapagenError, StoreError


def expand_home(path: str | Path) -> Path:
    """The path with the home folder in place of `~`; ConfigError where there is none, as of a user id that the machine doesn't know."""
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise ConfigError(f"{path}: ~ is a home folder, and this user has none here; set HOME, or write the whole path") from error


@contextmanager
def explain_os_errors(path: Path, elsewhere: str = "choose another store (store=… or JAPAGEN_STORE)") -> Iterator[None]:
    """Turns the file system's refusals (full disk, read-only, no permission) into StoreError; `elsewhere`: how to choose another folder."""
    causes = {
        errno.ENOSPC: "the disk is full: free some space",
        errno.EDQUOT: "the quota is used up: free some space",
        errno.EROFS: f"the file system is read-only: {elsewhere}",
        errno.EACCES: f"no permission to write: {elsewhere}",
        errno.EPERM: f"no permission to write: {elsewhere}",
        errno.ENOTDIR: f"a part of the path is no folder: {elsewhere}",
        errno.EEXIST: f"a part of the path is no folder, or a link that leads nowhere: {elsewhere}",
    }
    try:
        yield
    except JapagenError:
        raise
    except Exception as error:
        if (number := _system_error(error)) not in causes:
            raise
        raise StoreError(f"{path}: {causes[number]}, then run the same command again; what was made stays") from error


def _system_error(error: BaseException | None) -> int | None:
    """The system's number for a failed write: torch raises an error of its own on top of it, safetensors and tokenizers put it in words."""
    while error is not None:
        if isinstance(error, OSError):
            return error.errno
        if named := re.search(r"\(os error (\d+)\)", str(error)):
            return int(named[1])
        error = error.__cause__ or error.__context__
    return None


def read_json(path: Path) -> Any:
    """A JSON file's content; StoreError, naming the file, when it is broken."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except PermissionError as error:
        raise StoreError(f"{path} can't be read: no permission; it belongs to somebody else, who can give you leave to read it") from error
    except (OSError, ValueError, RecursionError) as error:
        raise StoreError(f"{path} can't be read ({error}); remove its folder to have it made again") from error


T = TypeVar("T")


def from_json(kind: type[T], content: Any) -> T:
    """A dataclass from what `asdict` made of it and JSON kept: lists are tuples where the field is one.

    Fields that only another version has are left out, those that it lacked have their defaults; TypeError where there is none.
    """
    if not isinstance(content, dict):
        raise TypeError(f"{kind.__name__} must be a mapping; found {content!r:.60}")
    known = {one.name: get_origin(one.type) for one in fields(kind)}  # type: ignore[arg-type]
    return kind(**{name: tuple(value) if known[name] is tuple else value for name, value in content.items() if name in known})


def write_json(path: Path, value: Any) -> None:
    """Writes JSON for people (indented, UTF-8 as it is) and waits until it is on the disk."""
    with path.open("w", encoding="utf-8") as file:
        json.dump(value, file, ensure_ascii=False, indent=1, allow_nan=False)
        file.flush()
        os.fsync(file.fileno())


def write_whole(path: Path, write: Callable[[Path], None]) -> Path:
    """The path, once `write` has written a file beside it under a name of its own and that file is renamed.

    No reader sees half of it, an older file stays where writing fails, and of several writers the last one wins.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{uuid.uuid4().hex[:6]}.tmp")
    try:
        write(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def write_whole_json(path: Path, value: Any) -> None:
    """Writes JSON as `write_json` does, whole or not at all."""
    write_whole(path, lambda temporary: write_json(temporary, value))


def synced_checksum(path: Path) -> str:
    """`file_checksum`, once the file is on the disk: a power cut must not leave a complete meta.json beside empty files."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
    return file_checksum(path)


def file_checksum(path: Path) -> str:
    """sha256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


_LINE_FEED = b"\n"


_SWITCH = re.compile(rb"\x1b(?:\$[@AB]|\$\([@-Z]|\$[)*+][A-Z]|\([IJ])")
"""What chooses a character set in ISO-2022. ESC ( B isn't among them: terminals write it too, to end colours."""


_ISO_2022 = {
    "ISO-2022-KR": re.compile(rb"\x1b\$\)C"),
    "ISO-2022-CN": re.compile(rb"\x1b\$[)*+][A-Z]"),
    "ISO-2022-JP-3": re.compile(rb"\x1b(?:\(I|\$\([O-Q])"),
    "ISO-2022-JP-2": re.compile(rb"\x1b\$(?:A|\([A-Z])"),
    "ISO-2022-JP": _SWITCH,
}
"""iconv's name -> what chooses a character set that the names behind it lack."""


def check_encoding(path: Path, raw: bytes, line: int = 1) -> None:
    """Raises DataError where `raw`, which begins at `line` of `path`, says by itself that it is UTF-16 or ISO-2022.

    The latter switches between character sets by escape sequences and is ASCII throughout: it decodes as UTF-8, to nonsense.
    """
    if line == 1 and raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise DataError(f"{path} is UTF-16 (Excel's 'Unicode text'); save it as UTF-8, e.g. 'CSV UTF-8'")
    if (found := _SWITCH.search(raw)) is None:
        return
    name = next(name for name, switch in _ISO_2022.items() if switch.search(raw))
    location = f"{path}:{line + raw[: found.start()].count(_LINE_FEED)}"
    shown = found[0].decode().replace("\x1b", "ESC ")
    raise DataError(
        f"{location}: {name} (as mail software writes it; escape sequence {shown}), and text must be UTF-8 or CP932; convert it: iconv -f"
        f" {name} -t UTF-8 FILE > NEW"
    )
