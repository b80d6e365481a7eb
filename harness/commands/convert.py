"""`mtp-eval convert`: Hugging Face Llamas and Meta's multi-token-prediction checkpoints, to and from ours."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from mtp_eval.harness.commands.options import command


@command(
    "mtp-eval convert SmolLM2-135M ckpt --n-future 4",
    "mtp-eval convert ckpt exported --to hf",
)
def convert(
    source: Annotated[
        Path, typer.Argument(metavar="SRC", help="Folder: ours, a Hugging Face Llama, or Meta's MTP checkpoint.")
    ],
    target: Annotated[Path, typer.Argument(metavar="DST", help="New folder.")],
    to: Annotated[
        Literal["ours", "hf"] | None, typer.Option(help="Layout to write.", show_default="hf for ours, else ours")
    ] = None,
    n_future: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, help="Give a next-token model N heads; those added are copies of its last layer."
        ),
    ] = None,
) -> None:
    """Convert a model between layouts, or add heads to a next-token model."""
    from mtp_eval.harness.models.convert.convert import convert as run_conversion
    from mtp_eval.harness.outputs import try_folder
    from mtp_eval.harness.progress import say

    try_folder(target, "DST")
    config = run_conversion(source, target, to=to, n_future=n_future)
    heads = f"{config.n_future} {config.head_kind} heads"
    say(f"{target}: {config.n_trunk_layers} trunk layers, {heads}, d={config.d_model}, V={config.vocab_size}")
    print(target)
