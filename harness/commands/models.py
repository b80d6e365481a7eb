"""`mtp-eval models`: how models are named, and the checkpoints below a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mtp_eval.harness.commands.options import command


@command("mtp-eval models", "mtp-eval models checkpoints")
def models(
    folder: Annotated[Path, typer.Argument(help="Where to look for checkpoint folders.")] = Path(),
) -> None:
    """List the forms of a model spec, and the checkpoints found below a folder."""
    from mtp_eval.harness.backends.registry import spec_forms
    from mtp_eval.harness.errors import InputError, MtpEvalError
    from mtp_eval.harness.models.checkpoint import MANIFEST, checkpoint_info
    from mtp_eval.harness.progress import say

    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}; name one that holds checkpoints, or none to look here")
    say("A model is named by:")
    forms = spec_forms()
    width = max(len(str(form)) for form in forms)
    for form in forms:
        say(f"  {form!s:<{width}}  {form.meaning}")
    found = sorted(path.parent for path in folder.rglob(MANIFEST) if ".venv" not in path.parts)
    if not found:
        say(f"No checkpoint below {folder.resolve()}: `mtp-eval train listops-n4 --out ckpt` makes one")
    for path in found:
        try:
            config = checkpoint_info(path).config
        except MtpEvalError as error:
            say(f"{path}: {error}")
            continue
        print(
            f"{path}\tn_future={config.n_future} ({config.head_kind}), {config.n_trunk_layers} trunk layers, "
            f"d={config.d_model}, vocabulary {config.vocab_size}, context {config.context_length}"
        )
