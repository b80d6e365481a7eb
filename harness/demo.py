"""The whole loop on a laptop CPU: check the sandbox, train a next-token and a 4-token model, evaluate both, compare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mtp_eval.harness.config import RunConfig
from mtp_eval.harness.errors import InputError, MtpEvalError
from mtp_eval.harness.models.checkpoint import checkpoint_info
from mtp_eval.harness.progress import say
from mtp_eval.harness.references import reference_failures
from mtp_eval.harness.run import run
from mtp_eval.harness.session import open_pool
from mtp_eval.harness.train import train_checkpoint
from mtp_eval.harness.training.config import make_config
from mtp_eval.harness.training.presets import preset_values
from mtp_eval.results.cells import Cell, read_cells
from mtp_eval.results.render import render
from mtp_eval.results.store import RunStore
from mtp_eval.results.tables import results_table
from mtp_eval.tasks.registry import load_task

PRESETS = ("listops-n1", "listops-n4")
N_SAMPLES = 10
KS = (1, 10)
TEMPERATURE = 0.5
HUMANEVAL_TOKENS = 160


@dataclass(frozen=True, slots=True)
class DemoResult:
    """The comparison table and what it means."""

    table: str
    meaning: str


def demo(folder: Path, seed: int = 0) -> DemoResult:
    """Run every step; what an earlier demo in the same folder finished is not done again.

    Raises:
        MtpEvalError: HumanEval's reference solutions do not all pass in the sandbox here.
    """
    say("1/4 sandbox: HumanEval's reference solutions")
    say(f"    {check_sandbox()}")
    say(f"2/4 training {' and '.join(PRESETS)} (the same number of parameters, about a minute each)")
    checkpoints = tuple(train_preset(name, folder / f"{name}-seed{seed}", seed) for name in PRESETS)
    say(f"3/4 listops: {N_SAMPLES} samples per problem at temperature {TEMPERATURE}, in and out of domain")
    listops = RunConfig(
        model=checkpoints,
        task=("listops",),
        n_samples=N_SAMPLES,
        k=KS,
        temperature=(TEMPERATURE,),
        seed=seed,
        out=folder / f"listops-seed{seed}",
    )
    say(f"    {run(listops).timing}")
    say(f"4/4 HumanEval: greedy, {HUMANEVAL_TOKENS} new tokens")
    humaneval = RunConfig(
        model=checkpoints,
        task=("humaneval",),
        max_new_tokens=HUMANEVAL_TOKENS,
        seed=seed,
        out=folder / f"humaneval-seed{seed}",
    )
    say(f"    {run(humaneval).timing}")
    stores = [RunStore.read(config.out) for config in (listops, humaneval) if config.out]
    cells = [(store.header, read_cells(store)) for store in stores]
    table = render(results_table(cells, KS), "markdown")
    return DemoResult(table, meaning([cell for _, of_run in cells for cell in of_run], seed))


def check_sandbox() -> str:
    """Execute all of HumanEval's reference solutions.

    Raises:
        MtpEvalError: one of them does not pass, so that no verdict from this machine would mean anything.
    """
    task = load_task("humaneval")
    problems = task.problems()
    with open_pool(workers=None, timeout=3.0, memory_bytes=1 << 30, isolation="full") as pool:
        failures = reference_failures(task, problems, pool)
    if failures:
        raise MtpEvalError(
            f"{len(problems) - len(failures)} of {len(problems)} reference solutions pass: {'; '.join(failures[:5])}"
        )
    return f"{len(problems)} of {len(problems)} pass"


def train_preset(name: str, folder: Path, seed: int) -> str:
    """Train a preset, or take the checkpoint that an earlier demo finished; returns its folder."""
    try:
        checkpoint_info(folder)
        say(f"    {folder} is there already")
    except InputError:
        config = make_config(preset_values(name), [f"seed={seed}"], origin=f"preset {name}")
        train_checkpoint(config, folder, name, resume=(folder / "optimizer").is_dir())
    return str(folder)


def meaning(cells: Sequence[Cell], seed: int) -> str:
    """What the table says, in two sentences, whichever way it came out."""
    scores = {(cell.model, cell.task, cell.group): cell.score(1).mean for cell in cells}
    n1, n4 = (
        {group: scores[(model, "listops", group)] for group in ("in", "out")}
        for model in dict.fromkeys(cell.model for cell in cells)
    )
    order = {True: "above", False: "below"}
    comparison = "; ".join(
        f"{'in' if group == 'in' else 'out of'} domain n=4 is {abs(n4[group] - n1[group]) * 100:.1f} points "
        f"{order[n4[group] >= n1[group]]} n=1"
        for group in ("in", "out")
    )
    solved = max(scores[key] for key in scores if key[1] == "humaneval")
    return (
        f"On listops, which both models were trained for, {comparison}: one seed ({seed}) of models of under a million "
        f"parameters, so take the direction as an anecdote (the paper finds n=4 behind n=1 below about a billion "
        f"parameters). On HumanEval the better one scores {solved * 100:.1f}, as models this small must: its rows only "
        f"show that the real benchmark runs through the same path."
    )
