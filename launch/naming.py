"""Which folder of the store a start of a sweep gets: that of an earlier start of the same sweep, or one of its own.

Names are short, so different sweeps may ask for the same one; none writes over what another has found.
"""

import itertools
from collections.abc import Iterator, Sequence

from japagen.errors import StoreError
from japagen.store.files import explain_os_errors
from japagen.store.store import Store
from japagen.sweeps.folder import RUNNING, Planned, SweepFolder
from japagen.sweeps.overview import read_overview


def own_name(store: Store, name: str, output_dir: str, planned: Sequence[Planned]) -> str:
    """The name of the folder that an earlier start of this sweep has, or an unused one; the folder is made.

    It is the same sweep where `output_dir` is the same and `planned` has all experiments of the earlier start, so that nothing is lost.
    """
    return next(
        candidate
        for candidate in _numbered(name)
        if _claim(store, candidate) or _goes_on(SweepFolder(store.root / "sweeps" / candidate), output_dir, planned)
    )


def unused_name(store: Store, name: str) -> str:
    """`name`, or where a sweep is called so `name-2`, …; its folder is made, so that two clients never get the same.

    Jobs of an earlier start of the same sweep may still read its folder, in which a unit's id can mean other work than now.
    """
    return next(candidate for candidate in _numbered(name) if _claim(store, candidate))


def _numbered(name: str) -> Iterator[str]:
    """name, name-2, name-3, …"""
    yield name
    yield from (f"{name}-{number}" for number in itertools.count(2))


def _claim(store: Store, name: str) -> bool:
    """Makes the folder; False where it is there."""
    path = store.root / "sweeps" / name
    with explain_os_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            path.mkdir()
        except FileExistsError:
            return False
    return True


def _goes_on(folder: SweepFolder, output_dir: str, planned: Sequence[Planned]) -> bool:
    """Whether a start with `planned` goes on with the sweep of a folder that is there.

    A folder without a plan is another client's, which has only just made it. A plan without `output_dir` is of a version that wrote none.
    """
    try:
        is_same_folder = folder.plan().get("output_dir", output_dir) == output_dir
        before = [_work_of(experiment) for experiment in folder.experiments()]
        now = [_work_of(experiment) for experiment in planned]
        if not is_same_folder or not set(before) <= set(now) or folder.submitted():  # jobs on SLURM may still read a submitted one
            return False
        return before == now or not _is_running(folder)
    except (StoreError, KeyError, TypeError, ValueError, AttributeError):  # a plan of another version, or a broken one
        return False


def _is_running(folder: SweepFolder) -> bool:
    """Whether workers may still read the folder: another list of experiments gives their numbers another meaning."""
    return any(row.state == RUNNING for row in read_overview(folder, None).rows)


def _work_of(planned: Planned) -> str:
    """What tells an experiment from others: the key of its result, in which all others are."""
    return planned.keys["result"]
