"""The table: failures are rows, smoke data stand apart, demo results are called so."""

from dataclasses import asdict, replace

from japagen.experiments.result import Failure
from japagen.reporting.setting_names import format_score
from tests.stubs.results import NOT_LEARNED, NOT_LEARNED_LINE, RESULT, printed


def test_a_row_has_score_interval_baselines_and_sizes() -> None:
    text = printed(RESULT)
    for part in ("zero-shot", "0.500 [0.400, 0.600]", "0.330", "2434", "130", "JNLI valid", "Published gold data"):
        assert part in text
    assert "mean nothing" not in text


def test_failures_are_rows_with_their_cause() -> None:
    text = printed(RESULT, Failure("jsts-japagen", "jsts", "the disk is full"))
    assert "│ jsts" in text
    assert "failed: jsts-japagen: the disk is full" in text


def test_smoke_data_are_never_tabled_with_published_ones() -> None:
    text = printed(RESULT, replace(RESULT, data="sample", demo=True))
    assert text.index("Published gold data") < text.index("Smoke data (mean nothing)") < text.index("jnli*")
    assert "their numbers mean nothing" in text


def test_a_stand_in_train_split_is_named() -> None:
    text = printed(replace(RESULT, method="gold", protocol="gold, all rows", train_source="jnli_neg (stands in)", gold_per_label="all"))
    assert "jnli, gold, all rows: gold rows from jnli_neg (stands in)" in text


def test_a_task_without_gold_has_a_row_without_score() -> None:
    text = printed(replace(RESULT, split=None, metrics={}, num_eval=0, num_contaminated=None))
    assert "no gold" in text
    assert "Without gold data" in text


def test_a_student_that_has_not_learned_is_named_with_the_next_settings() -> None:
    text = printed(replace(RESULT, verdict=asdict(NOT_LEARNED), num_steps=100))
    assert f"{RESULT.name}: {NOT_LEARNED_LINE}; next: {NOT_LEARNED.advice}" in text
    row = next(line for line in text.splitlines() if line.startswith("│"))
    assert row.split("│")[10].strip() == "100"
    assert "learned" in row.split("│")[-2]
    learned = replace(NOT_LEARNED, learned=True, p=0.01, advice="")
    assert "validation accuracy" not in printed(replace(RESULT, verdict=asdict(learned)))


def test_cut_rows_and_kept_matches_are_told() -> None:
    text = printed(replace(RESULT, num_cut=12, training={"max_length": 128}, options={"curate.contamination": "report"}))
    assert f"{replace(RESULT, options={'curate.contamination': 'report'}).name}: 12 of 2434 scored rows were cut to 128 tokens" in text
    assert "kept" in text
    assert "were cut" not in printed(replace(RESULT, num_cut=0))


def test_sizes_are_those_of_the_method() -> None:
    sizes = {
        "50": RESULT,
        "all": replace(RESULT, method="gold", num_per_label=None, gold_per_label="all"),
        "50 + gold 8": replace(RESULT, method="mixed", gold_per_label="8"),
        "–": replace(RESULT, method="prompting", model=None, num_per_label=None),
    }
    for size, result in sizes.items():
        row = next(line for line in printed(result).splitlines() if line.startswith("│"))
        assert row.split("│")[8].strip() == size


def test_scores_without_value_are_dashes() -> None:
    assert format_score(None) == "–"


def test_a_further_split_has_a_column_of_its_own() -> None:
    further = {"out_of_domain_valid": {"metrics": {"accuracy": {"value": 0.25, "low": 0.2, "high": 0.3}}, "num_eval": 685}}
    text = printed(replace(RESULT, also_scored=further), replace(RESULT, task="jsts"))
    assert "out_of_domain" in text
    assert "0.250" in text
    assert "out_of_domain" not in printed(RESULT)


def test_options_and_unanswered_rows_are_told() -> None:
    prompted = replace(
        RESULT, method="prompting", model=None, options={"method.answer": "free", "synthesis.temperatures": [0.7, 1.0]}, num_failed=4
    )
    text = printed(prompted)
    assert all(part in text for part in ("prompting", "method.answer", "[0.7, 1.0]"))
    assert "no usable answer to 4 of 2434 rows, which count as wrong" in text
    assert "no usable answer" not in printed(RESULT)
