"""Judging: which rows each action keeps, what becomes of their labels, and a judge that can't be believed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from japagen.curation.judging import ACTIONS, judge_examples
from japagen.errors import ConfigError, GenerationError
from japagen.tasks import Example, Label, Task, nearest_level

TOPICS = Task(name="topics", labels=[Label(name, "書く") for name in ("sport", "food", "law")], system="s")
SIMILARITY = Task(
    name="similarity", kind="pair", target="regression", metric="spearman", fields=["a", "b"], system="s",
    labels=[Label(str(level), "書く", score=float(level)) for level in range(3)],
)  # fmt: skip
Answer = tuple[float, ...] | None


def rows_of(task: Task, labels: list[str]) -> list[Example]:
    scores = {label.name: label.score for label in task.labels}
    texts = [(f"{place}番目の文。",) * task.num_turns for place in range(len(labels))]
    return [Example(text, label, scores[label], f"{label}/{place}") for place, (text, label) in enumerate(zip(texts, labels, strict=True))]


def judged(task: Task, labels: list[str], answers: list[Answer], action: str, threshold: float = 0.5):  # type: ignore[no-untyped-def]
    rows = rows_of(task, labels)
    return rows, judge_examples(task, rows, {row.id: answer for row, answer in zip(rows, answers, strict=True)}, action, threshold)


def test_drop_keeps_rows_whose_label_reaches_the_threshold() -> None:
    answers: list[Answer] = [(0.5, 0.3, 0.2), (0.49, 0.51, 0.0), None, (0.0, 0.9, 0.1), (0.1, 0.1, 0.8)]
    rows, found = judged(TOPICS, ["sport", "sport", "sport", "food", "law"], answers, "drop")
    assert found.examples == (rows[0], rows[3], rows[4])
    assert found.rejects == {"sport": {"judged otherwise": 1, "not judged": 1}, "food": {}, "law": {}}
    assert found.changes == {"sport": {}, "food": {}, "law": {}}


def test_replace_takes_labels_that_reach_the_threshold() -> None:
    answers: list[Answer] = [(0.2, 0.6, 0.2), (0.3, 0.4, 0.3), (0.1, 0.9, 0.0), (0.4, 0.2, 0.4), (0.4, 0.2, 0.4), None]
    rows, found = judged(TOPICS, ["sport", "sport", "food", "law", "sport", "law"], answers, "replace")
    assert [row.label for row in found.examples] == ["food", "sport", "food", "law", "sport"]
    assert [row.id for row in found.examples] == [row.id for row in rows[:5]]
    assert all(row.probs is None for row in found.examples)
    assert found.changes == {"sport": {"relabelled": 1}, "food": {}, "law": {}}
    assert found.rejects["law"] == {"not judged": 1}


def test_of_equally_probable_labels_replace_keeps_the_rows_own() -> None:
    _, found = judged(TOPICS, ["law", "food", "sport"], [(0.5, 0.0, 0.5), (0.5, 0.0, 0.5), (0.0, 0.5, 0.5)], "replace", 0.1)
    assert [row.label for row in found.examples] == ["law", "sport", "food"], "else the task's first one"


def test_soften_gives_the_judges_probabilities_and_keeps_the_label() -> None:
    answers: list[Answer] = [(0.2, 0.6, 0.2), (0.1, 0.9, 0.0), (0.0, 0.0, 1.0), None]
    rows, found = judged(TOPICS, ["sport", "food", "law", "food"], answers, "soften", 0.9)
    assert [(row.label, row.probs) for row in found.examples] == [
        (row.label, answer) for row, answer in zip(rows[:3], answers, strict=False)
    ]
    assert found.changes == {"sport": {"softened": 1}, "food": {}, "law": {}}


def test_levels_are_dropped_by_their_own_probability() -> None:
    rows, found = judged(SIMILARITY, ["0", "0", "1", "2"], [(0.7, 0.2, 0.1), (0.2, 0.7, 0.1), (0, 1, 0), (0, 0, 1)], "drop")
    assert found.examples == (rows[0], *rows[2:])
    assert found.rejects["0"] == {"judged otherwise": 1}


@pytest.mark.parametrize("action", ["replace", "soften"])
def test_scores_become_the_judges_expectation(action: str) -> None:
    answers: list[Answer] = [(0.5, 0.25, 0.25), (0.0, 0.0, 1.0), (0.3, 0.4, 0.3), None]
    _, found = judged(SIMILARITY, ["0", "2", "0", "1"], answers, action, 0.99)
    assert [row.score for row in found.examples] == pytest.approx([0.75, 2.0, 1.0])
    assert [row.label for row in found.examples] == ["1", "2", "1"], "the nearest level; that none is left at 0 is no error"
    assert found.changes == {"0": {"relabelled": 2}, "1": {}, "2": {}}
    assert all(row.probs is None for row in found.examples)


def distributions(num: int) -> st.SearchStrategy[tuple[float, ...]]:
    return st.lists(st.integers(0, 10), min_size=num, max_size=num).filter(any).map(lambda ones: tuple(one / sum(ones) for one in ones))


@given(st.data(), st.sampled_from([TOPICS, SIMILARITY]), st.sampled_from(ACTIONS), st.floats(0.01, 1))
def test_every_row_is_kept_or_counted_once(data: st.DataObject, task: Task, action: str, threshold: float) -> None:
    labels = data.draw(st.lists(st.sampled_from(task.label_names), max_size=30))
    answers = data.draw(st.lists(st.none() | distributions(3), min_size=len(labels), max_size=len(labels)))
    try:
        rows, found = judged(task, labels, answers, action, threshold)
    except GenerationError:
        return
    ids = [row.id for row in found.examples]
    assert ids == [row.id for row in rows if row.id in set(ids)], "in their order"
    for name in task.label_names:
        own = [row for row in rows if row.label == name]
        stayed = [row for row in found.examples if row.id.startswith(f"{name}/")]
        assert len(stayed) + sum(found.rejects[name].values()) == len(own)
        assert found.rejects[name].get("not judged", 0) == sum(answers[rows.index(row)] is None for row in own)
        assert sum(found.changes[name].values()) <= len(stayed)
    assert [row.texts for row in found.examples] == [row.texts for row in rows if row.id in set(ids)]
    if task.is_regression:
        assert all(row.label == nearest_level(task, row.score or 0.0).name and 0 <= (row.score or 0) <= 2 for row in found.examples)


@given(st.lists(distributions(3), min_size=3, max_size=20), st.floats(0.01, 1), st.floats(0.01, 1))
def test_a_higher_threshold_never_keeps_more_and_never_relabels_more(answers: list[Answer], one: float, other: float) -> None:
    low, high = sorted((one, other))
    labels = [TOPICS.label_names[place % 3] for place in range(len(answers))]
    for action in ("drop", "replace"):
        try:
            found = [judged(TOPICS, labels, answers, action, threshold)[1] for threshold in (low, high)]
        except GenerationError:
            continue
        assert {row.id for row in found[1].examples} <= {row.id for row in found[0].examples}
        changed = [sum(sum(counts.values()) for counts in one.changes.values()) for one in found]
        assert changed[1] <= changed[0]


@pytest.mark.parametrize("nonsense", [None, (0.9, 0.9, 0.9), (float("nan"), 0.5, 0.5), (1.5, -0.5, 0.0), (0.0, 0.0, 0.0)])
def test_a_judge_that_answers_nonsense_is_refused(nonsense: Answer) -> None:
    good: Answer = (0.2, 0.4, 0.4)
    for action in ACTIONS:
        with pytest.raises(
            GenerationError, match=r"curate\.judging: the judge gave no usable answer for 3 of 5 rows \(sport: 2 of 2, food: 1 of 3\)"
        ):
            judged(TOPICS, ["sport", "sport", "food", "food", "food"], [nonsense] * 3 + [good] * 2, action, 0.3)
    _, found = judged(TOPICS, ["food"] * 4, [nonsense] * 2 + [good] * 2, "drop", 0.3)
    assert found.rejects["food"] == {"not judged": 2}, "of half of the rows it may say nothing"


def test_a_label_that_loses_all_rows_is_an_error_with_counts() -> None:
    answers: list[Answer] = [(0.2, 0.6, 0.2), None, (0.1, 0.9, 0.0), (0.1, 0.9, 0.0)]
    with pytest.raises(
        GenerationError, match=r"judging=drop.*2 rows of label 'sport' none is left \(judged otherwise 1, not judged 1;.*food: 2 of 2"
    ):
        judged(TOPICS, ["sport", "sport", "food", "food"], answers, "drop")
    with pytest.raises(GenerationError, match=r"judging=replace.*not judged 1, relabelled 1"):
        judged(TOPICS, ["sport", "sport", "food", "food"], answers, "replace")
    with pytest.raises(GenerationError, match=r"judging=soften.*'sport' none is left"):
        judged(TOPICS, ["sport", "food", "food"], [None, *answers[2:]], "soften")
    with pytest.raises(GenerationError, match=r"judging=drop.*'0' none is left"):
        judged(SIMILARITY, ["0", "2"], [(0, 1, 0), (0, 0, 1)], "drop")


def test_faults_of_the_caller() -> None:
    assert judged(TOPICS, [], [], "drop")[1].examples == ()
    with pytest.raises(ConfigError, match=r"curate\.judging='sofen' is not known \(did you mean 'soften'\?\)"):
        judged(TOPICS, ["law"], [(0, 0, 1)], "sofen")
    with pytest.raises(ValueError, match="2 probabilities for the 3 labels"):
        judged(TOPICS, ["law"], [(0.5, 0.5)], "drop")
    with pytest.raises(KeyError):
        judge_examples(TOPICS, rows_of(TOPICS, ["law"]), {}, "drop", 0.5)
