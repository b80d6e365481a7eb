"""`mtp-eval demo`: an effect of predicting two tokens, seen in minutes on a laptop CPU.

Check the sandbox, train next-token and two-token models with three seeds, test them, and judge the difference.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mtp_eval.harness.commands.options import command
from mtp_eval.harness.errors import MtpEvalError
from mtp_eval.harness.progress import say

if TYPE_CHECKING:
    from mtp_eval.harness.studies.conduct import Finished

STUDY, PART, N_SEEDS = "planning", "chain", 3
NEXT = (
    "One seed more or less changes the figures, not the sign: over ten seeds it was 37 % with n=1 and 96 % with n=2, and with "
    "answers that are "
    "programs, which the sandbox runs, 24 % and 88 % (docs/benchmarks/synthetic.md; `mtp-eval study planning --part route "
    "--seeds 3` trains "
    "those). `mtp-eval study --list` shows what else the paper claims and what it takes to see it."
)


@command("mtp-eval demo", "mtp-eval demo --out second --seed 3")
def demo(
    out: Annotated[
        Path, typer.Option(metavar="PATH", help="Folder of models, runs and report; a second demo continues it.")
    ] = Path("demo"),
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="The first of three training seeds.")] = 0,
) -> None:
    """Train one-token and two-token models, three seeds each, and test which of them learns to look ahead."""
    from mtp_eval.harness.outputs import try_folder

    try_folder(out, "--out")
    say("1/2 sandbox: HumanEval's reference solutions")
    say(f"    {check_sandbox()}")
    say(f"2/2 study {STUDY}, part {PART}: the same task for models of equal size, n=1 and n=2, {N_SEEDS} seeds each")
    finished = conduct_part(out, seed)
    print(f"{finished}\n\n{finished.means}\n\n{NEXT}")


def conduct_part(out: Path, seed: int) -> Finished:
    """Train, test and judge; what an earlier demo in the same folder finished is not done again."""
    from mtp_eval.harness.studies.catalogue import load_study
    from mtp_eval.harness.studies.conduct import conduct
    from mtp_eval.harness.studies.config import StudyConfig

    return conduct(load_study(STUDY), StudyConfig(seeds=N_SEEDS, part=(PART,), seed=seed), out)


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
