"""A composed configuration becomes plain, checked dataclasses; errors that show without reading a file are refused here."""

from collections.abc import Iterable
from dataclasses import is_dataclass, replace
from math import isfinite
from sys import float_info
from typing import Any, Union, get_args, get_origin
from urllib.parse import urlsplit

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from japagen.config.fields import Facts, hints_of, settings
from japagen.config.languages import check_language
from japagen.config.llm import LLM, PLAIN, SPARE_TOKENS, TOKENS_PER_CHAR
from japagen.config.schema import NUM_TEMPLATES, WRITTEN_ANSWERS, Config
from japagen.errors import ConfigError, check_at_least, check_choice, nearest
from japagen.tasks import check_task, check_variants

OWN_ARGUMENTS = {
    "--api-key": "the server gets a random key by environment, which no process list shows",
    "--host": "the server listens on this machine only",
    "--port": "set llm.server.port",
    "--model": "set llm.id",
    "--served-model-name": "set llm.id",
    "--revision": "set llm.revision",
    "--trust-remote-code": "set llm.trust_remote_code=true",
    "--chat-template": "set llm.chat_template=FILE: a template decides the prompts, so it belongs into keys",
}
"""Arguments of vLLM's that `llm.server.extra_args` must not hold, and what to do instead."""
MAX_STOP = 4
"""Stop strings that OpenAI's API takes."""
OWN_FIELDS = frozenset(
    {
        *("model", "messages", "n", "seed", "temperature", "top_p", "top_k", "repetition_penalty", "max_tokens", "max_completion_tokens"),
        *("stop", "stream", "chat_template_kwargs", "structured_outputs"),
    }
)
"""Fields of a request that `llm.request_args` must not hold."""


FORMER_VALUES = {
    ("curate.contamination", "ngram"): "drop, a rule that common phrases do not trip, or report, which drops nothing",
    ("curate.contamination", "exact"): "drop, which takes out near copies too, or report, which drops nothing",
}
"""(setting, value of an earlier version) -> what took its place."""


def to_config(composed: DictConfig) -> Config:
    """The composed configuration as plain, checked dataclasses; ConfigError names the key at fault."""
    try:
        config = OmegaConf.to_object(composed)
    except MissingMandatoryValue as error:
        key = getattr(error, "full_key", None) or "a setting"
        raise ConfigError(f"{key} is not set, and has no default; give it in its YAML file, or as {key}=VALUE") from error
    except OmegaConfBaseException as error:
        raise ConfigError(f"{getattr(error, 'full_key', None) or 'configuration'}: {str(error).splitlines()[0]}") from error
    if not isinstance(config, Config):
        raise ConfigError("the configuration is not japagen's: conf/config.yaml must name `japagen_schema` first in its defaults")
    _check_sections(config, Config, "")
    check_config(config)
    return _with_longest_replies(config)


def read_config(content: Any) -> Config:
    """What `asdict` made of a configuration, read from JSON, as it was and checked; ConfigError where this version has other settings."""
    config: Config = _as_typed(content, Config, "")
    check_config(config)
    return _with_longest_replies(config)


def _with_longest_replies(config: Config) -> Config:
    """The configuration with a number where an LLM's sampling.max_tokens is null: what the task's texts take."""

    def derived(llm: LLM) -> LLM:
        if llm.sampling.max_tokens is not None:
            return llm
        longest = round(TOKENS_PER_CHAR * config.task.max_chars) + SPARE_TOKENS
        return replace(llm, sampling=replace(llm.sampling, max_tokens=longest))

    return replace(config, llm=derived(config.llm), judge=None if config.judge is None else derived(config.judge))


def _as_typed(value: Any, kind: Any, where: str) -> Any:
    """The value, with dataclasses in place of mappings where the schema has them; a setting that is missing has its default."""
    if isinstance(kind, type) and is_dataclass(kind):
        _check_kind(value, dict, where)
        hints = hints_of(kind)
        for name in value:
            if name not in hints:
                raise ConfigError(_no_setting(name, hints, where))
        return kind(**{name: _as_typed(entry, hints[name], f"{where}.{name}".strip(".")) for name, entry in value.items()})
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Union:  # Optional
        return None if value is None else _as_typed(value, arguments[0], where)
    if origin is list:
        _check_kind(value, list, where)
        return [_as_typed(entry, arguments[0], where) for entry in value]
    if origin is dict:
        _check_kind(value, dict, where)
        return {name: _as_typed(entry, arguments[1], where) for name, entry in value.items()}
    if kind is float and type(value) is int and abs(value) <= float_info.max:
        return float(value)
    if kind is not Any:
        _check_kind(value, kind, where)
    return value


def _check_kind(value: Any, kind: type, where: str) -> None:
    if type(value) is not kind:
        raise ConfigError(f"{where or 'the configuration'} is {value!r:.60}; it must be of type {kind.__name__}")


def _no_setting(name: str, names: Iterable[str], where: str) -> str:
    return f"{where or 'the configuration'} has no setting {name!r}{nearest(name, names)}; allowed: {', '.join(names)}"


def _check_sections(value: Any, kind: Any, where: str) -> None:
    """Refuses keys that `+key=value` put beside a dataclass's own, which nobody would read, and what an interpolation put in place of a
    section or a list: OmegaConf looks at neither."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Union and value is not None:
        _check_sections(value, arguments[0], where)
    elif origin in (list, dict):
        _check_kind(value, origin, where)
        if is_dataclass(arguments[-1]):
            for entry in value if origin is list else value.values():
                _check_sections(entry, arguments[-1], where)
    elif isinstance(kind, type) and is_dataclass(kind):
        hints = hints_of(kind)
        if type(value) is not kind:
            raise ConfigError(f"{where} is {value!r:.60}; it must be a mapping with settings: {', '.join(hints)}")
        for name, entry in vars(value).items():
            if name not in hints:
                raise ConfigError(_no_setting(name, hints, where))
            _check_sections(entry, hints[name], f"{where}.{name}".strip("."))


def check_config(config: Config) -> None:
    """Raises ConfigError for values and combinations that can't be run; reads no file."""
    check_task(config.task)
    check_language("task.language", config.task.language)
    for key, llm in (("llm", config.llm), ("judge", config.judge)):
        if llm is not None:
            _check_server(key, llm)
            _check_reply_form(key, llm)
    _check_choices(config)
    _check_numbers(config)
    if config.gold_per_label != "all" and not (config.gold_per_label.isdecimal() and int(config.gold_per_label) > 0):
        raise ConfigError(f"gold_per_label={config.gold_per_label!r} is not known; allowed: all, or a whole number from 1")
    _check_combinations(config)
    _check_continuation(config)
    if not config.store:
        raise ConfigError("store is empty (store= or JAPAGEN_STORE=); name a folder, or leave both out for outputs/store")
    if config.data.train_source is not None:
        if config.data.source != "published":
            raise ConfigError(f"data.train_source={config.data.train_source!r} needs data.source=published")
        check_choice("data.train_source", config.data.train_source, config.task.published.train_sources)


def _check_server(key: str, llm: LLM) -> None:
    """Refuses what would make a server known to others, or write a secret into plans and logs."""
    for argument in llm.server.extra_args:
        name = argument.partition("=")[0].replace("_", "-")
        if name in OWN_ARGUMENTS:
            raise ConfigError(f"{key}.server.extra_args holds {name}, which japagen sets itself: {OWN_ARGUMENTS[name]}")
    _check_requests(key, llm)
    if llm.base_url is None:
        return
    if "@" in llm.base_url.rpartition("://")[2].partition("/")[0]:
        raise ConfigError(
            f"{key}.base_url holds a password, which plans and logs would show; put it into a variable: {key}.api_key_env=NAME"
        )
    if not _is_address(llm.base_url):
        raise ConfigError(
            f"{key}.base_url={llm.base_url!r} is no address of a server; give it up to and with /v1, e.g. http://127.0.0.1:8000/v1,"
            " or leave it out to start vLLM"
        )


def _check_reply_form(key: str, llm: LLM) -> None:
    """Refuses stop strings that end nothing or everything, and a template for a server that has one already."""
    if "" in llm.stop or len(set(llm.stop_strings)) < len(llm.stop):
        raise ConfigError(f"{key}.stop={llm.stop} must be strings that differ and are not empty; leave the others out")
    if llm.chat_template == "":
        raise ConfigError(f"{key}.chat_template is empty; allowed: null (the model's own), plain (for base models), or a Jinja file")
    if llm.base_url is None:
        return
    if llm.chat_template is not None and not llm.continues:
        raise ConfigError(
            f"{key}.chat_template={llm.chat_template} is set, but the server at {key}.base_url runs already and has its own template; start"
            f" it with --chat-template {llm.chat_template} (vLLM), and leave {key}.chat_template out"
        )
    if (num := len(llm.stop) + llm.continues) > MAX_STOP:
        raise ConfigError(
            f"{key}.stop names {len(llm.stop)} strings{' and plain adds one' * llm.continues}, and OpenAI's API, which {key}.base_url"
            f" speaks, takes {MAX_STOP}; leave {num - MAX_STOP} out"
        )


def _check_continuation(config: Config) -> None:
    """Refuses what a base model, which only continues a text, can't do."""
    method, kind = config.method, config.method.kind
    if not (config.llm.continues and kind.has_llm):
        return
    reason = f"llm.chat_template={PLAIN} is for base models, which follow no instruction and only continue what they read"
    writes_answer = kind.answers and method.answer in WRITTEN_ANSWERS
    if config.shots == 0 and (kind.writes or writes_answer):
        other = " (or, as answers that are scored need none, method.answer=label)" if writes_answer and not kind.writes else ""
        raise ConfigError(f"shots=0, but {reason}: without exemplars they write anything; set shots=5{other}")
    if kind.writes and config.synthesis.verbalized:
        raise ConfigError(f"synthesis.verbalized=true asks for a list in JSON, but {reason}; set synthesis.verbalized=false")
    if config.prompt.name == "kadg_auto":
        raise ConfigError(
            f"prompt=kadg_auto asks the LLM for attributes in JSON, but {reason}; set prompt=kadg, with attributes in the task's YAML"
        )


def _check_requests(key: str, llm: LLM) -> None:
    """Refuses request fields that japagen sets itself, and limits that nothing can count."""
    for name in OWN_FIELDS.intersection(llm.request_args):
        raise ConfigError(f"{key}.request_args holds {name}, which japagen sets itself ({key}.sampling, synthesis); leave it out")
    if llm.price_per_million_completion_tokens is not None and llm.price_per_million_tokens is None:
        raise ConfigError(
            f"{key}.price_per_million_completion_tokens is set and {key}.price_per_million_tokens (of prompts) is not; set both, or the"
            " latter alone where replies cost the same"
        )
    if llm.max_cost is not None and llm.price_per_million_tokens is None:
        raise ConfigError(
            f"{key}.max_cost={llm.max_cost:g} is counted by the price of tokens, and there is none; set {key}.price_per_million_tokens"
            f" (and {key}.price_per_million_completion_tokens where replies cost otherwise), or {key}.max_tokens_total instead"
        )


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a bracket without its partner, a port that is no number
        return False


def _check_combinations(config: Config) -> None:
    """Refuses settings that nothing would read."""
    method, curate = config.method, config.curate
    if config.judge is not None and curate.judging == "off":
        raise ConfigError("judge is set, but curate.judging=off, so nothing is judged; set curate.judging=drop, replace or soften")
    for key, is_set in {"curate.judging": curate.judging != "off", "curate.keep_likeliest": curate.keep_likeliest < 1}.items():
        if is_set and not method.kind.writes:
            raise ConfigError(f"{key} is set, but method={method.name} has no texts written, so it would do nothing; leave it out")
    if curate.prior != "as_made" and not method.kind.makes_dataset:
        raise ConfigError(f"curate.prior={curate.prior} weighs the rows of a data set, and method={method.name} makes none; leave it out")
    if config.prompt.name == "kadg_auto" and not method.kind.writes:
        raise ConfigError(f"prompt=kadg_auto names attributes of texts to be written, and method={method.name} has none written")
    if method.calibrate and method.answer != "label":
        raise ConfigError(f"method.calibrate=true needs method.answer=label, since it divides label probabilities; found {method.answer}")
    if method.template is not None and method.template >= NUM_TEMPLATES:
        allowed = ", ".join(map(str, range(NUM_TEMPLATES)))
        raise ConfigError(f"method.template={method.template} is not known; allowed: {allowed}, or null")
    if config.train.ensemble_momentum > 0 and config.task.is_regression:
        raise ConfigError(
            f"train.ensemble_momentum={config.train.ensemble_momentum} is for classification, and {config.task.name!r} is a regression;"
            " set train.ensemble_momentum=0"
        )


def _check_choices(config: Config) -> None:
    for name, value, facts in settings(config):
        if facts.choices and value is not None and value not in facts.choices:
            if (name, value) in FORMER_VALUES:
                raise ConfigError(f"{name}={value} is no more; set {name}={FORMER_VALUES[name, value]}")
            check_choice(name, value, filter(None, facts.choices))
    if config.prompt.name == "kadg" and not config.task.has_knowledge:
        raise ConfigError(
            f"prompt=kadg needs the task's knowledge, and task {config.task.name!r} names none: give it `attributes`,"
            " or labels with `described`"
        )
    if config.prompt.variants:
        check_variants(config.task)


def _check_numbers(config: Config) -> None:
    _check_plain(config, "")
    for name, value, facts in sorted(settings(config), key=lambda found: found.name not in ("seed", "draw")):  # others follow these
        for number in value if isinstance(value, list) else [value]:
            if number is not None and not facts.holds(number):
                _refuse_number(name, number, facts)
    _check_prior(config)
    if config.synthesis.verbalized and config.synthesis.texts_per_request < 2:
        raise ConfigError(
            f"synthesis.verbalized lists several texts in one reply, and synthesis.texts_per_request={config.synthesis.texts_per_request};"
            " allowed: 2 or more"
        )


def _refuse_number(name: str, number: float, facts: Facts) -> None:
    """Raises ConfigError for a number outside its range; a whole number, and one without an upper limit, is too small or too large."""
    is_whole = isinstance(number, int)
    if facts.least is not None and (is_whole or facts.most is facts.below):
        check_at_least(name, number, facts.least)
    if is_whole:
        raise ConfigError(f"{name}={number} is too large; allowed: {facts.least} to {facts.most}{facts.or_else}")
    raise ConfigError(f"{name}={number} is not allowed; allowed: {facts.range}")


def _check_plain(node: Any, where: str) -> None:
    """Refuses what no key can hold: nan and inf, which every comparison below would let through too, and what isn't JSON in UTF-8."""
    if is_dataclass(node):
        for name, value in vars(node).items():
            _check_plain(value, f"{where}.{name}".strip("."))
    elif isinstance(node, dict):
        for name, value in node.items():
            if not isinstance(name, str):
                raise ConfigError(f"{where} has the name {name!r}, which is no text; put it in quotes")
            _check_plain([name, value], where)
    elif isinstance(node, list):
        for value in node:
            _check_plain(value, where)
    elif isinstance(node, float) and not isfinite(node):
        raise ConfigError(f"{where}={node} is not allowed; allowed: finite numbers")
    elif isinstance(node, str):
        try:
            node.encode()
        except UnicodeEncodeError as error:
            raise ConfigError(f"{where}={node!r:.60} holds what is no UTF-8; mend the file or the terminal's encoding") from error
    elif not isinstance(node, int | float | None):
        raise ConfigError(f"{where}={node!r:.60} is a {type(node).__name__}; allowed: text, numbers, true, false, null, lists and mappings")


def _check_prior(config: Config) -> None:
    curate, names = config.curate, config.task.label_names
    if curate.prior != "given":
        if curate.prior_values:
            raise ConfigError(f"curate.prior_values is set, but curate.prior={curate.prior} doesn't read it; set curate.prior=given")
        return
    values = curate.prior_values or {}
    if not isinstance(values, dict) or not all(isinstance(value, int | float) for value in values.values()):
        raise ConfigError(
            f"curate.prior_values={values!r} must give each label a number: {{{', '.join(f'{name}: 0.5' for name in names)}}}"
        )
    if sorted(values) != sorted(names):
        raise ConfigError(f"curate.prior_values names {', '.join(values) or 'no label'}; it must name each label once: {', '.join(names)}")
    if any(value <= 0 for value in values.values()) or abs(sum(values.values()) - 1) > 1e-3:
        raise ConfigError(
            f"curate.prior_values={dict(values)} must be numbers above 0 that sum to 1; their sum is {sum(values.values()):g}"
        )
