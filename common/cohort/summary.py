"""All cases' outcomes as a page, a table, and in words."""

import statistics
from collections.abc import Sequence
from pathlib import Path

from common.cohort.manifest import Entry
from common.cohort.outcome import Outcome, read_outcome
from common.report.cases import write_overview
from common.report.page import Row
from common.report.writing import PAGE

NOT_BEGUN = "not begun"


def write_summary(entries: Sequence[Entry], output: Path) -> str:
    """Write `index.html` and `cases.csv`; returns one line on all cases."""
    outcomes = [read_outcome(output / entry.case) or Outcome(entry.case, NOT_BEGUN) for entry in entries]
    write_overview([_row(outcome) for outcome in outcomes], output)
    return in_words(outcomes)


def in_words(outcomes: Sequence[Outcome]) -> str:
    """How many cases have a mask, how fast, and their median Dice where there are truths."""
    done = [outcome for outcome in outcomes if not outcome.failure]
    line = f"{len(done)} of {len(outcomes)} cases have a mask"
    if failed := len(outcomes) - len(done):
        line += f", {failed} failed"
    if done:
        line += f"; {statistics.median(outcome.seconds for outcome in done):.1f} s a case (median)"
    if dice := [outcome.facts["Dice"] for outcome in done if "Dice" in outcome.facts]:
        line += f"; Dice {statistics.mean(dice):.3f} (mean), {statistics.median(dice):.3f} (median)"
    return line


def _row(outcome: Outcome) -> Row:
    if outcome.failure:
        return Row(outcome.case, failure=outcome.failure)
    facts = outcome.facts | {"seconds": outcome.seconds}
    return Row(outcome.case, f"{outcome.case}/{PAGE}", facts, outcome.thumbnail)
