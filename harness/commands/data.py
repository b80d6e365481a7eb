"""`mtp-eval data check`: find benchmarks' problems in training text."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Annotated, Any

import typer

from mtp_eval.harness.commands.lazy import group
from mtp_eval.harness.commands.options import DataDir, command


@command(
    "mtp-eval data check stdlib",
    "mtp-eval data check 'corpus/**/*.parquet' --task humaneval --out clean.jsonl",
)
def check(
    sources: Annotated[
        list[str],
        typer.Argument(metavar="SOURCE...", help="stdlib, a file, a folder, a glob in quotes, or datasets:NAME."),
    ],
    task: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME,NAME,...", help="Tasks to compare with.", show_default="humaneval,mbpp"),
    ] = None,
    ngram: Annotated[int, typer.Option(metavar="N", help="Tokens in a row that count as overlap.", min=3)] = 13,
    text_field: Annotated[
        str | None, typer.Option(metavar="NAME", help="Column of JSONL, Parquet and datasets.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Write the documents without overlap as JSONL.")
    ] = None,
    data_dir: DataDir = None,
    show: Annotated[int, typer.Option(metavar="N", min=0, help="Worst pairs to list.")] = 10,
) -> None:
    """Report training documents that share runs of tokens with benchmark problems, and drop them on request."""
    from mtp_eval.harness.config import split_commas
    from mtp_eval.harness.outputs import try_file
    from mtp_eval.harness.progress import say
    from mtp_eval.harness.training.data import overlap_index
    from mtp_eval.harness.training.documents import read_source
    from mtp_eval.harness.training.overlap import summarise

    index, n_problems = overlap_index(split_commas(task or ["humaneval", "mbpp"]), ngram, data_dir)
    try_file(out, "--out")
    hits: list[Any] = []
    read, kept = 0, 0
    with out.open("w", encoding="utf-8") if out is not None else contextlib.nullcontext() as clean:
        for source in sources:
            for document in read_source(source, text_field):
                read += 1
                found = index.hits(document.name, document.text)
                hits += found
                if not found:
                    kept += 1
                    if clean is not None:
                        text = document.text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
                        clean.write(json.dumps({"name": document.name, "text": text}) + "\n")
    print(f"{read:,} documents read, {read - kept:,} share {ngram} tokens in a row with a problem")
    for name, problems in n_problems.items():
        touched, documents, largest = summarise(hits).get(name, (0, 0, 0.0))
        print(f"{name}: {touched} of {problems} problems in {documents} documents; most of one problem: {largest:.0%}")
    for hit in sorted(hits, key=lambda hit: (-hit.share, hit.problem, hit.document))[:show]:
        print(f"  {hit.share:4.0%} of {hit.problem} in {hit.document} ({hit.runs} runs)")
    if out is not None:
        say(f"{kept:,} documents without overlap in {out}: train on it with data.sources")


data = group({"Commands": {"check": lambda: check}})


@data.callback()
def _data(context: typer.Context) -> None:
    """Look for benchmark problems in training text."""
    if context.invoked_subcommand is None:
        print(context.get_help())
