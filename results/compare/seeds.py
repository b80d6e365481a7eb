"""Several trainings of one recipe: scores and differences over seeds and problems.

Models are one recipe when their labels are equal once the seed is taken out ("n4-seed0", "n4-seed1"; see
`recipe`); they must have been scored on the same problems under the same conditions. Pooling is asked for,
never assumed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mtp_eval.results.compare.comparison import Comparison, compare_cells, corrected
from mtp_eval.results.errors import NotComparable
from mtp_eval.results.scores.cells import Cell
from mtp_eval.results.scores.estimators import FloatArray
from mtp_eval.results.scores.intervals import nested_interval
from mtp_eval.results.scores.scored import ScoredRun, cells_of
from mtp_eval.results.scores.significance import nested_difference
from mtp_eval.results.tables.render import Column, Entry, Table, text_entry
from mtp_eval.results.tables.standard import percent, provenance, score_column, score_entry, warnings

SEED_SUFFIX = re.compile(r"[-_./]?(?:seed|s)[-_=]?\d+(?=$|[-_./])", re.IGNORECASE)


def recipe(label: str) -> str:
    """The label without its seed: "listops-n4-seed2" and "listops-n4-seed0" are one recipe.

    >>> recipe("listops-n4-seed2"), recipe("runs/s1/n4"), recipe("gpt2-small")
    ('listops-n4', 'runs/n4', 'gpt2-small')
    """
    return SEED_SUFFIX.sub("", label) or label


@dataclass(frozen=True)
class Pool:
    """The cells of one recipe on one task and group at one temperature, one per seed."""

    name: str
    task: str
    group: str
    temperature: float | None
    protocol: str
    data_sha256: str
    cells: tuple[Cell, ...]

    def scores(self, k: int) -> FloatArray:
        """pass@k by seed and problem, shape (S, P).

        Raises:
            NotComparable: the seeds were scored on different problems, or a score is undefined.
        """
        scores = [cell.score(k) for cell in self.cells]
        for cell, score in zip(self.cells, scores, strict=True):
            if score.reason:
                raise NotComparable(f"pass@{k} of {cell.model} on {self.task} is undefined: {score.reason}")
        if len({score.problem_ids for score in scores}) != 1:
            names = ", ".join(cell.model for cell in self.cells)
            raise NotComparable(f"the seeds of {self.name} were scored on different problems of {self.task}: {names}")
        return np.stack([score.values for score in scores])


def pools(runs: Sequence[ScoredRun]) -> list[Pool]:
    """All cells of all runs, gathered by recipe, task, group, temperature, protocol and data."""
    gathered: dict[tuple[str, str, str, float | None, str, str], list[Cell]] = {}
    for header, cell in cells_of(runs):
        task = header.task(cell.task)
        where = (cell.task, cell.group, cell.temperature, str(task.protocol), str(task.data_sha256))
        gathered.setdefault((recipe(cell.model), *where), []).append(cell)
    return [Pool(*key, tuple(cells)) for key, cells in gathered.items()]


def pooled_table(runs: Sequence[ScoredRun], ks: Sequence[int], level: float = 0.95) -> Table:
    """A row per recipe: mean over seeds, interval over seeds and problems, and each seed's own score.

    Raises:
        NotComparable: the seeds of a recipe were scored on different problems.
    """
    names = ["recipe", "seeds", "task", "group", "protocol", "problems", "samples", "T", "data"]
    columns = [Column(name, name in ("seeds", "problems", "samples", "T"), setting=name != "recipe") for name in names]
    for k in ks:
        columns += [score_column(k, level), Column(f"each seed @{k}")]
    rows = []
    for pool in pools(runs):
        first = pool.cells[0]
        heat = None if pool.temperature is None else f"{pool.temperature:g}"
        facts = (
            pool.name,
            len(pool.cells),
            pool.task,
            pool.group,
            pool.protocol,
            len(first.problem_ids),
            first.samples[1],
            heat,
        )
        row = [text_entry(value) for value in (*facts, pool.data_sha256[:8])]
        for k in ks:
            scores_SP = pool.scores(k)
            row.append(score_entry(float(scores_SP.mean()), nested_interval(scores_SP, level)))
            row.append(Entry(", ".join(percent(float(value)) for value in scores_SP.mean(axis=1))))
        rows.append(tuple(row))
    note = "Intervals speak about the recipe: other problems and other training seeds; with one seed, about that model."
    line = provenance(runs, level, over="problems and training seeds")
    return Table(tuple(columns), tuple(rows), line, tuple(warnings(runs)), legend=note)


def compare_recipes(
    baseline: Sequence[ScoredRun], candidate: Sequence[ScoredRun], ks: Sequence[int]
) -> list[Comparison]:
    """Each recipe of the candidate against the baseline's only recipe, task by task.

    Raises:
        NotComparable: several recipes in the baseline, or different protocol, data or problems.
    """
    left, right = pools(baseline), pools(candidate)
    recipes = sorted({pool.name for pool in left})
    if len(recipes) != 1:
        raise NotComparable(f"the baseline must hold one recipe, it has {', '.join(recipes)}")
    comparisons = []
    for theirs in right:
        key = (theirs.task, theirs.group, theirs.temperature, theirs.protocol, theirs.data_sha256)
        ours = [p for p in left if (p.task, p.group, p.temperature, p.protocol, p.data_sha256) == key]
        if not ours:
            raise NotComparable(
                f"the baseline has nothing on {theirs.task} under {theirs.protocol}, data {theirs.data_sha256[:8]}, "
                f"T={theirs.temperature}"
            )
        comparisons += [_compare(ours[0], theirs, k) for k in ks]
    return corrected(comparisons)


def _compare(ours: Pool, theirs: Pool, k: int) -> Comparison:
    a_SP, b_SP = ours.scores(k), theirs.scores(k)
    if ours.cells[0].score(k).problem_ids != theirs.cells[0].score(k).problem_ids:
        raise NotComparable(f"{ours.name} and {theirs.name} were scored on different problems of {ours.task}")
    interval, p_value = nested_difference(a_SP, b_SP)
    first = compare_cells(_summed(ours), _summed(theirs), 1)
    seeds = (len(ours.cells), len(theirs.cells))
    return replace(
        first,
        baseline_model=ours.name,
        candidate_model=theirs.name,
        k=k,
        baseline=float(a_SP.mean()),
        candidate=float(b_SP.mean()),
        interval=interval,
        p_value=p_value,
        p_holm=p_value,
        least_p=0.0,
        test=f"t over problems and seeds ({seeds[0]} and {seeds[1]})",
    )


def _summed(pool: Pool) -> Cell:
    """All seeds' samples of a problem together, for the list of problems won and lost."""
    n, c, broken = (np.sum(counts, axis=0) for counts in zip(*((c.n, c.c, c.broken) for c in pool.cells), strict=True))
    return replace(pool.cells[0], model=pool.name, n=n, c=c, broken=broken)
