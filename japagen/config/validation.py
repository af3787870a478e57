"""From a composed configuration to plain, checked dataclasses: what can be told without reading a file is refused here."""

from collections.abc import Iterable
from dataclasses import is_dataclass
from functools import cache
from math import isfinite
from sys import float_info
from typing import Any, Union, get_args, get_origin, get_type_hints
from urllib.parse import urlsplit

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from japagen.config.methods import METHODS
from japagen.config.schema import LLM, NUM_WORDINGS, Config
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
}
"""Arguments of vLLM's that `llm.server.extra_args` must not hold, and what to do instead."""
JUDGING = ("off", "drop", "replace", "soften")
PRIORS = ("as_made", "uniform", "given", "estimated", "oracle")
ANSWERS = ("label", "channel", "choice", "free")
KEEP = ("all", "best_seed", "none")
PROMPTS = ("base", "kadg", "kadg_auto")
LARGEST_SEED = 2**32 - 1
"""That NumPy takes."""


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
    return config


def read_config(content: Any) -> Config:
    """What `asdict` made of a configuration, read from JSON, as it was and checked; ConfigError where this version has other settings."""
    config: Config = _as_typed(content, Config, "")
    check_config(config)
    return config


def _as_typed(value: Any, kind: Any, where: str) -> Any:
    """The value, with dataclasses in place of mappings where the schema has them; a setting that is missing has its default."""
    if isinstance(kind, type) and is_dataclass(kind):
        _check_kind(value, dict, where)
        hints = _hints(kind)
        for name in value:
            if name not in hints:
                raise ConfigError(_no_setting(name, hints, where))
        return kind(**{name: _as_typed(one, hints[name], f"{where}.{name}".strip(".")) for name, one in value.items()})
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Union:  # Optional
        return None if value is None else _as_typed(value, arguments[0], where)
    if origin is list:
        _check_kind(value, list, where)
        return [_as_typed(one, arguments[0], where) for one in value]
    if origin is dict:
        _check_kind(value, dict, where)
        return {name: _as_typed(one, arguments[1], where) for name, one in value.items()}
    if kind is float and type(value) is int and abs(value) <= float_info.max:
        return float(value)
    if kind is not Any:
        _check_kind(value, kind, where)
    return value


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)


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
            for one in value if origin is list else value.values():
                _check_sections(one, arguments[-1], where)
    elif isinstance(kind, type) and is_dataclass(kind):
        hints = _hints(kind)
        if type(value) is not kind:
            raise ConfigError(f"{where} is {value!r:.60}; it must be a mapping with settings: {', '.join(hints)}")
        for name, one in vars(value).items():
            if name not in hints:
                raise ConfigError(_no_setting(name, hints, where))
            _check_sections(one, hints[name], f"{where}.{name}".strip("."))


def check_config(config: Config) -> None:
    """Raises ConfigError for values and combinations that can't be run; reads no file."""
    check_task(config.task)
    for key, llm in (("llm", config.llm), ("judge", config.judge)):
        if llm is not None:
            _check_server(key, llm)
    _check_choices(config)
    _check_numbers(config)
    if config.gold_per_label != "all" and not (config.gold_per_label.isdecimal() and int(config.gold_per_label) > 0):
        raise ConfigError(f"gold_per_label={config.gold_per_label!r} is not known; allowed: all, or a whole number from 1")
    _check_combinations(config)
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
    if llm.server.port is not None and llm.server.port > 65535:
        raise ConfigError(f"{key}.server.port={llm.server.port} is too large; allowed: 1 to 65535, or null (a free one is found)")
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
    if method.template is not None and method.template >= NUM_WORDINGS:
        allowed = ", ".join(map(str, range(NUM_WORDINGS)))
        raise ConfigError(f"method.template={method.template} is not known; allowed: {allowed}, or null")
    if config.train.ensemble_momentum > 0 and config.task.is_regression:
        raise ConfigError(
            f"train.ensemble_momentum={config.train.ensemble_momentum} is for classification, and {config.task.name!r} is a regression;"
            " set train.ensemble_momentum=0"
        )


def _check_choices(config: Config) -> None:
    check_choice("method.name", config.method.name, METHODS)
    check_choice("prompt.name", config.prompt.name, PROMPTS)
    if config.prompt.name == "kadg" and not config.task.has_knowledge:
        raise ConfigError(
            f"prompt=kadg needs the task's knowledge, and task {config.task.name!r} names none: give it `attributes`,"
            " or labels with `described`"
        )
    if config.prompt.variants:
        check_variants(config.task)
    check_choice("data.source", config.data.source, ["sample", "published", "files"])
    check_choice("curate.judging", config.curate.judging, JUDGING)
    check_choice("curate.judge_answer", config.curate.judge_answer, ["label", "channel"])
    check_choice("curate.prior", config.curate.prior, PRIORS)
    check_choice("method.answer", config.method.answer, ANSWERS)
    check_choice("curate.contamination", config.curate.contamination, ["off", "exact", "ngram"])
    check_choice("device", config.device, ["auto", "cpu", "cuda"])
    if config.train.keep is not None:
        check_choice("train.keep", config.train.keep, KEEP)
    if config.model.word_splitter:
        check_choice("model.word_splitter", config.model.word_splitter, ["jumanpp"])
    check_choice("logger.wandb", config.logger.wandb, ["auto", "online", "offline", "off"])
    check_choice("logger.upload", config.logger.upload, ["none", "data", "all"])


def _check_numbers(config: Config) -> None:
    _check_plain(config, "")
    if config.seed > LARGEST_SEED:
        raise ConfigError(f"seed={config.seed} is too large; allowed: 0 to {LARGEST_SEED}")
    for key, least in _LEAST.items():
        value: Any = config
        for part in key.split("."):
            value = getattr(value, part)
        if value is not None:
            check_at_least(key, value, least)
    if not 0 <= config.train.label_smoothing < 1:
        raise ConfigError(f"train.label_smoothing={config.train.label_smoothing} is not allowed; allowed: 0 up to, not including, 1")
    if not 0 < config.llm.sampling.top_p <= 1:
        raise ConfigError(f"llm.sampling.top_p={config.llm.sampling.top_p} is not allowed; allowed: above 0, up to 1")
    near = config.curate.near_duplicates
    if near is not None and not 0 < near <= 1:
        raise ConfigError(f"curate.near_duplicates={near} is not allowed; allowed: above 0, up to 1, or null")
    for key, (value, allowed, is_allowed) in _ranges(config).items():
        if not is_allowed:
            raise ConfigError(f"{key}={value} is not allowed; allowed: {allowed}")
    _check_prior(config)
    for temperature in config.synthesis.temperatures:
        check_at_least("synthesis.temperatures", temperature, 0)
    if config.synthesis.verbalized and config.synthesis.texts_per_request < 2:
        raise ConfigError(
            f"synthesis.verbalized lists several texts in one reply, and synthesis.texts_per_request={config.synthesis.texts_per_request};"
            " allowed: 2 or more"
        )
    if config.train.learning_rate <= 0:
        raise ConfigError(f"train.learning_rate={config.train.learning_rate} is not allowed; allowed: above 0")


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


def _ranges(config: Config) -> dict[str, tuple[float, str, bool]]:
    """Setting -> its value, what is allowed in words, and whether it is."""
    train, curate, method = config.train, config.curate, config.method
    return {
        "train.ensemble_momentum": (train.ensemble_momentum, "0 (off) up to, not including, 1", 0 <= train.ensemble_momentum < 1),
        "train.ensemble_threshold": (train.ensemble_threshold, "0 up to, not including, 1", 0 <= train.ensemble_threshold < 1),
        "train.robust_q": (train.robust_q, "0 (cross entropy) up to 1", 0 <= train.robust_q <= 1),
        "curate.judge_threshold": (curate.judge_threshold, "above 0, up to 1", 0 < curate.judge_threshold <= 1),
        "curate.keep_likeliest": (curate.keep_likeliest, "above 0, up to 1", 0 < curate.keep_likeliest <= 1),
        "method.gold_weight": (method.gold_weight, "above 0", method.gold_weight > 0),
    }


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


_LEAST: dict[str, float] = {
    "shots": 0,
    "shots_seed": 0,
    "seed": 0,
    "num_per_label": 1,
    "synthesis.seed": 0,
    "synthesis.texts_per_request": 1,
    "synthesis.max_rows_factor": 1,
    "method.num_texts": 1,
    "method.max_tokens": 1,
    "method.template": 0,
    "synthesis.concurrency": 1,
    "curate.max_same_first": 1,
    "train.epochs": 1,
    "train.batch_size": 1,
    "train.warmup_ratio": 0,
    "train.weight_decay": 0,
    "train.patience": 1,
    "train.validations_per_epoch": 1,
    "train.fixed_steps": 1,
    "workers": 1,
    "shards": 1,
    "pack": 1,
    "site.max_array": 1,
    "site.poll_s": 1,
    **{f"site.{step}.{name}": 1 for step in ("llm", "student") for name in ("cpus", "time_min", "signal_s", "throttle", "side_by_side")},
    "site.student.gpus": 0,
    "model.max_length": 8,
    "llm.gpus": 1,
    "llm.max_model_len": 16,
    "llm.sampling.temperature": 0,
    "llm.sampling.max_tokens": 1,
    "llm.server.port": 1,
    "llm.server.start_timeout_s": 1,
    "llm.server.max_restarts": 0,
}
