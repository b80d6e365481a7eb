"""`mtp-eval data check`: does the training text hold the benchmarks' problems?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

data = typer.Typer(name="data", help="Look at training text.", no_args_is_help=True)


@data.callback()
def _group() -> None:
    """Keep `check` a subcommand while it is the only one."""


@data.command()
def check(
    sources: Annotated[list[str], typer.Argument(help="stdlib, a file, a folder, a glob in quotes, or datasets:NAME")],
    task: Annotated[list[str] | None, typer.Option(help="Task to compare with; default: humaneval and mbpp.")] = None,
    ngram: Annotated[int, typer.Option(help="Tokens in a row that count as overlap.", min=3)] = 13,
    text_field: Annotated[str | None, typer.Option(help="Column of JSONL, Parquet and datasets.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write the documents without overlap as JSONL.")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Folder of benchmark files.")] = None,
    show: Annotated[int, typer.Option(help="Worst pairs to list.")] = 10,
) -> None:
    """Report training documents that share runs of tokens with benchmark problems, and drop them on request."""
    from mtp_eval.harness.progress import say
    from mtp_eval.harness.training.data import overlap_index
    from mtp_eval.harness.training.documents import read_source
    from mtp_eval.harness.training.overlap import summarise

    index, n_problems = overlap_index(task or ["humaneval", "mbpp"], ngram, data_dir)
    hits, read, kept = [], 0, 0
    clean = out.open("w", encoding="utf-8") if out is not None else None
    try:
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
    finally:
        if clean is not None:
            clean.close()
    print(f"{read:,} documents read, {read - kept:,} share {ngram} tokens in a row with a problem")
    for name, problems in n_problems.items():
        touched, documents, largest = summarise(hits).get(name, (0, 0, 0.0))
        print(f"{name}: {touched} of {problems} problems in {documents} documents; most of one problem: {largest:.0%}")
    for hit in sorted(hits, key=lambda hit: (-hit.share, hit.problem, hit.document))[:show]:
        print(f"  {hit.share:4.0%} of {hit.problem} in {hit.document} ({hit.runs} runs)")
    if out is not None:
        say(f"{kept:,} documents without overlap in {out}: train on it with data.sources")
