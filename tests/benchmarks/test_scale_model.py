"""The model of a sweep on a cluster: rows are made once, whatever is preempted, and time is what the rules say."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from scale_model import OPEN_ROWS, Cluster, Outcome, Simulation, Stream, Work

START_S, RATE, BLOCK, NUM_BLOCKS = 100.0, 50.0, 256, 40


def unit(shards: int, num_streams: int = 2, id_: str = "llm-0") -> Work:
    return Work(id_, (Stream((BLOCK,) * NUM_BLOCKS, RATE),) * num_streams, shards)


def play(*works: Work, seed: int = 0, claiming: bool = True, num_gpus: int = 4, every_h: float | None = None, slow: float = 0.0) -> Outcome:
    cluster = Cluster(num_gpus, START_S, preempted_every_h=every_h, slow_share=slow)
    return Simulation(works, cluster, seed, claiming).run()


def test_one_shard_takes_its_start_its_rows_and_the_last_rows_of_each_stream() -> None:
    outcome = play(unit(1))
    assert outcome.wall_s == pytest.approx(START_S + 2 * (NUM_BLOCKS * BLOCK / RATE + OPEN_ROWS / RATE))
    assert (outcome.num_starts, outcome.made_rows, outcome.lost_rows) == (1, 2 * NUM_BLOCKS * BLOCK, 0)


def test_shards_share_a_stream_and_wait_for_its_end() -> None:
    outcome = play(unit(3), num_gpus=3)  # 40 blocks on 3 shards: one has 14, two have 13 and wait for it
    assert outcome.wall_s == pytest.approx(START_S + 2 * (14 * BLOCK + OPEN_ROWS) / RATE)
    assert outcome.waiting_gpu_s == pytest.approx(2 * 2 * BLOCK / RATE)


def test_students_wait_for_all_jobs_of_their_llm_and_no_other() -> None:
    quick, slow = unit(1, 1, "llm-0"), unit(1, 4, "llm-1")
    outcome = play(quick, slow, Work("student", seconds=10, needs="llm-0"), num_gpus=2)
    assert outcome.wall_s == outcome.llm_s == play(slow, num_gpus=1).wall_s
    outcome = play(quick, slow, Work("student", seconds=10, needs="llm-1"), num_gpus=2)
    assert outcome.wall_s == outcome.llm_s + 10


def test_a_shard_that_gets_no_gpu_before_the_work_is_done_starts_no_server() -> None:
    outcome = play(unit(4), num_gpus=2)
    assert outcome.num_starts == 2


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("claiming", [True, False])
def test_every_row_is_made_once_however_often_jobs_are_preempted(seed: int, claiming: bool) -> None:
    outcome = play(unit(3), seed=seed, claiming=claiming, every_h=0.05, slow=0.3)
    assert outcome.num_preemptions > 0
    assert outcome.made_rows == 2 * NUM_BLOCKS * BLOCK
    assert outcome.lost_rows <= outcome.num_preemptions * (OPEN_ROWS + BLOCK)
    assert outcome == play(unit(3), seed=seed, claiming=claiming, every_h=0.05, slow=0.3)


def test_claimed_blocks_wait_less_for_a_slow_node_than_fixed_parts() -> None:
    runs = [(play(unit(4), seed=seed, slow=0.3), play(unit(4), seed=seed, slow=0.3, claiming=False)) for seed in range(8)]
    slowed = [(claimed, fixed) for claimed, fixed in runs if fixed.wall_s > 1.5 * min(one.wall_s for _, one in runs)]
    assert slowed
    assert all(claimed.wall_s < 0.9 * fixed.wall_s for claimed, fixed in slowed)
