"""As much of a model hub as huggingface_hub's downloads ask for, on a real socket: model info, file listing, files with their headers."""

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class StubHub:
    """Its models, how it misbehaves, and which files were asked for."""

    models: dict[str, dict[str, bytes]]
    """Id -> file -> content; every model has one commit."""
    gated: set[str] = field(default_factory=set)
    failing: set[str] = field(default_factory=set)
    """Files that are answered with status 500."""
    stalling: set[str] = field(default_factory=set)
    """Files of which half is sent, and then nothing more comes."""
    stalled: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)
    sent: list[str] = field(default_factory=list)
    """model/file of every GET of a file."""
    endpoint: str = ""


@contextmanager
def serving(hub: StubHub) -> Iterator[StubHub]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def do_GET(self) -> None:
            self._answer(with_body=True)

        def _answer(self, with_body: bool) -> None:
            path = unquote(urlsplit(self.path).path)
            if found := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/revision/([^/]+))?", path):
                self._info(*found.groups())
            elif found := re.fullmatch(r"/api/models/([^/]+/[^/]+)/tree/([^/]+)", path):
                self._tree(found[1])
            elif found := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
                self._file(found[1], found[3], with_body)
            else:
                self._json(404, {"error": "not found"})

        def _info(self, model: str, revision: str | None) -> None:
            if model not in hub.models:
                self._json(404, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"})
            elif revision not in (None, "main", COMMIT):
                self._json(404, {"error": "Revision not found"}, {"X-Error-Code": "RevisionNotFound"})
            else:
                names = [{"rfilename": name} for name in hub.models[model]]
                self._json(200, {"id": model, "modelId": model, "sha": COMMIT, "siblings": names, "tags": [], "private": False})

        def _tree(self, model: str) -> None:
            files = hub.models[model]
            rows = [{"type": "file", "path": name, "size": len(content), "oid": oid(content)} for name, content in files.items()]
            self._json(200, rows)

        def _file(self, model: str, name: str, with_body: bool) -> None:
            if model in hub.gated:
                self._json(403, {"error": "gated"}, {"X-Error-Code": "GatedRepo"})
                return
            if name not in hub.models[model]:
                self._json(404, {"error": "Entry not found"}, {"X-Error-Code": "EntryNotFound"})
                return
            if with_body:
                hub.sent.append(f"{model}/{name}")
                if name in hub.failing:
                    self._json(500, {"error": "broken"})
                    return
            content = hub.models[model][name]
            self.send_response(200)
            self.send_header("ETag", f'"{oid(content)}"')
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if with_body and name in hub.stalling:
                self.wfile.write(content[: len(content) // 2])
                self.wfile.flush()
                hub.stalled.set()
                hub.released.wait(60)
                self.close_connection = True
            elif with_body:
                self.wfile.write(content)

        def _json(self, status: int, answer: object, headers: dict[str, str] | None = None) -> None:
            content = json.dumps(answer).encode()
            self.send_response(status)
            for key, value in (headers or {}).items():
                self.send_header(key, value)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        hub.endpoint = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield hub
        finally:
            hub.released.set()
            server.shutdown()
            thread.join()


def oid(content: bytes) -> str:
    """A blob's id, as git makes it."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
