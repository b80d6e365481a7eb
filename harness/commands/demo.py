"""`mtp-eval demo`: the whole loop on a laptop CPU.

Check the sandbox, train a next-token and a 4-token model, evaluate both, compare.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mtp_eval.harness.commands.options import command
from mtp_eval.harness.errors import InputError, MtpEvalError
from mtp_eval.harness.progress import say

if TYPE_CHECKING:
    from mtp_eval.results.run import Run
    from mtp_eval.results.scores.cells import Cell

PRESETS = ("listops-n1", "listops-n4")
N_SAMPLES = 10
KS = (1, 10)
TEMPERATURE = 0.5
HUMANEVAL_TOKENS = 160


@command("mtp-eval demo", "mtp-eval demo --out second --seed 1")
def demo(
    out: Annotated[
        Path, typer.Option(metavar="PATH", help="Folder of checkpoints and runs; a second demo continues it.")
    ] = Path("demo"),
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Seed of training and sampling.")] = 0,
) -> None:
    """Train a next-token and a 4-token model, evaluate both on listops and HumanEval, print one table."""
    from mtp_eval.harness.outputs import try_folder

    try_folder(out, "--out")
    say("1/4 sandbox: HumanEval's reference solutions")
    say(f"    {check_sandbox()}")
    say(f"2/4 training {' and '.join(PRESETS)} side by side (the same number of parameters)")
    checkpoints = train_presets(out, seed)
    print_comparison(evaluate_both(out, checkpoints, seed), seed)


def evaluate_both(folder: Path, checkpoints: tuple[str, ...], seed: int) -> list[Run]:
    """Evaluate on listops and HumanEval; what an earlier demo in the same folder finished is not done again."""
    say(f"3/4 listops: {N_SAMPLES} samples per problem at temperature {TEMPERATURE}, in and out of domain")
    listops = evaluated(
        model=checkpoints,
        task="listops",
        n_samples=N_SAMPLES,
        k=KS,
        temperature=TEMPERATURE,
        seed=seed,
        out=folder / f"listops-seed{seed}",
    )
    say(f"4/4 HumanEval: greedy, {HUMANEVAL_TOKENS} new tokens")
    humaneval = evaluated(
        model=checkpoints,
        task="humaneval",
        max_new_tokens=HUMANEVAL_TOKENS,
        seed=seed,
        out=folder / f"humaneval-seed{seed}",
    )
    return [listops, humaneval]


def evaluated(**options: Any) -> Run:
    """A run, having said where its time went."""
    from mtp_eval.harness.evaluation.run import run
    from mtp_eval.harness.evaluation.timing import Timing

    done = run(**options)
    say(f"    {Timing.of(done.timing[-1])}")
    return done


def print_comparison(runs: Sequence[Run], seed: int) -> None:
    """One table of both runs, and what it means."""
    from mtp_eval.results.tables.standard import results_table

    print(results_table(runs, KS))
    print(meaning([cell for run in runs for cell in run.cells], seed))


def check_sandbox() -> str:
    """Execute all of HumanEval's reference solutions.

    Raises:
        MtpEvalError: one of them does not pass, so that no verdict from this machine would mean anything.
    """
    from mtp_eval.harness.evaluation.execution import ExecutionOptions
    from mtp_eval.harness.evaluation.references import judge_task_references
    from mtp_eval.tasks.registry import load_task

    task = load_task("humaneval")
    problems = task.problems()
    with ExecutionOptions().open() as pool:
        failures = judge_task_references(task, problems, pool).failures
    if failures:
        raise MtpEvalError(
            f"{len(problems) - len(failures)} of {len(problems)} reference solutions pass: {'; '.join(failures[:5])}"
        )
    return f"{len(problems)} of {len(problems)} pass"


def train_presets(folder: Path, seed: int) -> tuple[str, ...]:
    """Train the presets side by side, one thread each; a checkpoint that an earlier demo finished is taken as it is.

    Models this small do not keep two threads busy, so two processes of one thread take half the time.

    Raises:
        MtpEvalError: a training failed; its own message has been shown.
    """
    from mtp_eval.harness.models.checkpoint import checkpoint_info

    folders = [folder / f"{name}-seed{seed}" for name in PRESETS]
    running = []
    for name, out in zip(PRESETS, folders, strict=True):
        try:
            checkpoint_info(out)
            say(f"    {out} is there already")
        except InputError:
            running.append((name, start_training(name, out, seed)))
    failed = [name for name, process in running if process.wait() != 0]
    if failed:
        raise MtpEvalError(f"training {' and '.join(failed)} failed, see above; the same command continues")
    return tuple(str(out) for out in folders)


def start_training(name: str, out: Path, seed: int) -> subprocess.Popen[bytes]:
    """`mtp-eval train` in a process of its own, its lines passed on as they come."""
    arguments = ["train", name, "--out", str(out), "--seed", str(seed), "--set", "threads=1"]
    if (out / "steps").is_dir():
        arguments.append("--resume")
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "mtp_eval.harness", *arguments],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    threading.Thread(target=pass_on, args=(process,), daemon=True).start()
    return process


def pass_on(process: subprocess.Popen[bytes]) -> None:
    """Show a process's talk line by line: through a pipe it prints plain lines, which two processes can share."""
    assert process.stderr is not None
    for line in process.stderr:
        say("    " + line.decode("utf-8", "replace").rstrip())


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
