"""`mtp-eval demo`: the whole loop on a laptop."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def demo(
    out: Annotated[Path, typer.Option(help="Folder of checkpoints and runs; a second demo continues it.")] = Path(
        "demo"
    ),
    seed: Annotated[int, typer.Option(help="Seed of training and sampling.")] = 0,
) -> None:
    """Train a next-token and a 4-token model, evaluate both on listops and HumanEval, print one table."""
    from mtp_eval.harness.demo import demo as run_demo

    result = run_demo(out, seed)
    print(result.table)
    print(result.meaning)
