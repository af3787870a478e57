"""Checks of one encoder: loaded as a training would, trained for some steps on fixed texts, then asked. Nothing of it is kept."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from japagen.commands.doctor.installation import Check
from japagen.config.schema import Config
from japagen.errors import JapagenError
from japagen.hub.models import check_q4, is_on_hub, locate, resolve_revision
from japagen.training.words import check_splitter

MOST_UNKNOWN = 0.1
"""Share of unknown tokens above which an encoder does not read the task's language."""


def check_encoder(config: Config, say: Callable[[str], None] = print, measured: dict[str, Any] | None = None) -> list[Check]:
    """Whether the encoder can be trained here, and how fast. What stops it is one fault with its own words.

    measured: gets what a record keeps of it; nothing where there is a fault.
    """
    from japagen.training.speed import measure_speed

    encoder = config.model
    try:
        check_splitter(encoder)
        check_q4(encoder.name, encoder.id, "model")
        path = locate(encoder.id, "model.id")
        revision = resolve_revision(encoder.id, encoder.revision, "model.id")
        say(f"{encoder.name}: loading, training some seconds, predicting")
        speed = measure_speed(
            config.task, encoder, path, revision if is_on_hub(encoder.id) else None, config.train.batch_size, config.device
        )
    except JapagenError as error:
        return [Check("fault", "encoder", str(error))]
    checks = [
        Check("ok", "encoder", f"loaded: {speed.num_parameters / 1e6:,.0f} million parameters, {speed.precision} on {speed.device}"),
        tokenizer_check(config.task.language, speed.tokens_per_text, speed.unknown),
        training_check(speed.is_finite, speed.train_texts_per_s, speed.batch_size),
        Check("ok", "prediction", f"{speed.predict_texts_per_s:,.0f} texts/s"),
    ]
    if measured is not None and speed.is_finite:
        figures = {name: round(value, 3) if isinstance(value, float) else value for name, value in asdict(speed).items()}
        measured |= {"name": encoder.name, "id": encoder.id, "revision": revision, **figures}
    return checks


def tokenizer_check(language: str | None, tokens_per_text: float, unknown: float) -> Check:
    """Whether the tokenizer knows the language of the task's texts."""
    found = f"{tokens_per_text:.0f} tokens a text, {unknown:.0%} of them unknown"
    if unknown <= MOST_UNKNOWN:
        return Check("ok", "tokenizer", found)
    cure = f"choose an encoder that reads the task's language (task.language={language})"
    return Check("warning", "tokenizer", found, cure)


def training_check(is_finite: bool, texts_per_s: float, batch_size: int) -> Check:
    """Whether every loss was a number, and how fast training went."""
    found = f"{texts_per_s:,.0f} texts/s in batches of {batch_size}"
    if is_finite:
        return Check("ok", "training", found)
    return Check("fault", "training", f"{found}; a loss was no number", "set model.bf16=false in its YAML, or choose another encoder")
