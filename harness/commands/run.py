"""`mtp-eval run`: the main job."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def run(
    model: Annotated[
        list[str] | None, typer.Option(help="Checkpoint folder or other model spec; repeat to compare.")
    ] = None,
    task: Annotated[list[str] | None, typer.Option(help="Task name, see `mtp-eval tasks`; repeat for several.")] = None,
    n_samples: Annotated[int | None, typer.Option(help="Completions per problem. [default: 1]")] = None,
    k: Annotated[str | None, typer.Option(help="Values of k for pass@k, comma-separated. [default: 1]")] = None,
    temperature: Annotated[str | None, typer.Option(help="0 is greedy; 0.2,0.8 is a sweep. [default: 0]")] = None,
    top_p: Annotated[float | None, typer.Option(help="Nucleus sampling; 1 keeps every token. [default: 1]")] = None,
    top_k: Annotated[int | None, typer.Option(help="Keep the k likeliest tokens; 0 keeps all. [default: 0]")] = None,
    max_new_tokens: Annotated[int | None, typer.Option(help="Tokens per completion. [default: the task's own]")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of every random draw. [default: 0]")] = None,
    limit: Annotated[int | None, typer.Option(help="The first problems only.")] = None,
    decode: Annotated[
        str | None, typer.Option(help="auto, autoregressive or self-speculative. [default: auto]")
    ] = None,
    draft_heads: Annotated[int | None, typer.Option(help="Heads used when decoding, head 1 included.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Rows decoded together at most. [default: 32]")] = None,
    acceptance: Annotated[
        str | None, typer.Option(help="Drafts under sampling: coupled or rejection. [default: coupled]")
    ] = None,
    verify_decoding: Annotated[
        int | None, typer.Option(help="Compare so many completions per model and task with plain decoding.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda, cuda:1, mps. [default: auto]")] = None,
    dtype: Annotated[str | None, typer.Option(help="auto, float32, bfloat16, float64. [default: auto]")] = None,
    timeout: Annotated[float | None, typer.Option(help="Seconds per program. [default: 3]")] = None,
    workers: Annotated[int | None, typer.Option(help="Sandbox workers. [default: one per core]")] = None,
    isolation: Annotated[
        str | None, typer.Option(help="full, or process where full cannot be had. [default: full]")
    ] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Folder of benchmark files. [default: $MTP_EVAL_DATA]")] = None,
    out: Annotated[Path | None, typer.Option(help="Run folder. [default: runs/NAME-HASH]")] = None,
    config: Annotated[Path | None, typer.Option(help="TOML file with the same keys; options given here win.")] = None,
) -> None:
    """Generate completions, execute them, score them; print the table and write a run folder.

    The same command continues a run that was interrupted, and prints the table again when it is complete.
    """
    from mtp_eval.harness.evaluation.config import run_config
    from mtp_eval.harness.evaluation.run import run as run_all
    from mtp_eval.harness.progress import say

    options = {
        "model": model or None,
        "task": task or None,
        "n_samples": n_samples,
        "k": parse_k(k),
        "temperature": parse_numbers(temperature, "--temperature"),
        "top_p": top_p,
        "top_k": top_k,
        "max_new_tokens": max_new_tokens,
        "seed": seed,
        "limit": limit,
        "decode": decode,
        "draft_heads": draft_heads,
        "batch_size": batch_size,
        "acceptance": acceptance,
        "verify_decoding": verify_decoding,
        "device": device,
        "dtype": dtype,
        "timeout": timeout,
        "workers": workers,
        "isolation": isolation,
        "data_dir": data_dir,
        "out": out,
    }
    result = run_all(run_config(options, config))
    say(result.remarks())
    print(result.table)


def parse_numbers(text: str | None, option: str) -> tuple[float, ...] | None:
    """Numbers from "0.2,0.8".

    Raises:
        InputError: not numbers.
    """
    from mtp_eval.harness.errors import InputError

    if text is None:
        return None
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"{option} expects numbers such as 0.2 or 0.2,0.8, got {text!r}") from None


def parse_k(text: str | None) -> tuple[int, ...] | None:
    """The k of pass@k from "1,10".

    Raises:
        InputError: not whole numbers.
    """
    from mtp_eval.harness.errors import InputError

    if text is None:
        return None
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"--k expects whole numbers such as 1,10, got {text!r}") from None
