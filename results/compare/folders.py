"""Comparisons of run folders, and the exit code that follows: shared by `compare` and `nightly`."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mtp_eval.results.compare.comparison import Comparison, blind, blind_sentence, compare_runs, corrected
from mtp_eval.results.compare.power import (
    USUAL_AGREEMENT,
    MeasuredSpread,
    detectable_table,
    spread_of_models,
    spread_of_pair,
)
from mtp_eval.results.compare.seeds import compare_recipes
from mtp_eval.results.compare.text import (
    as_json,
    comparison_table,
    flips_text,
    margin_sentence,
    regressions_text,
    sentence,
)
from mtp_eval.results.errors import NotComparable, OptionError, RegressionFound
from mtp_eval.results.files import distinct_names, without_nan
from mtp_eval.results.run import Run, read_run, wanted_ks
from mtp_eval.results.tables.render import render
from mtp_eval.results.tables.standard import unfinished

DEFAULT_ALPHA = 0.05
"""Chance of any false alarm over all comparisons together."""
DEFAULT_FLIPS = 20
"""Problems that are listed per direction."""


@dataclass(frozen=True)
class Compared:
    """Comparisons and the runs they are of."""

    comparisons: list[Comparison]
    runs: Sequence[Run]

    def text(self, style: str = "markdown", alpha: float = DEFAULT_ALPHA, flips: int = DEFAULT_FLIPS) -> str:
        """The table; in Markdown with sentences before it and the problems that changed after it.

        Raises:
            OptionError: an unknown format.
        """
        if style == "json":
            notes = unfinished(self.runs)
            rows = [{**as_json(c), "unfinished": notes} for c in self.comparisons]
            return json.dumps(without_nan(rows), indent=2) + "\n"
        table = render(comparison_table(self.comparisons, self.runs, alpha), style)
        if style != "markdown":
            return table
        lines = [*unfinished(self.runs), *(sentence(c, alpha) for c in self.comparisons)]
        lines += filter(None, (margin_sentence(c, alpha) for c in self.comparisons))
        said = "\n".join(f"- {line}" for line in lines)
        changed = "\n".join(filter(None, (flips_text(c, flips) for c in self.comparisons)))
        return f"{said}\n\n{table}\n{changed}\n"


def compare_folders(
    baseline: str | None,
    candidate: str | None,
    k: Sequence[int] | None = None,
    on_common_problems: bool = False,
    margin: float = 0.0,
) -> Compared:
    """Two run folders, or the models of one against its first.

    Raises:
        RunError: no such run.
        NotComparable: runs that cannot be compared.
        OptionError: an option that cannot be used.
    """
    if baseline is None:
        raise OptionError("compare needs a run folder: mtp-eval compare BASELINE CANDIDATE")
    first, first_model = split_model(baseline)
    left = read_run(first)
    if candidate is None:
        labels = left.models
        reference = first_model or labels[0]
        others = [label for label in labels if label != reference]
        if not others:
            raise OptionError(f"{first} holds one model only; give a second run to compare it with")
        ks = wanted_ks([left], k)
        each = [compare_runs(left, left, ks, reference, other, margin=margin) for other in others]
        return Compared(corrected([c for group in each for c in group]), [left])
    second, second_model = split_model(candidate)
    if (first.resolve(), first_model) == (second.resolve(), second_model):
        raise OptionError(f"{baseline} and {candidate} are one run, which cannot differ from itself; name two")
    right = read_run(second)
    ks = wanted_ks([left, right], k)
    names = left.name, right.name
    if first.resolve() != second.resolve():
        told_apart = distinct_names([first, second])
        names = told_apart[0], told_apart[1]
    comparisons = compare_runs(
        left, right, ks, first_model, second_model, on_common_problems=on_common_problems, names=names, margin=margin
    )
    return Compared(comparisons, [left, right])


def compare_pooled(baseline: str | None, candidate: str | None, k: Sequence[int] | None = None) -> Compared:
    """Recipes trained with several seeds; each side is one run folder or several with commas between.

    Raises:
        RunError: no such run.
        NotComparable: runs that cannot be compared.
        OptionError: an option that cannot be used.
    """
    if baseline is None or candidate is None:
        raise OptionError("--pool-seeds needs BASELINE and CANDIDATE, each a run folder or several with commas between")
    sides = [[read_run(Path(part)) for part in side.split(",")] for side in (baseline, candidate)]
    comparisons = compare_recipes(sides[0], sides[1], wanted_ks([*sides[0], *sides[1]], k))
    return Compared(comparisons, [run for side in sides for run in side])


def split_model(text: str) -> tuple[Path, str | None]:
    """Split "runs/x::n4" into the run folder and the model of it that is named, if one is."""
    folder, _, model = text.partition("::")
    return Path(folder), model or None


def regression_gate(comparisons: Sequence[Comparison], alpha: float, tolerance: float = 0.0) -> None:
    """Return when no comparison is significantly worse, and each is shown to be no worse by the margin, if there is one.

    Raises:
        RegressionFound: one is not; the message names it and the problems lost.
        NotComparable: one is undefined, or could not be significant whatever the candidate did: no gate may be green so.
    """
    unproven = [margin_sentence(c, alpha) for c in comparisons if c.margin and not c.is_noninferior(alpha)]
    if unproven:
        raise RegressionFound("not shown to be no worse. " + " ".join(unproven))
    worse = [c for c in comparisons if c.is_regression(alpha, tolerance)]
    if worse:
        raise RegressionFound(f"significant regression. {regressions_text(worse, alpha)}")
    undefined = [f"{c.where}, pass@{c.k}: {'; '.join(c.notes)}" for c in comparisons if math.isnan(c.p_value)]
    if undefined:
        raise NotComparable(f"--fail-on-regression: what is undefined cannot be compared. {'. '.join(undefined)}")
    unseen = [blind_sentence(c, alpha, len(comparisons)) for c in blind(comparisons, alpha) if not c.margin]
    if unseen:
        raise NotComparable(f"--fail-on-regression: {'. '.join(unseen)}")


def power_report(
    baseline: str | None, candidate: str | None, n_problems: int, score: float, agreement: float = USUAL_AGREEMENT
) -> str:
    """Which difference a comparison could detect: from past runs where given, else from assumptions.

    Raises:
        OptionError: an unusable run or assumption.
    """
    if baseline is None:
        spread = MeasuredSpread.assumed(n_problems, score, agreement)
        return render(detectable_table([("assumed", spread)]), "markdown")
    compared = None if candidate is None else compare_folders(baseline, candidate, [1])
    folder, model = split_model(baseline)
    cells = [cell for cell in read_run(folder).cells if model in (None, cell.model)]
    if compared is not None:
        other_folder, other = split_model(candidate or "")
        theirs = [cell for cell in read_run(other_folder).cells if other in (None, cell.model)]
        rows = spread_of_pair(cells, theirs)
    else:
        rows = spread_of_models(cells, agreement)
    return render(detectable_table(rows), "markdown")
