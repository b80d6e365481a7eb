"""`mtp-eval train`: a preset or a TOML config becomes a checkpoint folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def train(
    what: Annotated[str, typer.Argument(metavar="PRESET|CONFIG.toml", help="See `mtp-eval presets`.")],
    out: Annotated[Path, typer.Option(help="Checkpoint folder to write.")],
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a config key, such as model.n_future=4."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in --out.")] = False,
    seed: Annotated[int | None, typer.Option(help="Seed of the weights and of the data's order.")] = None,
    init: Annotated[str | None, typer.Option(help="Checkpoint to start from.")] = None,
    freeze: Annotated[str | None, typer.Option(help="trunk: train heads 2..n only.")] = None,
) -> None:
    """Train a next-token or multi-token-prediction model."""
    from mtp_eval.harness.training.command import train_checkpoint
    from mtp_eval.harness.training.config_files import named_config

    given = (("seed", seed), ("init", init), ("freeze", freeze))
    overrides = [*(set_ or []), *(f"{key}={value}" for key, value in given if value is not None)]
    train_checkpoint(named_config(what, overrides), out, what, resume=resume)
    print(out)
