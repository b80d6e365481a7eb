"""Tonight's evaluations against every baseline, against their own past, and against what used to be evaluated."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mtp_eval.harness.nightly.baselines import BaselineError, NoBaseline, baseline_run, past_rows, since_accepted
from mtp_eval.harness.nightly.config import NightlyConfig
from mtp_eval.harness.nightly.evaluations import OURS, Evaluation
from mtp_eval.results.compare.comparison import Comparison, blind, blind_sentence, compare_runs, corrected
from mtp_eval.results.compare.drift import Drift, find_drift
from mtp_eval.results.history import history_rows, with_rows
from mtp_eval.results.run import Run

if TYPE_CHECKING:
    import pandas as pd

TONIGHT = "tonight"


@dataclass(frozen=True)
class Fault:
    """A fault of a night: something that should have been done and could not be; its name and a sentence.

    The night cannot be a baseline for `of`; where `of_all`, for none of its evaluations, as when a series is gone.
    """

    name: str
    why: str
    of: Evaluation | None = None
    of_all: bool = False


@dataclass
class Night:
    """The results of a night. Each list pairs an evaluation with what was found about it."""

    name: str
    number: int
    folder: Path
    evaluations: list[Evaluation]
    compared: list[tuple[Evaluation, Comparison]] = field(default_factory=list)
    drifts: list[tuple[Evaluation, Drift]] = field(default_factory=list)
    nothing_yet: list[tuple[Evaluation, str]] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)

    @property
    def comparisons(self) -> list[Comparison]:
        """All comparisons of the night, corrected together."""
        return [comparison for _, comparison in self.compared]

    def regressions(self, config: NightlyConfig) -> list[tuple[Evaluation, Comparison]]:
        """Comparisons that fail the night."""
        return [(e, c) for e, c in self.compared if c.is_regression(config.alpha, config.tolerance / 100.0)]

    @property
    def problems(self) -> list[Evaluation]:
        """Evaluations that could not be made or finished."""
        return [evaluation for evaluation in self.evaluations if evaluation.problem]


def compare_night(config: NightlyConfig, night: Night, earlier: pd.DataFrame) -> None:
    """Every evaluation against every baseline and its own past."""
    night.faults += vanished(night, earlier)
    found: list[tuple[Evaluation, Comparison]] = []
    for evaluation in night.evaluations:
        if evaluation.found is None:
            continue
        for name in config.baseline:
            try:
                base = baseline_run(config, name, evaluation, night.evaluations, earlier)
                made = compare_runs(base, evaluation.found, evaluation.found.ks)
                refuse_partial(base, evaluation.found, made)
                found += [(evaluation, c) for c in made]
            except NoBaseline as why:
                night.nothing_yet.append((evaluation, f"{name}: {why}"))
            except (*OURS, OSError, KeyError, ValueError) as error:
                night.faults.append(
                    Fault(f"{evaluation.series} on {evaluation.task} against {name}", f"{error}", evaluation)
                )
        if config.drift:
            night.drifts += [(evaluation, drift) for drift in drifts_of(evaluation, past_rows(earlier, evaluation))]
    undefined = [(e, c) for e, c in found if math.isnan(c.p_value)]
    night.faults += [Fault(f"{e.series} on {e.task} against {c.baseline_model}", c.notes[-1], e) for e, c in undefined]
    night.compared = list(zip([e for e, _ in found], corrected([c for _, c in found]), strict=True))
    unseen = {id(c) for c in blind(night.comparisons, config.alpha)}
    for e, c in night.compared:
        if id(c) in unseen:
            unable = blind_sentence(c, config.alpha, len(night.compared))
            night.faults.append(Fault(f"{e.series} on {e.task} against {c.baseline_model}", unable, e))


def refuse_partial(base: Run, tonight: Run, made: Sequence[Comparison]) -> None:
    """Raise where a group of problems or a temperature is in one of the two only.

    Raises:
        BaselineError: naming how many could be compared.
    """
    pairs = len({(c.where, c.k) for c in made}) // len(tonight.ks)
    if pairs < max(len(base.cells), len(tonight.cells)):
        raise BaselineError(
            f"only {pairs} groups of problems and temperatures could be compared: the baseline has {len(base.cells)}, tonight "
            f"{len(tonight.cells)}; --accept if that is meant"
        )


def vanished(night: Night, earlier: pd.DataFrame) -> Iterator[Fault]:
    """Series and tasks of earlier nights that are not evaluated any more, unless a later night was accepted without them."""
    tonight = {(e.series, e.task) for e in night.evaluations}
    known = [e for e in night.evaluations if len(past_rows(earlier, e))]
    seen = {(e.series, task) for e in known for task in past_rows(earlier, e)["task"]}
    for (series, task, asked), rows in earlier[earlier["night"].isin(since_accepted(earlier))].groupby(
        ["series", "task", "asked"], sort=False
    ):
        if (series, asked) in tonight or (series, task) in seen or (series, task) in tonight:
            continue
        last = rows["night"].iloc[-1]
        why = f"it was evaluated on night {last} and is not any more; --accept if that is meant"
        yield Fault(f"{series} on {asked or task}", why, of_all=True)


def drifts_of(evaluation: Evaluation, past: pd.DataFrame) -> Iterator[Drift]:
    """Losses over the history of an evaluation's scores at its smallest k, since the last accepted night."""
    run = evaluation.found
    assert run is not None
    past = past[past["night"].isin(since_accepted(past)) & (past["k"] == min(run.ks))]
    now = with_rows(past, history_rows(run, [min(run.ks)], night=TONIGHT, series=evaluation.series, **NO_FACTS))
    for _, rows in now.groupby(["task", "group", "temperature", "protocol", "data_sha256"], sort=False, dropna=False):
        rows = rows[rows["score"].notna()]
        if rows.empty or rows["night"].iloc[-1] != TONIGHT:
            continue
        score = rows["score"].clip(0.0, 1.0)
        coarse = ((score * (1 - score)).clip(lower=1e-4) / rows["n_problems"].astype(float)) ** 0.5
        noise = rows["sampling_sd"].astype(float).where(lambda sd: sd > 0, coarse)
        drift = find_drift(score.tolist(), noise.tolist())
        if drift is not None:
            yield drift


NO_FACTS = {
    "checkpoint": "",
    "asked": "",
    "run_folder": "",
    "regressed": False,
    "good": True,
    "accepted": False,
    "baselines": "",
}
