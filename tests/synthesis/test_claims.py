"""Claims on blocks: the same blocks for everybody, one owner each, and none kept by the dead."""

import itertools
import json
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from japagen.store import locks
from japagen.store.locks import HeldError
from japagen.store.store import Store
from japagen.synthesis.claims import MOST_ROWS, Blocks, Claims, remove_void
from japagen.synthesis.stream import Stream
from tests.conftest import Compose
from tests.stubs.lock_owners import orphan
from tests.stubs.streams import make_stream
from tests.stubs.waiting import eventually


@pytest.fixture
def stream(composed: Compose) -> Stream:
    return make_stream(composed(), n=8)


@given(n=st.integers(1, 300), indices=st.lists(st.integers(0, 30_000), min_size=2, unique=True))
def test_blocks_depend_on_the_index_alone_and_cut_no_request(n: int, indices: list[int]) -> None:
    one, other = Blocks(n), Blocks(n)
    starts = {index: one.start(index) for index in indices}
    assert {index: other.start(index) for index in sorted(indices)} == starts, "in whatever order they are asked about"
    for index, start in starts.items():
        assert start % n == 0
        assert start <= index < start + max(MOST_ROWS, n)
        assert one.start(start) == start


@pytest.mark.parametrize("n", [1, 4, 8])
def test_claims_are_few_for_long_streams_and_small_for_short_ones(n: int) -> None:
    blocks = Blocks(n)
    assert len({blocks.start(index) for index in range(25_000)}) < 200
    assert len({blocks.start(index) for index in range(0, 10 * n)}) == 10
    ends = [index for index in range(1, 3000) if blocks.start(index) == index]
    assert all(end - start <= max(n, start / 16) for start, end in itertools.pairwise(ends))


def test_a_block_has_one_owner_who_gives_it_back(tmp_path: Path, stream: Stream) -> None:
    store = Store(tmp_path)
    with Claims(store, stream) as other:
        with Claims(store, stream) as one:
            assert one.take("", 3)
            assert one.owns("", 7)
            assert not one.owns("", 8)
            assert not other.take("", 0)
            assert other.take("", 8)
            assert not one.take("", 15)
            assert other.gone(other.rivals) == frozenset()
        assert not other.take("", 0), "refused until it is known that the owner is gone"
        gone = other.gone(other.rivals)
        assert gone == {one.token}
        other.forget(gone)
        assert other.take("", 0)
    assert not list((store.path("stream", stream.key) / "claims").iterdir())
    assert not list((tmp_path / "locks").iterdir())


def test_labels_of_single_texts_are_claimed_apart(tmp_path: Path, composed: Compose) -> None:
    stream = make_stream(composed("task=jcola"))
    first, second = stream.task.label_names
    with Claims(Store(tmp_path), stream) as one, Claims(Store(tmp_path), stream) as other:
        assert one.take(first, 0)
        assert other.take(second, 0)
        assert not other.take(first, 0)


def test_who_lives_keeps_its_claims(tmp_path: Path, stream: Stream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "HEARTBEAT_S", 0.02)
    monkeypatch.setattr(locks, "STALE_S", 0.5)
    with Claims(Store(tmp_path), stream) as one, Claims(Store(tmp_path), stream) as other:
        one.take("", 0)
        other.take("", 0)
        beats = set()
        while len(beats) < 50:  # at least two STALE_S
            assert other.gone(other.rivals) == frozenset()
            beats.add(json.loads(one._lock.path.read_text(encoding="utf-8"))["beat"])


def test_a_silent_owner_elsewhere_loses_its_claims(tmp_path: Path, stream: Stream, monkeypatch: pytest.MonkeyPatch) -> None:
    with Claims(Store(tmp_path), stream) as one, Claims(Store(tmp_path), stream) as other:
        one.take("", 0)
        other.take("", 0)
        owner = json.loads(one._lock.path.read_text(encoding="utf-8"))
        one._lock.path.write_text(json.dumps(owner | {"host": "elsewhere"}), encoding="utf-8")
        assert other.gone(other.rivals) == frozenset()
        monkeypatch.setattr(locks, "STALE_S", 0.0)
        other.forget(other.gone(other.rivals))
        assert other.take("", 0)


def test_who_was_taken_for_dead_goes_on_under_a_new_name(tmp_path: Path, stream: Stream) -> None:
    with Claims(Store(tmp_path), stream) as other:
        with Claims(Store(tmp_path), stream) as one:
            token = one.token
            assert one.take("", 0)
            assert one.take("", 8)
            assert not other.take("", 0)
            orphan(one)
            other.forget(other.gone(other.rivals))
            assert other.take("", 0)
            assert one.gone(one.rivals) == {token}
            one.forget(frozenset({token}))
            assert one.token != token
            assert not one.take("", 0), "another has it now"
            assert one.take("", 8), "this one nobody wanted"
        assert other.take("", 0), "whose end takes nothing from others"
        with Claims(Store(tmp_path), stream) as third:
            assert not third.take("", 0)


def test_what_the_dead_claimed_is_taken_away_once_nobody_writes(tmp_path: Path, stream: Stream) -> None:
    store = Store(tmp_path)
    with Claims(store, stream) as dead, Claims(store, stream) as other:
        assert dead.take("", 0)
        assert other.take("", 8)
        orphan(dead)
        with pytest.raises(HeldError):
            remove_void(store, stream.key)
        orphan(other)
        assert remove_void(store, stream.key)
        assert not list(other.folder.iterdir())
        assert other.take("", 16), "who was taken for dead and lives goes on"
    with Claims(store, stream) as third:
        assert third.take("", 0)


def test_who_begins_waits_for_one_who_takes_away(tmp_path: Path, stream: Stream) -> None:
    store = Store(tmp_path)
    claims, is_in = Claims(store, stream), threading.Event()

    def write() -> None:
        with claims:
            is_in.set()

    with store.lock("stream", stream.key):
        thread = threading.Thread(target=write)
        thread.start()
        assert eventually(lambda: bool(store.locks(f"{stream.key}-")))
        assert not is_in.is_set()
    thread.join()
    assert is_in.is_set()


def test_who_was_taken_for_dead_may_find_out_as_it_claims(tmp_path: Path, stream: Stream) -> None:
    with Claims(Store(tmp_path), stream) as one, Claims(Store(tmp_path), stream) as other:
        token = one.token
        one.take("", 0)
        other.take("", 0)
        orphan(one)
        other.forget(other.gone(other.rivals))
        assert one.take("", 8)
        assert one.token != token
        assert not one.owns("", 0)
        assert one.gone(one.rivals) == frozenset()


def test_of_many_who_want_what_the_dead_had_one_gets_each(tmp_path: Path, stream: Stream) -> None:
    indices = range(0, 30 * stream.texts_per_request, stream.texts_per_request)
    with ExitStack() as stack:
        dead, *living = (stack.enter_context(Claims(Store(tmp_path), stream)) for _ in range(7))
        assert all(dead.take("", index) for index in indices)
        assert not any(claims.take("", index) for claims in living for index in indices)
        orphan(dead)
        together = threading.Barrier(len(living))

        def take_over(claims: Claims) -> None:
            together.wait()
            claims.forget(claims.gone(claims.rivals))
            for index in indices:
                claims.take("", index)

        threads = [threading.Thread(target=take_over, args=(claims,)) for claims in living]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [sum(claims.owns("", index) for claims in living) for index in indices] == [1] * len(indices)


def test_an_empty_claim_file_is_nobodys(tmp_path: Path, stream: Stream) -> None:
    with Claims(Store(tmp_path), stream) as claims:
        (claims.folder / "0-000000.0").write_text("", encoding="utf-8")
        assert claims.take("", 0)
