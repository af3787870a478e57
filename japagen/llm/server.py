"""The life of a vLLM server: started, awaited, watched, restarted after a crash, ended. Or one that runs already.

`serve` is all that others need. vLLM is a process, never an import; its parent is the keeper
(`japagen.llm.keeper`), which ends it when this process ends, however that happens. A thread watches it: after a crash it starts again on
the same port with the same key, so that the client's retries reach it; after `llm.server.max_restarts` of these it is given
up, and `Endpoint.failure` reports it to the client. Silence is no hang while it starts: only a dead process counts, and the time that
`llm.server.start_timeout_s` allows. Later a closed port or an engine that reports itself dead (/health 503) count too, and a server
that has requests of ours and neither answers one nor writes a token for minutes: it hangs.
"""

import http.client
import logging
import os
import re
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from japagen.config.llm import LLM
from japagen.errors import ServerError
from japagen.llm import keeper, serverlog
from japagen.llm.build import choose_device
from japagen.llm.command import HOST, choose_http_port, choose_port_base, command, environment, is_free
from japagen.llm.endpoint import Endpoint, Traffic
from japagen.llm.served import connect
from japagen.llm.template import check_served_plain

__all__ = ["Endpoint", "serve"]

logger = logging.getLogger(__name__)

PORT_TRIES = 3
"""Starts with new ports where another process was quicker to take one."""
POLL_S = 0.2
HEALTH_EVERY_S = 3.0
ANSWER_S = 5.0
DEAD_AFTER_S = 15.0
"""How long a living process may refuse connections or report a dead engine before it counts as dead."""
LOOK_EVERY_S = 60.0
HANG_LOOKS = 10
"""In so many looks a server that has requests may have written no token: a step of the engine takes seconds, that of a large LLM on the CPU
minutes. Looks are counted, since a job that SLURM suspended finds its clock far ahead."""
_WRITTEN = re.compile(rb"^vllm:generation_tokens_total\{.*\} (\S+)$", re.MULTILINE)


@contextmanager
def serve(
    llm: LLM, model_path: str, revision: str | None, log_dir: Path, device: str = "auto", meanwhile: Callable[[], None] | None = None
) -> Iterator[Endpoint]:
    """A server that answers under the model name `llm.id`: the one at `llm.base_url`, or vLLM, which ends with the context.

    `model_path`, `revision`: what vLLM loads, a folder or a hub id and commit. `log_dir`: gets the log, one file a server. `meanwhile` is
    called while vLLM starts; what it takes of the environment the server doesn't see.
    ConfigError where this installation can't serve the LLM on `device`; ServerError where the server does not start.
    """
    if llm.base_url is not None:
        endpoint = connect(llm, llm.base_url.rstrip("/"))
        check_served_plain(llm, endpoint)
        yield endpoint
        return
    server = _Server(llm, model_path, revision, log_dir, choose_device(llm, device))
    try:
        yield server.start(meanwhile)
    finally:
        server.stop()


class _PortTaken(ServerError):
    """The server ended since another process has one of its ports."""


class _Server:
    """vLLM under a keeper, and the thread that watches it."""

    def __init__(self, llm: LLM, model_path: str, revision: str | None, log_dir: Path, device: str) -> None:
        self._llm, self._model_path, self._revision, self._device = llm, model_path, revision, device
        self._api_key = secrets.token_urlsafe(32)
        self._port = choose_http_port(llm.server.port)
        log_dir.mkdir(parents=True, exist_ok=True)
        self._log = log_dir / f"vllm-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}-{self._port}.log"
        self._log_start = 0
        self._keeper: subprocess.Popen[bytes] | None = None
        self._failure: str | None = None
        self._traffic = Traffic()
        self._stopping = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="vllm-watcher", daemon=True)

    def start(self, meanwhile: Callable[[], None] | None = None) -> Endpoint:
        """The endpoint, once it answers; ServerError with the log's last lines where it doesn't."""
        for attempt in range(1, PORT_TRIES + 1):
            try:
                self._launch(meanwhile if attempt == 1 else None)
                break
            except _PortTaken:
                if attempt == PORT_TRIES:
                    raise
                self._port = choose_http_port(self._llm.server.port)
        self._watcher.start()
        return Endpoint(
            base_url=f"http://{HOST}:{self._port}/v1",
            api_key=self._api_key,
            failure=lambda: self._failure,
            patience_s=self._llm.server.start_timeout_s + 300,
            traffic=self._traffic,
        )

    def stop(self) -> None:
        """Ends the watching and every process of the server."""
        self._stopping.set()
        if self._watcher.is_alive():
            self._watcher.join()
        self._end()

    def _launch(self, meanwhile: Callable[[], None] | None = None) -> None:
        """Starts the keeper with vLLM and waits until it answers."""
        began = time.monotonic()
        arguments = command(self._llm, self._model_path, self._revision, self._device, self._port)
        with self._log.open("ab") as log:
            log.write(f"[japagen] {time.strftime('%Y-%m-%d %H:%M:%S')} {' '.join(arguments)}\n".encode())
            self._log_start = log.tell()
            self._keeper = subprocess.Popen(
                [sys.executable, "-IS", keeper.__file__, str(os.getpid()), *arguments],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment(self._llm, self._model_path, self._device, self._api_key, choose_port_base()),
                start_new_session=True,
            )
        logger.info("starting vLLM for llm=%s on %s; log: %s", self._llm.name, self._device, self._log)
        if meanwhile is not None:
            meanwhile()
        self._wait_until_ready(began)

    def _wait_until_ready(self, began: float) -> None:
        timeout_s = self._llm.server.start_timeout_s
        while not self._stopping.wait(POLL_S):
            if (status := self._exit_status()) is not None:
                raise self._start_error(f"ended with exit status {status} before it was ready")
            # The second request needs our key: another process's server on this port does not pass for ours.
            if self._get("/health") == 200 and self._get("/v1/models") == 200:
                logger.info("vLLM for llm=%s is ready after %.0f s", self._llm.name, time.monotonic() - began)
                return
            if time.monotonic() - began > timeout_s:
                self._end()
                what = f"was not ready within llm.server.start_timeout_s={timeout_s:g}; allow more time if it was still loading"
                raise self._start_error(what)

    def _start_error(self, what: str) -> ServerError:
        text = serverlog.read_end(self._log, self._log_start)
        kind = _PortTaken if serverlog.names_taken_address(text) else ServerError
        return kind(f"vLLM for llm={self._llm.name!r} {what}. {self._describe_log(text)}")

    def _describe_log(self, text: str) -> str:
        lines = "\n".join(f"  {line}" for line in serverlog.last_lines(text)).replace(self._api_key, "***")
        return f"Last lines of its log {self._log}:\n{lines or '  (empty)'}{serverlog.advice(text)}"

    def _exit_status(self) -> int | None:
        assert self._keeper is not None
        return self._keeper.poll()

    def _get(self, path: str) -> int | None:
        """The status of a GET, None where there is no answer in time, 0 where nothing listens."""
        return self._read(path)[0]

    def _read(self, path: str) -> tuple[int | None, bytes]:
        connection = http.client.HTTPConnection(HOST, self._port, timeout=ANSWER_S)
        try:
            connection.request("GET", path, headers={"Authorization": f"Bearer {self._api_key}"})
            response = connection.getresponse()
            return response.status, response.read()
        except ConnectionRefusedError:
            return 0, b""
        except (OSError, http.client.HTTPException):
            return None, b""
        finally:
            connection.close()

    def _watch(self) -> None:
        """Restarts the server when it dies, until the context ends or no restart is left."""
        restarts = 0
        while (cause := self._wait_until_dead()) is not None:
            cause = f"{cause}. {self._describe_log(serverlog.read_end(self._log, self._log_start))}"
            while not self._stopping.is_set():
                if restarts == self._llm.server.max_restarts:
                    self._failure = (
                        f"the vLLM server for llm={self._llm.name!r} is lost after {restarts} restarts (llm.server.max_restarts): {cause}"
                    )
                    self._end()  # what hangs holds the client's requests
                    return
                restarts += 1
                logger.warning("vLLM for llm=%s died and is restarted (%d): %s", self._llm.name, restarts, cause)
                try:
                    self._restart()
                    break
                except ServerError as error:
                    cause = str(error)

    def _wait_until_dead(self) -> str | None:
        """Why the server counts as dead, or None once the context ends."""
        healthy_at = checked_at = looked_at = time.monotonic()
        done, num_alike = None, 0
        while not self._stopping.wait(POLL_S):
            if (status := self._exit_status()) is not None:
                return f"it ended with exit status {status}"
            now = time.monotonic()
            if now - checked_at < HEALTH_EVERY_S:
                continue
            checked_at = now
            if (health := self._get("/health")) not in (0, 503):
                healthy_at = now
            elif now - healthy_at > DEAD_AFTER_S:
                return "it refuses connections" if health == 0 else "its engine is dead (/health: 503)"
            if now - looked_at < LOOK_EVERY_S:
                continue
            looked_at, before, done = now, done, self._done()
            num_alike = num_alike + 1 if done is not None and done == before else 0
            if num_alike == HANG_LOOKS:
                symptom = "no token was written" if done and done[1] is not None else "nothing was answered"
                return f"it hangs: {symptom} for {HANG_LOOKS * LOOK_EVERY_S:.0f} s"
        return None

    def _done(self) -> tuple[int, list[bytes] | None] | None:
        """Requests that have ended, and tokens that each engine has written (None: no word of it); None where no request is open."""
        if not self._traffic.num_open:
            return None
        status, text = self._read("/metrics")
        return self._traffic.num_ended, None if status is None else _WRITTEN.findall(text)

    def _restart(self) -> None:
        self._end()
        # Where the keeper itself was killed, vLLM is only now ending.
        give_up_at = time.monotonic() + keeper.GRACE_S + keeper.KILL_WAIT_S
        while not is_free(self._port) and time.monotonic() < give_up_at and not self._stopping.wait(POLL_S):
            pass
        self._launch()

    def _end(self) -> None:
        """Has the keeper end everything, and waits for it."""
        if self._keeper is None:
            return
        assert self._keeper.stdin is not None
        self._keeper.stdin.close()
        self._keeper.terminate()  # a forked child of ours may still hold the pipe
        try:
            self._keeper.wait(timeout=keeper.GRACE_S + keeper.KILL_WAIT_S + 5)
        except subprocess.TimeoutExpired:
            logger.warning("the keeper of vLLM (process %d) does not end; killed", self._keeper.pid)
            self._keeper.kill()
            self._keeper.wait()
