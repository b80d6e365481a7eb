"""The first pass of a report over its records: what each problem took, and which completions the page has room for.

Records are read by columns, table by table; what stays in memory is 25 bytes a record, and the problems. The second pass
(`results.report.data`) reads the texts of those that are kept.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtp_eval.results.columns import ROWS_AT_ONCE, Tables
from mtp_eval.results.scores.cells import natural_key
from mtp_eval.results.scores.estimators import IntArray
from mtp_eval.sandbox.outcome import Verdict

SURVEYED = (
    "model", "task", "problem_id", "sample", "verdict", "wall_seconds", "n_retries", "timeout_sensitive", "prompt_sha256",
    "program", "tags",
)  # fmt: skip
VERDICTS = tuple(verdict.value for verdict in Verdict)
ProblemKey = tuple[str, str]
"""Task and problem."""


@dataclass(slots=True)
class ProblemFacts:
    """One problem over all models: what makes it slow or flaky."""

    task: str
    problem_id: str
    prompt_sha256: str = ""
    n: int = 0
    passed: int = 0
    slowest_seconds: float = 0.0
    seconds: float = 0.0
    timeouts: int = 0
    broken: int = 0
    turned: int = 0
    """Timeouts that turned when the program was run alone."""
    retried: int = 0
    split: int = 0
    """Programs that were judged in several ways."""

    @property
    def mean_seconds(self) -> float:
        """Mean seconds that the program of a completion took."""
        return self.seconds / self.n

    @property
    def signs(self) -> tuple[str, ...]:
        """Why the problem's verdicts might come out differently another time."""
        found = [
            (self.split, f"{_counted(self.split, 'program')} judged differently in different places"),
            (self.turned, f"{_counted(self.turned, 'timeout')} that turned when run alone"),
            (self.broken, _counted(self.broken, "infrastructure error")),
            (self.retried and not (self.turned or self.broken), f"{self.retried} run again"),
        ]
        return tuple(text for applies, text in found if applies)


@dataclass(frozen=True)
class Survey:
    """Findings of the first pass."""

    problems: list[ProblemFacts]
    models: list[str]
    tag_names: frozenset[str]
    rows: IntArray
    """For each record, its row on the page, -1 where there is no room for it."""

    @property
    def n_kept(self) -> int:
        """Completions on the page."""
        return int((self.rows >= 0).sum())

    @property
    def n_left_out(self) -> int:
        """Completions that the page has no room for."""
        return len(self.rows) - self.n_kept


@dataclass
class _Seen:
    """What stays of the records that have been passed over: numbers for names, and an array an column and table."""

    problems: dict[ProblemKey, ProblemFacts] = field(default_factory=dict)
    numbers: dict[ProblemKey, int] = field(default_factory=dict)
    models: dict[str, int] = field(default_factory=dict)
    tag_names: set[str] = field(default_factory=set)
    columns: dict[str, list[NDArray[Any]]] = field(
        default_factory=lambda: {name: [] for name in ("problem", "model", "sample", "verdict", "program")}
    )

    def column(self, name: str) -> NDArray[Any]:
        """One column over all tables."""
        return np.concatenate(self.columns[name]) if self.columns[name] else np.zeros(0, np.int32)


def survey(tables: Tables, most: int) -> Survey:
    """Read all records once; `most` is how many completions the page may hold.

    Of each model's samples for a problem the first are kept, as many for each; where there are more problems and models than
    room, the first problems.
    """
    seen = _Seen()
    for table in tables(SURVEYED, ROWS_AT_ONCE):
        _count(table, seen)
        _remember(table, seen)
    problem = seen.column("problem")
    facts = list(seen.problems.values())
    for place, count in _judged_in_several_ways(problem, seen.column("program"), seen.column("verdict")).items():
        facts[place].split = count
    rank = _ranks(natural_order(facts))
    cell = rank[problem] * max(1, len(seen.models)) + _ranks(np.argsort(list(seen.models)))[seen.column("model")]
    return Survey(facts, list(seen.models), frozenset(seen.tag_names), _rows(cell, seen.column("sample"), most))


def natural_order(facts: Iterable[ProblemFacts]) -> list[int]:
    """The places of problems in the order of tasks and names."""
    named = [(fact.task, natural_key(fact.problem_id)) for fact in facts]
    return sorted(range(len(named)), key=named.__getitem__)


def _count(table: Any, seen: _Seen) -> None:
    """Add a table to the counts of its problems."""
    import pyarrow.compute as pc

    rows = table.append_column("retried", pc.greater(table["n_retries"], 0))
    sums = [("wall_seconds", "sum"), ("wall_seconds", "max"), ("timeout_sensitive", "sum"), ("retried", "sum")]
    by = ["task", "problem_id", "verdict", "prompt_sha256"]
    for row in rows.group_by(by, use_threads=False).aggregate([([], "count_all"), *sums]).to_pylist():
        key = (row["task"], row["problem_id"])
        if key not in seen.problems:
            seen.numbers[key] = len(seen.problems)
            seen.problems[key] = ProblemFacts(*key)
        fact, n = seen.problems[key], row["count_all"]
        fact.prompt_sha256 = row["prompt_sha256"]
        fact.n += n
        fact.seconds += row["wall_seconds_sum"]
        fact.slowest_seconds = max(fact.slowest_seconds, row["wall_seconds_max"])
        fact.turned += row["timeout_sensitive_sum"]
        fact.retried += row["retried_sum"]
        fact.passed += n * (row["verdict"] == Verdict.PASSED)
        fact.timeouts += n * (row["verdict"] == Verdict.TIMEOUT)
        fact.broken += n * (row["verdict"] == Verdict.INFRASTRUCTURE_ERROR)


def _remember(table: Any, seen: _Seen) -> None:
    """Keep a few numbers of each record."""
    import pandas as pd

    keys = zip(table["task"].to_pylist(), table["problem_id"].to_pylist(), strict=True)
    models = [seen.models.setdefault(name, len(seen.models)) for name in table["model"].to_pylist()]
    columns = {
        "problem": np.array([seen.numbers[key] for key in keys], np.int32),
        "model": np.array(models, np.int32),
        "sample": table["sample"].to_numpy(),
        "verdict": np.array([VERDICTS.index(name) for name in table["verdict"].to_pylist()], np.int8),
        "program": pd.util.hash_array(table["program"].to_numpy(), categorize=False),
    }
    for name, column in columns.items():
        seen.columns[name].append(column)
    for chunk in table["tags"].chunks:
        seen.tag_names.update(chunk.keys.unique().to_pylist())


def _judged_in_several_ways(problem: NDArray[Any], program: NDArray[Any], verdict: NDArray[Any]) -> dict[int, int]:
    """By problem, how many programs have more than one verdict; infrastructure errors are none."""
    judged = np.flatnonzero(verdict != VERDICTS.index(Verdict.INFRASTRUCTURE_ERROR.value))
    order = judged[np.lexsort((program[judged], problem[judged]))]
    if not order.size:
        return {}
    new = (np.diff(program[order]) != 0) | (np.diff(problem[order]) != 0)
    starts = np.concatenate([[0], np.flatnonzero(new) + 1])
    differ = np.minimum.reduceat(verdict[order], starts) != np.maximum.reduceat(verdict[order], starts)
    places, counts = np.unique(problem[order][starts[differ]], return_counts=True)
    return dict(zip(places.tolist(), counts.tolist(), strict=True))


def _rows(cell: IntArray, sample: NDArray[Any], most: int) -> IntArray:
    """For each record its row on a page of at most so many, in the order of cells (a problem of a model) and samples."""
    order = np.lexsort((sample, cell))
    in_order = cell[order]
    starts = np.flatnonzero(np.diff(in_order, prepend=-1))
    number = np.arange(order.size) - np.repeat(starts, np.diff(starts, append=order.size))
    kept = order if order.size <= most else order[number < max(1, most // max(1, starts.size))][:most]
    rows = np.full(order.size, -1)
    rows[kept] = np.arange(kept.size)
    return rows


def _ranks(order: Any) -> IntArray:
    """The place of each number in an order."""
    ranks = np.zeros(len(order), np.int64)
    ranks[np.asarray(order, np.int64)] = np.arange(len(order))
    return ranks


def _counted(n: int, what: str) -> str:
    return f"{n} {what}{'s' if n != 1 else ''}"
