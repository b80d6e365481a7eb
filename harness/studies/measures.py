"""Numbers of one cell: its score in the sandbox, how soon its training got there, how well it predicts, how fast it decodes."""

from __future__ import annotations

import math

import numpy as np

from mtp_eval.harness.studies.cell_result import CellResult
from mtp_eval.harness.studies.definition import Measure
from mtp_eval.results.curves import steps_to


def pass_at_1(*groups: str, title: str = "", task: str = "") -> Measure:
    """pass@1 in per cent, of all problems or of those of some groups, by the title that these have, or of one task of several."""
    return pass_at(1, *groups, title=title, task=task)


def pass_at(k: int, *groups: str, title: str = "", task: str = "") -> Measure:
    """pass@k in per cent, as `pass_at_1`."""
    title = title or task

    def shares(cell: CellResult) -> np.ndarray:
        if cell.cell.speed:
            return np.zeros(0)
        wanted = [one for one in cell.tested.cells if not task or one.task.partition("@")[0] == task]
        scores = [one.score(k).values for one in wanted if not groups or one.group in groups]
        return np.concatenate(scores) if scores else np.zeros(0)

    def mean(cell: CellResult) -> float:
        values = shares(cell)
        return 100.0 * float(values.mean()) if values.size else math.nan

    def variance(cell: CellResult) -> float:
        # a score of 0 or 1 from n problems is no proof of 0 or 1: two problems more, one of each kind (Agresti and Coull)
        values = np.append(shares(cell), [0.0, 1.0])
        return 1e4 * float(values.var()) / values.size

    return Measure(f"pass@{k}{', ' + title if title else ''} (%)", mean, variance, bounds=(0.0, 100.0))


def steps_until(share: float) -> Measure:
    """Per cent of the training until a share of the held-out answers was right; 100 where it never was (censored).

    The mean over seeds is the restricted mean of survival analysis: what the models needed within the time they had.
    """

    def of(cell: CellResult) -> float:
        if not cell.cell.watched:
            return math.nan
        step = steps_to(cell.model_folder, share)
        return 100.0 * (cell.cell.steps if step is None else step) / cell.cell.steps

    return Measure(f"training until {share:.0%} right (% of the steps)", of, bounds=(0.0, 100.0))


def bits_per_byte() -> Measure:
    """Bits per byte of head 1 on held-out text."""

    def of(cell: CellResult) -> float:
        validation = cell.training["validation"]
        return float(validation["bits_per_byte"][0]) if validation else math.nan

    return Measure("bits per byte", of, bounds=(0.0, math.inf), digits=3)


def tokens_per_forward() -> Measure:
    """Tokens for each forward pass after the prompt."""

    def of(cell: CellResult) -> float:
        if cell.speed is not None:
            return cell.speed.tokens_per_forward
        tokens = sum(one.n_tokens for one in cell.tested.cells)
        forwards = sum(one.n_forwards for one in cell.tested.cells)
        return tokens / forwards if forwards else math.nan

    return Measure("tokens/forward", of, bounds=(1.0, math.inf), digits=2)


def speed_up() -> Measure:
    """Rate of decoding over plain decoding of the same model, in CPU time, as `mtp-eval speed` measures it; plain decoding is 1."""

    def of(cell: CellResult) -> float:
        if cell.speed is not None:
            return cell.speed.speed_up_cpu
        return 1.0 if cell.cell.options.get("decode") == "autoregressive" else math.nan

    return Measure("speed-up (CPU time)", of, bounds=(0.0, math.inf), digits=2)


def step_milliseconds() -> Measure:
    """CPU milliseconds of an optimizer step, validations left out, the mean over the training."""
    return Measure("CPU ms/step", lambda cell: 1000.0 * float(cell.training["step_cpu_seconds"]))


def n_future() -> Measure:
    """The n of the model, which its training may have chosen."""
    return Measure("n", lambda cell: float(cell.training["config"]["model"]["n_future"]))
