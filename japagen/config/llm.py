"""The schema of an LLM and of the server that answers for it; `japagen.config.schema` has the rest."""

from dataclasses import dataclass, field
from typing import Any, Optional

from japagen.config.fields import setting

TOKENS_PER_CHAR, SPARE_TOKENS = 1.2, 32
"""A reply's tokens for each character of a text, and beside them: LLMs take 0.6 to 1.0 a Japanese character, and the longest text and what
is stripped from around it must fit."""
PLAIN = "plain"
"""Value of llm.chat_template for base models."""


@dataclass
class Sampling:
    """How the LLM draws its tokens; every value is sent, so that no server default fills in."""

    temperature: float = setting(1.0, least=0)
    """0: the likeliest token."""
    top_p: float = setting(1.0, above=0, most=1)
    """Tokens are drawn from the likeliest that have this probability together."""
    top_k: int = 0
    """Tokens are drawn from this many; 0: from all."""
    repetition_penalty: float = 1.0
    """How much a token loses that is in the prompt or reply already; 1: nothing."""
    max_tokens: Optional[int] = setting(None, least=1)
    """Longest reply (of one text), in tokens; a reply that reaches it is rejected as truncated. None: 1.2 for each character of
    task.max_chars, and 32. An LLM that thinks first needs a number of its own."""

    @property
    def longest(self) -> int:
        """`max_tokens`, a number from `japagen.config.validation` on."""
        assert self.max_tokens is not None
        return self.max_tokens


@dataclass
class Server:
    """How japagen starts a vLLM server."""

    python: Optional[str] = None
    """Python of another environment that has vLLM; none: this one."""
    port: Optional[int] = setting(None, least=1, most=65535, or_else=", or null (a free one is found)")
    """HTTP port on 127.0.0.1; none: a free one."""
    start_timeout_s: float = setting(900.0, least=1)
    """Time allowed until it is ready; large models take minutes."""
    max_restarts: int = setting(2, least=0)
    """Starts again after a crash in mid-run."""
    gpu_memory_utilization: float = 0.9
    """Share of a GPU's memory that the server takes."""
    cpu_kvcache_gib: int = 1
    """On the CPU: memory for the KV cache."""
    enforce_eager: Optional[bool] = None
    """No compilation and no CUDA graphs: starts faster, generates slower; none: true on the CPU, where compiling takes minutes."""
    extra_args: list[str] = field(default_factory=list)
    """More vLLM arguments, as they are."""


@dataclass
class LLM:
    """A large language model that writes the texts."""

    name: str = setting("???", of_server=False)
    """The LLM's name in tables and of its YAML file."""
    id: str = "???"
    """Hub id, local folder, or `package:` and a folder of this package."""
    revision: Optional[str] = None
    """Commit; none: the hub's present one, resolved before anything starts. Local folders: their checksum."""
    dtype: str = "auto"
    """Type of the weights; auto: as the model's files say. A CPU that only emulates bfloat16 computes in float32."""
    quantization: Optional[str] = None
    """vLLM's method of quantization; none: as the model's files say."""
    max_model_len: int = setting(4096, least=16)
    """Context length in tokens, prompt and reply together."""
    system_role: bool = setting(True, of_server=False)
    """Whether the chat template takes a system turn."""
    chat_template: Optional[str] = None
    """null: the model's own; a Jinja file that replaces it; or plain, for base models: prompts in a form that they continue (needs shots),
    turns joined by line ends, BOS once."""
    stop: list[str] = setting(factory=list, of_server=False)
    """Strings that end a reply, which are no part of it; plain adds its own. \\n and \\t may be written as two characters."""
    chat_template_args: dict[str, Any] = setting(factory=dict, of_server=False)
    """E.g. {enable_thinking: false}."""
    request_args: dict[str, Any] = setting(factory=dict, of_server=False)
    """Further fields of each request for texts or written answers, e.g. {reasoning_effort: none} of a hosted API."""
    reasoning_parser: Optional[str] = None
    """vLLM's parser that takes an LLM's thinking apart from its reply, for those that think first."""
    sampling: Sampling = setting(factory=Sampling, of_server=False)
    """How it draws its tokens; each request says so."""
    gpus: int = setting(1, least=1, running=True, local=False)
    """GPUs that one server takes (tensor parallel)."""
    trust_remote_code: bool = False
    """Whether code that comes with the model may run."""
    license: str = setting("unknown", of_server=False)
    """The weights' licence."""
    license_note: str = setting("", of_server=False)
    """What the licence asks of models trained on the LLM's output."""
    license_name_prefix: str = setting("", of_server=False)
    """What the licence asks the name of such a model to begin with, where it is handed on: `japagen export` says so."""
    price_per_gpu_hour: Optional[float] = setting(None, of_server=False)
    """What a GPU costs an hour, in any currency; reports and previews reckon costs from it."""
    price_per_million_tokens: Optional[float] = setting(None, of_server=False, least=0)
    """What a provider asks for tokens of prompts, and for those of replies where the next setting doesn't say otherwise."""
    price_per_million_completion_tokens: Optional[float] = setting(None, of_server=False, least=0)
    """What a provider asks for tokens of replies; none: as for prompts."""
    max_cost: Optional[float] = setting(None, of_server=False, running=True, local=False, above=0)
    """Most that one stream, or one set of answers, may cost by the prices of tokens, over all runs; then it stops and can be resumed."""
    max_tokens_total: Optional[int] = setting(None, of_server=False, running=True, local=False, least=1)
    """Most tokens, prompts and replies together, that one stream or set of answers may take, over all runs."""
    seen: list[str] = setting(factory=list, of_server=False)
    """Gold data known to be in its tuning, as task/split; task/made: texts made for the task's classes; [unknown]: nothing is known."""
    verified: str = setting("never", of_server=False)
    """never, or the date and hardware of a run of this project with the real weights."""
    demo: bool = False
    """Whether results mean nothing, since the LLM is a toy; it runs on a CPU also without device=cpu."""
    base_url: Optional[str] = setting(None, running=True)
    """An OpenAI-compatible server that runs already (…/v1); none: japagen starts vLLM."""
    api_key_env: str = setting("OPENAI_API_KEY", running=True)
    """Environment variable with that server's key."""
    server: Server = setting(factory=Server, running=True)
    """The server that japagen starts."""

    @property
    def continues(self) -> bool:
        """Whether prompts are texts that a base model continues."""
        return self.chat_template == PLAIN

    @property
    def stop_strings(self) -> tuple[str, ...]:
        r"""`stop` with line ends and tabs for \n and \t: Hydra takes what is typed between quotes as it is."""
        return tuple(text.replace(r"\n", "\n").replace(r"\t", "\t") for text in self.stop)

    def token_cost(self, prompt_tokens: float, completion_tokens: float) -> float | None:
        """The price of so many tokens; None where tokens have none."""
        of_prompts, of_replies = self.price_per_million_tokens, self.price_per_million_completion_tokens
        if of_prompts is None:
            return None
        return (prompt_tokens * of_prompts + completion_tokens * (of_prompts if of_replies is None else of_replies)) / 1e6
