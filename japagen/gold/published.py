"""A publisher's file in, its local path out: from the user's mirror folder, else from the cache, else downloaded into it.

A mirror is taken at its word: a file that it lacks is an error, never a download, so a machine without internet fails at
once and with a clear message. Files that are downloaded are checked before they take their place in the cache.
"""

import hashlib
import logging
import os
import shutil
import ssl
import urllib.request
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from urllib.error import URLError
from urllib.parse import urlparse

from japagen.config.schema import Data
from japagen.errors import DataError, UnreachableError
from japagen.gold.formats import explain_unreadable
from japagen.store.files import expand_home
from japagen.tasks import Published, SplitFile

MIRROR_ENV = "JAPAGEN_DATA_MIRROR"
TIMEOUT_S = 60.0
"""Longest silence of a publisher's server, in seconds."""

_NETWORK = (URLError, HTTPException, TimeoutError, ConnectionError, ssl.SSLError)
"""What the network says against a download; any other OSError is of this machine's disk."""

_log = logging.getLogger(__name__)


def find_file(published: Published, file: SplitFile, data: Data, hint: str = "") -> Path:
    """The local path of `file`, whose sha256 agrees with the configuration's ('' is not checked).

    `hint`: what else could be done; ends the message where the file cannot be obtained. Raises DataError; UnreachableError where neither
    the mirror nor the network has the file.
    """
    mirror, setting = _mirror(data)
    path = local_path(file, data)
    with explain_unreadable(path):
        is_there = path.is_file()
    if not is_there:
        if mirror is not None:
            raise UnreachableError(
                f"{path} does not exist: the mirror folder ({setting}={mirror}) lacks this file of {published.name};"
                f" put it there from {file.url}, or unset {setting} to download it{hint}"
            )
        _download(published, file, path, hint)
    _check_sha256(path, file, "delete it there to have it downloaded again" if mirror is None else f"mend the mirror, or unset {setting}")
    return path


def local_path(file: SplitFile, data: Data) -> Path:
    """Where `file` lies on this machine, or would once it is had: in the mirror folder where one is set, else in the cache."""
    mirror, _ = _mirror(data)
    return (expand_home(data.cache) if mirror is None else mirror) / file.path


def _mirror(data: Data) -> tuple[Path | None, str]:
    """The mirror folder, and the name of the setting that says so."""
    if data.mirror:
        return expand_home(data.mirror), "data.mirror"
    from_env = os.environ.get(MIRROR_ENV)
    return (expand_home(from_env) if from_env else None), MIRROR_ENV


def _check_sha256(path: Path, file: SplitFile, cure: str) -> None:
    if not file.sha256:
        return
    with explain_unreadable(path), path.open("rb") as opened:
        found = hashlib.file_digest(opened, "sha256").hexdigest()
    if found != file.sha256.lower():
        raise DataError(f"{path}: sha256 is {found}, but the configuration has {file.sha256} for {file.url}; {cure}")


def _download(published: Published, file: SplitFile, path: Path, hint: str) -> None:
    _check_https(file.url)
    _log.info("downloading %s (licence %s, %s) from %s", published.name, published.license, published.homepage, file.url)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _fetch(file, path)
    except (OSError, HTTPException) as error:
        raise (UnreachableError if isinstance(error, _NETWORK) else DataError)(
            f"{file.url} can't be downloaded to {path} ({type(error).__name__}: {error}); without internet, put the file there"
            f" or set {MIRROR_ENV} (data.mirror) to a folder that has {file.path}{hint}"
        ) from error


def _fetch(file: SplitFile, path: Path) -> None:
    """Puts what `file.url` gives at `path`, whole and with the right sha256, or not at all."""
    part = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}.part")
    try:
        with open_url(file.url) as response, part.open("xb") as written:
            shutil.copyfileobj(response, written)
            num_bytes, announced = written.tell(), response.headers["Content-Length"]
        if announced is not None and int(announced) != num_bytes:  # http.client does not raise for this when read in pieces
            raise ConnectionError(f"the connection ended after {num_bytes} of {announced} bytes")
        _check_sha256(part, file, "the publisher's file has changed, or something on the way alters downloads")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def open_url(url: str) -> HTTPResponse:
    """The open response for `url`; tests put a local server's in its place. Raises DataError where a redirect leaves https."""
    response: HTTPResponse = urllib.request.urlopen(url, timeout=TIMEOUT_S)
    _check_https(response.geturl())
    return response


def _check_https(url: str) -> None:
    if urlparse(url).scheme != "https":
        raise DataError(f"{url} is not downloaded: only https addresses are allowed (task.published.splits.*.url)")
