"""Pairs of cells of two runs that belong together, and the refusal of runs that may not be compared.

Runs are compared only when protocol, data and problems are the same; anything else is refused by name. A difference in
sampling (temperature, top-p), limits or isolation is allowed and stated.
"""

from __future__ import annotations

from collections.abc import Sequence

from mtp_eval.results.errors import NotComparable
from mtp_eval.results.header import RunHeader
from mtp_eval.results.scores.cells import Cell
from mtp_eval.results.scores.scored import ScoredRun


def pair_cells(
    baseline: ScoredRun, candidate: ScoredRun, baseline_model: str | None = None, candidate_model: str | None = None
) -> list[tuple[Cell, Cell]]:
    """The cells of two runs that are about the same thing.

    Models: the ones named; else the only one of each run; else the labels that both runs have.

    Raises:
        NotComparable: no pair, or it is not clear which models are meant.
    """
    models = _model_pairs(baseline, candidate, baseline_model, candidate_model)
    pairs = []
    for of_baseline, of_candidate in models:
        theirs = candidate.cells_of(of_candidate)
        for cell in baseline.cells_of(of_baseline):
            same = [other for other in theirs if (other.task, other.group) == (cell.task, cell.group)]
            exact = [other for other in same if other.temperature == cell.temperature]
            if exact:
                pairs.append((cell, exact[0]))
            elif len(same) == 1 and _is_alone(cell, baseline.cells):
                pairs.append((cell, same[0]))  # one temperature each: compared, and the difference stated
    if not pairs:
        tasks = [sorted(run.tasks) for run in (baseline, candidate)]
        raise NotComparable(
            f"the runs have no task in common: {', '.join(tasks[0])} in the baseline, "
            f"{', '.join(tasks[1])} in the candidate"
        )
    return pairs


def _is_alone(cell: Cell, cells: Sequence[Cell]) -> bool:
    """Whether its model, task and group were run at one temperature only."""
    return sum((c.model, c.task, c.group) == (cell.model, cell.task, cell.group) for c in cells) == 1


def refuse_unlike(
    baseline_header: RunHeader,
    candidate_header: RunHeader,
    baseline: Cell,
    candidate: Cell,
    on_common_problems: bool = False,
) -> None:
    """Raise unless protocol, data hash and problems are the same.

    Raises:
        NotComparable: naming each that differs, with both values.
    """
    tasks = [header.task(baseline.task) for header in (baseline_header, candidate_header)]
    faults = [
        f"{what}: {was} in the baseline, {now} in the candidate"
        for what, was, now in (
            ("protocol", tasks[0].protocol, tasks[1].protocol),
            ("data hash", tasks[0].data_sha256, tasks[1].data_sha256),
        )
        if was != now and not (what == "protocol" and any(task.is_given for task in tasks))
    ]
    only = [sorted(set(a.problem_ids) - set(b.problem_ids)) for a, b in ((baseline, candidate), (candidate, baseline))]
    if (only[0] or only[1]) and not on_common_problems:
        sides = [
            f"{len(names):,} only in the {side} ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})"
            for names, side in zip(only, ("baseline", "candidate"), strict=True)
            if names
        ]
        faults.append(f"problems: {' and '.join(sides)}; --on-common-problems compares on the shared ones")
    if faults:
        raise NotComparable(f"these runs of {baseline.task} cannot be compared. {'; '.join(faults)}")


def stated_differences(
    baseline_header: RunHeader, candidate_header: RunHeader, baseline: Cell, candidate: Cell
) -> list[str]:
    """Other differences between the two runs, which may explain a difference of scores."""
    notes = []
    tasks = [header.task(baseline.task) for header in (baseline_header, candidate_header)]
    if tasks[0].protocol != tasks[1].protocol:
        notes.append(
            f"protocol differs: {tasks[0].protocol} and {tasks[1].protocol}; what a file's completions were asked is not known"
        )
    if baseline.temperature != candidate.temperature:
        notes.append(f"temperature differs: {baseline.temperature} and {candidate.temperature}")
    for key in ("top_p", "top_k", "max_new_tokens", "timeout", "decode"):
        was, now = (header.config.get(key) for header in (baseline_header, candidate_header))
        if was != now:
            notes.append(f"{key} differs: {was} and {now}")
    isolation = [header.isolation for header in (baseline_header, candidate_header)]
    if isolation[0] != isolation[1]:
        notes.append(f"isolation differs: {isolation[0]} and {isolation[1]}")
    n = [int(cell.n.max(initial=0)) for cell in (baseline, candidate)]
    if n[0] != n[1]:
        notes.append(f"samples per problem differ: {n[0]} and {n[1]}")
    return notes


def _model_pairs(
    baseline: ScoredRun, candidate: ScoredRun, baseline_model: str | None, candidate_model: str | None
) -> list[tuple[str, str]]:
    labels = [list(run.models) for run in (baseline, candidate)]
    for wanted, there, side in zip((baseline_model, candidate_model), labels, ("baseline", "candidate"), strict=True):
        if wanted is not None and wanted not in there:
            raise NotComparable(f"the {side} has no model {wanted!r}; it has {', '.join(there)}")
    left = [baseline_model] if baseline_model else labels[0]
    right = [candidate_model] if candidate_model else labels[1]
    if len(left) == 1:
        return [(left[0], label) for label in right]
    both = [label for label in left if label in right]
    if both:
        return [(label, label) for label in both]
    raise NotComparable(
        f"which models? the baseline has {', '.join(left)}, the candidate {', '.join(right)}; name one as FOLDER::MODEL"
    )
