"""`mtp-eval train`: a preset or a TOML config becomes a checkpoint folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

from mtp_eval.harness.commands.options import command


@command(
    "mtp-eval train listops-n4 --out ckpt",
    "mtp-eval train paper-0.3B-n4 --corpus 'code/**/*.py' --out ckpt",
    "mtp-eval train code-tiny-n4 --out ckpt --set model.n_future=2 --set steps=2000 --seed 1",
    "mtp-eval train chain-n2 --out ckpt --set model.n_future=auto",
)
def train(
    what: Annotated[str, typer.Argument(metavar="PRESET|CONFIG.toml", help="See `mtp-eval presets`.")],
    out: Annotated[Path, typer.Option(metavar="PATH", help="Checkpoint folder to write.")],
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a config key, such as model.n_future=4; repeat."),
    ] = None,
    corpus: Annotated[
        list[str] | None,
        typer.Option(metavar="SOURCE", help="Train on this instead: a file, a folder, a glob, task:NAME; repeat."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in --out.")] = False,
    seed: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="Seed of the weights and of the data's order.")
    ] = None,
    init: Annotated[str | None, typer.Option(metavar="PATH", help="Checkpoint to start from.")] = None,
    freeze: Annotated[
        Literal["none", "trunk"] | None, typer.Option(help="trunk: train heads 2..n only.", show_default="none")
    ] = None,
) -> None:
    """Train a next-token or multi-token-prediction model."""
    from mtp_eval.harness.outputs import try_folder
    from mtp_eval.harness.training.command import train_checkpoint
    from mtp_eval.harness.training.config_files import named_config

    given = (("seed", seed), ("init", init), ("freeze", freeze))
    sources = [f"data.sources={json.dumps(corpus, ensure_ascii=False)}"] if corpus else []
    overrides = [*(set_ or []), *sources, *(f"{key}={value}" for key, value in given if value is not None)]
    config = named_config(what, overrides)
    try_folder(out, "--out")
    train_checkpoint(config, out, what, resume=resume)
    print(out)
