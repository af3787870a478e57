"""Checks of one LLM: started (or reached) as a run would, then asked ten times with the task's own prompts.

The YAML declares how the LLM takes prompts (system role, template arguments); here the server confirms it. Nothing
of it is stored: these replies are no part of any stream.
"""

import asyncio
import time
import urllib.error
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

from japagen.commands.doctor.installation import Check
from japagen.commands.preview.preview import plan_llm_part
from japagen.config.llm import LLM
from japagen.config.schema import Config
from japagen.errors import JapagenError
from japagen.experiments.experiment import Experiment, llm_location
from japagen.llm.build import choose_device
from japagen.llm.client import Client, Reply, Request
from japagen.llm.endpoint import Endpoint
from japagen.llm.server import serve
from japagen.prompts.writing import Message
from japagen.store.store import Store
from japagen.synthesis.stream import Ask

NUM_COMPLETIONS = 10
RECORDED_OPEN = (1, 16, 64)
"""Open requests at which a record has the speed."""
LONG_S = 60.0
"""After a measurement this long a record has no further one."""
_RECORDED_PROMPT = "日本の四季について、それぞれの様子がわかるように説明してください。"
_RECORDED_TOKENS = 40
"""Longest reply of the requests that are timed for a record: as long as a text."""
_RECORDED_REQUESTS = 3
"""Requests one after the other where one is open."""
_RECORDED_SETTINGS = ("name", "id", "dtype", "quantization", "max_model_len", "gpus", "base_url")
_THINKING_CURE = "switch it off, e.g. chat_template_args: {enable_thinking: false}, or request_args: {reasoning_effort: none}"


def check_llm(config: Config, say: Callable[[str], None] = print, measured: dict[str, Any] | None = None) -> list[Check]:
    """Whether the LLM can be started and asked; what stops it is one fault with its own words.

    measured: gets what a record keeps of it, some minutes of generation on a slow machine; nothing where there is a fault.
    """
    llm = config.llm
    try:
        experiment = plan_llm_part(config if llm.continues else replace(config, shots=0))  # a base model is asked by exemplars alone
        store = Store(config.store)
        location, revision = llm_location(experiment, "stream")
        say(f"{llm.name}: {llm.base_url or f'starting vLLM; log in {store.root}/logs'}")
        began = time.monotonic()
        with serve(llm, location, revision, store.root / "logs", config.device) as endpoint:
            where = f"reached {endpoint.base_url}" if llm.base_url else f"vLLM ready after {time.monotonic() - began:.0f} s"
            start_s = time.monotonic() - began
            checks = [Check("ok", "server", where), *_check_served(llm, endpoint, experiment)]
            if measured is not None and all(check.state != "fault" for check in checks):
                say(f"{llm.name}: measuring its speed with {', '.join(map(str, RECORDED_OPEN))} requests open")
                measured |= recorded_facts(config, experiment, endpoint, start_s)
            return checks
    except JapagenError as error:
        return [Check("fault", "server", str(error))]


def recorded_facts(config: Config, experiment: Experiment, endpoint: Endpoint, start_s: float) -> dict[str, Any]:
    """What a record keeps of an LLM: which one, where it ran, and how fast it wrote."""
    llm = config.llm
    facts = {name: asdict(llm)[name] for name in _RECORDED_SETTINGS} | {"revision": experiment.llm_revision}
    facts["device"] = "served" if llm.base_url else choose_device(llm, config.device)
    return facts | {"start_s": round(start_s, 1), "speeds": measure_speeds(llm, endpoint)}


def measure_speeds(llm: LLM, endpoint: Endpoint) -> list[dict[str, Any]]:
    """Tokens a second of the same short generation, with each of RECORDED_OPEN requests open, until one took LONG_S."""
    speeds: list[dict[str, Any]] = []
    for num_open in RECORDED_OPEN:
        speeds.append(asyncio.run(_measure_speed(llm, endpoint, num_open)))
        if speeds[-1]["seconds"] > LONG_S:
            break
    return speeds


async def _measure_speed(llm: LLM, endpoint: Endpoint, num_open: int) -> dict[str, Any]:
    prompt: list[Message] = [{"role": "user", "content": _RECORDED_PROMPT}]
    sampling = replace(llm.sampling, max_tokens=_RECORDED_TOKENS)
    waiting = asyncio.Semaphore(num_open)

    async with Client(endpoint, llm.id, num_open, llm.request_args) as client:

        async def ask(seed: int) -> Reply:
            async with waiting:
                return await client.complete(Request(prompt, 1, seed, sampling, llm.chat_template_args))

        began = time.monotonic()
        replies = await asyncio.gather(*(ask(seed) for seed in range(max(num_open, _RECORDED_REQUESTS))))
        seconds = time.monotonic() - began
    num_tokens = sum(reply.completion_tokens for reply in replies)
    return {
        "open": num_open,
        "requests": len(replies),
        "completion_tokens": num_tokens,
        "seconds": round(seconds, 2),
        "tokens_per_s": round(num_tokens / seconds, 1),
    }


def _check_served(llm: LLM, endpoint: Endpoint, experiment: Experiment) -> list[Check]:
    asks = _asks(experiment)
    prompts = [list(ask.messages) for ask in asks]
    began = time.monotonic()
    replies = asyncio.run(_complete(llm, endpoint, asks))  # first: it finds what the server refuses
    seconds = time.monotonic() - began
    checks = [template_check(llm, endpoint, prompts[0])]
    checks += [] if llm.continues else [system_check(llm, endpoint, experiment.task.system)]
    return [*checks, finish_check(llm, replies), thinking_check(replies), speed_check(replies, seconds)]


def _asks(experiment: Experiment) -> list[Ask]:
    """Requests as a run sends them, label by label; of pairs turn 1."""
    names = [""] if experiment.task.is_pair else experiment.task.label_names
    n = experiment.stream.texts_per_request
    return [experiment.stream.ask(names[number % len(names)], number * n) for number in range(NUM_COMPLETIONS)]


async def _complete(llm: LLM, endpoint: Endpoint, asks: list[Ask]) -> list[Reply]:
    async with Client(endpoint, llm.id, len(asks), llm.request_args) as client:
        args = llm.chat_template_args
        requests = [Request(list(ask.messages), 1, seed, llm.sampling, args, stop=ask.stop) for seed, ask in enumerate(asks)]
        return list(await asyncio.gather(*(client.complete(request) for request in requests)))


def template_check(llm: LLM, endpoint: Endpoint, prompt: list[Message]) -> Check:
    """Whether the server turns messages into a prompt."""
    num, refusal = prompt_tokens(llm, endpoint, prompt)
    if num is None:
        cure = "take an instruction-tuned model, or for a base model llm.chat_template=plain shots=5"
        return Check("fault", "chat template", f"the server refuses chat messages: {refusal}", cure)
    return Check("ok", "chat template", f"applied: the first prompt takes {num} tokens of llm.max_model_len={llm.max_model_len}")


def system_check(llm: LLM, endpoint: Endpoint, system: str) -> Check:
    """Whether the YAML's `system_role` agrees with the template: a system text twice as long must make the prompt longer."""
    user = {"role": "user", "content": "例文を一つ書いてください。"}
    once, refusal = prompt_tokens(llm, endpoint, [{"role": "system", "content": system}, user])
    twice, _ = prompt_tokens(llm, endpoint, [{"role": "system", "content": f"{system}\n{system}"}, user])
    taken = once is not None and twice is not None and twice > once
    if taken and llm.system_role:
        return Check("ok", "system role", "taken, as the YAML says")
    if taken:
        return Check(
            "warning",
            "system role",
            "taken, but the YAML says system_role: false",
            "set it to true: the task's description has its own turn then",
        )
    why = f"refused ({refusal})" if once is None else "dropped in silence: the prompt is no longer for it"
    if llm.system_role:
        return Check("fault", "system role", f"{why}, but the YAML says system_role: true", "set llm.system_role: false in its YAML")
    return Check("ok", "system role", f"{why}; the YAML says system_role: false, so the text opens the user's turn")


def prompt_tokens(llm: LLM, endpoint: Endpoint, messages: list[Message]) -> tuple[int | None, str]:
    """Tokens of the prompt that `messages` become, or None and the server's refusal. vLLM's /tokenize, else a completion's usage."""
    body: dict[str, Any] = {"model": llm.id, "messages": messages}
    if llm.chat_template_args:
        body["chat_template_kwargs"] = llm.chat_template_args
    if endpoint.is_vllm:
        answer, refusal = post(endpoint, endpoint.tokenize_url, body)
        return (None, refusal) if answer is None else (int(answer["count"]), "")
    answer, refusal = post(endpoint, f"{endpoint.base_url}/chat/completions", endpoint.habits.shaped(body | {"max_tokens": 1}))
    return (None, refusal) if answer is None else (int((answer.get("usage") or {}).get("prompt_tokens") or 0), "")


def post(endpoint: Endpoint, url: str, body: dict[str, Any]) -> tuple[dict[str, Any] | None, str]:
    """The answer's JSON, or None and the server's message."""
    try:
        return endpoint.ask(url, body, timeout_s=300), ""
    except urllib.error.HTTPError as error:
        return None, f"status {error.code}: {error.read().decode('utf-8', 'replace')[:300]}"
    except (OSError, ValueError) as error:
        return None, f"{type(error).__name__}: {error}"


def finish_check(llm: LLM, replies: list[Reply]) -> Check:
    """How the replies ended."""
    failed = [reply.error for reply in replies if reply.error]
    reasons = Counter(completion.finish_reason for reply in replies for completion in reply.completions)
    found = f"{len(replies)} completions: {', '.join(f'{reason} {count}' for reason, count in reasons.most_common())}"
    if failed:
        return Check("fault", "completions", f"{found}; {failed[0]}", "the server's words above name the setting")
    if not any(completion.text.strip() for reply in replies for completion in reply.completions):
        return Check("fault", "completions", f"{found}; every reply is empty", "look at the chat template and at llm.sampling")
    if reasons["length"] > len(replies) / 2:
        cure = f"raise llm.sampling.max_tokens={llm.sampling.max_tokens} (or the LLM does not stop: look at its chat template)"
        return Check("warning", "completions", f"{found}: most are cut off and would be rejected as truncated", cure)
    return Check("ok", "completions", found)


def thinking_check(replies: list[Reply]) -> Check:
    """Whether the LLM thinks first: that is taken off its replies, but takes tokens and time."""
    marked = sum(completion.thought for reply in replies for completion in reply.completions)
    if marked:
        found = f"{marked} of {len(replies)} replies came with thinking, which is taken off and counts against llm.sampling.max_tokens"
        return Check("warning", "thinking", found, _THINKING_CURE)
    return Check("ok", "thinking", "none in the replies, none beside them")


def speed_check(replies: list[Reply], seconds: float) -> Check:
    tokens = sum(reply.completion_tokens for reply in replies)
    at = f"{len(replies)} requests at a time"
    return Check(
        "ok", "speed", f"{tokens} completion tokens in {seconds:.1f} s: {tokens / seconds:,.0f} tokens/s with {at} (a run keeps more open)"
    )
