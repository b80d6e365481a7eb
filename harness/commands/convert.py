"""`mtp-eval convert`: Hugging Face Llamas and Meta's multi-token-prediction checkpoints, to and from ours."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def convert(
    source: Annotated[Path, typer.Argument(metavar="SRC", help="folder: ours, a Hugging Face Llama, or Meta's MTP")],
    target: Annotated[Path, typer.Argument(metavar="DST", help="new folder")],
    to: Annotated[str | None, typer.Option(help="ours or hf; default: hf for ours, else ours")] = None,
    n_future: Annotated[
        int | None, typer.Option(help="give a next-token model this many heads, copies of its last layer")
    ] = None,
) -> None:
    """Convert a model between layouts, or add heads to a next-token model."""
    from mtp_eval.harness.models.convert.convert import convert as run_conversion
    from mtp_eval.harness.progress import say

    config = run_conversion(source, target, to=to, n_future=n_future)
    heads = f"{config.n_future} {config.head_kind} heads"
    say(f"{target}: {config.n_trunk_layers} trunk layers, {heads}, d={config.d_model}, V={config.vocab_size}")
    print(target)
