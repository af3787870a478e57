"""Whether accepted replies are nearest to their own label's description, by an encoder that is on this machine."""

from collections.abc import Sequence

from rich.console import Console

from japagen.commands.artifacts.quality_tables import print_label_agreement
from japagen.config.schema import Config, Encoder
from japagen.errors import ConfigError, TrainingError
from japagen.evaluation.vectors import can_describe, label_agreement
from japagen.hub.cache import cache_folder, look_up
from japagen.hub.models import is_on_hub, locate
from japagen.tasks import Example


def print_agreement(config: Config, rows: Sequence[Example], console: Console) -> None:
    """A table of each label's share, and the weakest label; a line says why where no encoder is at hand. Nothing for other tasks."""
    task, encoder = config.task, config.model
    if not can_describe(task) or not rows:
        return
    console.print()
    console.rule("[bold]labels held against their descriptions[/]", align="left")
    if encoder.demo:
        console.print(f"not done: model={encoder.name} is a toy; model=NAME takes an encoder that is on this machine", markup=False)
        return
    try:
        path, revision = _at_hand(encoder, config)
        from japagen.training.frozen import frozen_encoder

        agreement = label_agreement(task, rows, frozen_encoder(task, encoder, path, revision, config.device))
    except (ConfigError, TrainingError) as error:
        console.print(f"not done: {error}", markup=False, soft_wrap=True)
        return
    console.print(
        f"share of accepted texts whose nearest label description is their label's, by {encoder.name} without training", markup=False
    )
    print_label_agreement(agreement, console)


def _at_hand(encoder: Encoder, config: Config) -> tuple[str, str | None]:
    """Folder or hub id, and the cached commit of the latter. Raises ConfigError where it isn't on this machine."""
    path = locate(encoder.id, "model.id")
    if not is_on_hub(encoder.id):
        return path, None
    cached = look_up(encoder.id, encoder.revision, cache_folder(config.site.environment))
    if cached.missing:
        raise ConfigError(f"model={encoder.name} isn't on this machine ({cached.missing}); japagen fetch model={encoder.name} brings it")
    return path, cached.commit
