"""Which rows of an experiment's stream become its texts."""

from japagen.curation.dataset import selected_examples
from japagen.curation.select import Selector
from japagen.errors import MissingTextsError
from japagen.experiments.experiment import Experiment
from japagen.store.rowsfile import StreamRows
from japagen.store.store import Store
from japagen.tasks import Example


def make_selector(experiment: Experiment) -> Selector:
    """A fresh judge of the experiment's rows."""
    config = experiment.config
    shown = [example for examples in experiment.exemplars.values() for example in examples]
    return Selector(config.task, config.curate, config.num_per_label, shown)


def select(experiment: Experiment, store: Store) -> tuple[Selector, StreamRows]:
    """The experiment's selection of the stored rows; MissingTextsError where they don't suffice."""
    rows = StreamRows(store.path("stream", experiment.keys["stream"]))
    selector = make_selector(experiment)
    selector.advance(rows)
    if not selector.is_complete:
        raise MissingTextsError(f"{experiment.task.name}: the texts that the student learns from are not all written")
    return selector, rows


def selected(experiment: Experiment, store: Store) -> list[Example]:
    """The rows that became texts, as examples; raises as `select` does."""
    return selected_examples(experiment.task, select(experiment, store)[0])
