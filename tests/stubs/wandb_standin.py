"""A small stand-in for W&B's server on the loopback interface: answers what `wandb sync` and reports ask, and keeps all that is sent."""

import gzip
import json
import os
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import wandb

FAKE_KEY = "local-" + "0123456789" * 4
"""Of the form that W&B takes; no account has it."""

LINES = 7
"""Of the curve that it says to have of every run that was there before."""


class StandIn(ThreadingHTTPServer):
    """What was sent to it: GraphQL requests, lines of runs (`streams`) and files."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.projects = ["japagen"]
        self.refusal = ""
        self.runs: set[str] = set()
        self.queries: list[tuple[str, dict[str, Any]]] = []
        self.streams: list[tuple[str, str]] = []
        self.files: list[tuple[str, bytes]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up are no fault; anything else is."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    def sent(self, operation: str) -> list[dict[str, Any]]:
        """Variables of all requests of a name."""
        return [variables for name, variables in self.queries if name == operation]

    @property
    def everything(self) -> str:
        """All that arrived, as text."""
        files = [f"{path} {content.decode('utf-8', errors='replace')}" for path, content in self.files]
        return "\n".join([json.dumps([self.queries, self.streams], ensure_ascii=False), *files])


class _Handler(BaseHTTPRequestHandler):
    server: StandIn
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Says nothing."""

    def _body(self) -> bytes:
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        return gzip.decompress(content) if self.headers.get("Content-Encoding") == "gzip" else content

    def _answer(self, value: Any) -> None:
        content = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_GET(self) -> None:
        self._answer({})

    def do_PUT(self) -> None:
        self.server.files.append((self.path, self._body()))
        self._answer({})

    def do_POST(self) -> None:
        body = self._body()
        if self.path != "/graphql":
            self.server.streams.append((self.path, body.decode("utf-8", errors="replace")))
            return self._answer({"exitcode": None, "limits": {}})
        request = json.loads(body)
        found = re.search(r"(?:query|mutation)\s+(\w+)", request["query"])
        name, variables = found[1] if found else "", request.get("variables") or {}
        self.server.queries.append((name, variables))
        if self.server.refusal:
            return self._answer({"data": None, "errors": [{"message": self.server.refusal}]})
        if name == "UpsertBucket":
            self.server.runs.add(variables["name"])
        reply = _reply(name, variables, self.server.url)
        if name == "RunResumeStatus" and variables["name"] not in self.server.runs:
            reply = {"model": None}
        if name == "ProjectInternalId" and variables["projectName"] not in self.server.projects:
            reply = {"project": None}
        return self._answer({"data": reply})


def _reply(name: str, sent: dict[str, Any], url: str) -> Any:
    """The least that W&B's client takes for an answer."""
    project = {"id": "p", "internalId": "1", "name": "japagen", "entityName": "me", "entity": {"id": "e", "name": "me"}}
    match name:
        case "Viewer" | "GetDefaultEntity":
            teams = {"edges": [{"node": {"id": "e", "name": "me"}}]}
            return {"viewer": {"id": "u", "entity": "me", "username": "me", "name": "me", "email": "", "flags": "{}", "teams": teams}}
        case "ServerFeaturesQuery":
            return {"serverInfo": {"features": []}}
        case "UpsertBucket":
            bucket = {"id": "r", "name": sent["name"], "displayName": sent["displayName"], "description": None, "config": "{}"}
            return {"upsertBucket": {"bucket": bucket | {"sweepName": None, "project": project, "historyLineCount": 0}, "inserted": True}}
        case "RunResumeStatus":
            lines = {"historyLineCount": LINES, "eventsLineCount": LINES, "logLineCount": 0}
            tail = {"historyTail": json.dumps([json.dumps({"_step": LINES, "_runtime": 9})]), "eventsTail": "[]", "summaryMetrics": "{}"}
            bucket = {"id": "r", "name": sent["name"], "displayName": "n", "config": "{}", "tags": [], "notes": None}
            found = bucket | lines | tail | {"wandbConfig": json.dumps({"t": 1})}
            return {"model": {"id": "p", "name": "japagen", "entity": project["entity"], "bucket": found}}
        case "CreateRunFiles":
            files = [{"name": path, "uploadUrl": f"{url}/run/{path}"} for path in sent["files"]]
            return {"createRunFiles": {"runID": "r", "uploadHeaders": [], "files": files}}
        case "CreateArtifact":
            artifact = {"id": sent["input"]["artifactCollectionName"], "state": "PENDING"}
            return {"createArtifact": {"artifact": artifact | {"artifactSequence": {"id": "s", "latestArtifact": None}}}}
        case "CreateArtifactManifest":
            file = {"id": "f", "name": "wandb_manifest.json", "displayName": "m", "uploadUrl": f"{url}/manifest", "uploadHeaders": []}
            return {"createArtifactManifest": {"artifactManifest": {"id": "m", "file": file}}}
        case "CreateArtifactFiles":
            nodes = [_file_node(file, url) for file in sent["input"]["artifactFiles"]]
            return {"createArtifactFiles": {"files": {"edges": [{"node": node} for node in nodes]}}}
        case "CommitArtifact":
            return {"commitArtifact": {"artifact": {"id": sent["artifactID"], "digest": "d"}}}
        case "UseArtifact":
            return {"useArtifact": {"artifact": {"id": "a", "digest": "d", "state": "COMMITTED"}}}
        case "upsertView":
            view = {"id": "dmlldzox", "type": "runs", "name": "x", "displayName": sent["displayName"], "description": ""}
            return {"upsertView": {"view": view | {"project": project, "spec": sent["spec"], "updatedAt": "2026-01-01"}, "inserted": True}}
        case "ArtifactType":
            return {"project": None}
        case "GetProjects":
            node = project | {"createdAt": "2026-01-01T00:00:00Z", "isBenchmark": False, "user": None}
            return {"models": {"edges": [{"cursor": "1", "node": node}], "pageInfo": {"endCursor": None, "hasNextPage": False}}}
        case "ProjectInternalId":
            return {"project": project}
    return {}


def _file_node(file: dict[str, Any], url: str) -> dict[str, Any]:
    address = f"{url}/artifact/{file['artifactID']}/{file['name']}"
    return {
        "id": "f", "name": file["name"], "displayName": file["name"], "storagePath": file["name"], "uploadUrl": address,
        "uploadHeaders": [], "uploadMultipartUrls": None, "artifact": {"id": file["artifactID"]},
    }  # fmt: skip


@contextmanager
def wandb_standin() -> Iterator[StandIn]:
    """The server, for as long as the block runs."""
    server = StandIn()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


def forget_wandb(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    """No account, no settings of W&B's, and a home that has none."""
    for name in [name for name in os.environ if name.startswith("WANDB") or name == "NETRC"]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    wandb.teardown()
