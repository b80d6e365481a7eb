"""`mtp-eval merge`: one run of the shards that several processes or machines made."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mtp_eval.harness.commands.options import command


@command(
    "mtp-eval merge runs/mine-shard-1-of-2 runs/mine-shard-2-of-2",
    "mtp-eval merge shards/* --out runs/mine",
)
def merge(
    shard: Annotated[
        list[Path], typer.Argument(metavar="SHARD...", help="Folders made with --shard I/N, all N of them.")
    ],
    out: Annotated[Path | None, typer.Option(metavar="PATH", help="Run folder.", show_default="runs/NAME-HASH")] = None,
) -> None:
    """Merge the shards of a run into one run, with the metrics that one process would have written.

    Nothing is written if a shard is missing, unfinished, given twice or of another run; the message names it.
    """
    from mtp_eval.harness.errors import InputError
    from mtp_eval.harness.evaluation.plan import RUNS, default_folder
    from mtp_eval.harness.outputs import try_folder
    from mtp_eval.harness.progress import say
    from mtp_eval.results.merge import merge as merge_into
    from mtp_eval.results.merge import read_shards

    if out is not None and out.resolve() in {folder.resolve() for folder in shard}:
        raise InputError(f"--out {out} is one of the shards: name another folder")
    try_folder(out or RUNS, "--out")
    shards = read_shards(shard)
    for sentence in shards.unlike():
        say(f"note: {sentence}")
    run = merge_into(shards, out or default_folder(shards.header))
    say(f"run folder: {run.folder}")
    print(run.table())
