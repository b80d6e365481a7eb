"""Figures of one GPU: decoding against the memory bound, cost of drafts, speed-up where drafts are kept, MFU. Under 8 minutes on an H100.

    python -m benchmarks.gpu_check --json gpu.json [--parts decode speculate train] [--quick]

The file gets the figures of each part as soon as it is done; the same command goes on with what is missing, and prints the table last. On a
machine without a GPU a toy run of the same code shows that it works (`--quick`).

decode     100M and 1B parameters with random weights, 32,768 tokens, bf16: plain forwards at batch 1, 8, 64 as a share of what reading the
           weights once allows; a forward with four heads in plain ones, greedily and with temperature 0.8 and top-p 0.95.
speculate  a deep `listops` model is trained here until its drafts are accepted; speed-up by heads, float32 (completions must be those of
           plain decoding) and bf16.
train      FLOPs of a step against the peak (MFU) and memory, n = 1 and 4, 300M and 1B.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks.decoding import machine
from benchmarks.study import save, study_parser
from benchmarks.training.gpu import measure
from mtp_eval.harness.backends.native import NativeBackend
from mtp_eval.harness.decoding.settings import DecodingSettings
from mtp_eval.harness.models.config import ModelConfig
from mtp_eval.harness.models.initialize import new_model
from mtp_eval.harness.models.size import model_size
from mtp_eval.harness.models.tokenizers import ByteTokenizer
from mtp_eval.tasks.problem import Request

SIZES = {"100M": (768, 14), "1B": (2048, 20), "toy": (64, 6)}
"""Width and layers, heads among them."""
WAYS = {
    "plain": DecodingSettings(decode="autoregressive"),
    "plain, sampled": DecodingSettings(decode="autoregressive", temperature=0.8, top_p=0.95),
    "4 heads": DecodingSettings(decode="self-speculative", draft_heads=4),
    "4 heads, sampled": DecodingSettings(decode="self-speculative", draft_heads=4, temperature=0.8, top_p=0.95),
}
DEEP = ["model.d_model=128", "model.n_layers=9", "model.match=layers", "optimizer.learning_rate=1e-3", "steps=300"]
"""A model of `listops` whose drafts are nearly always accepted: 3.8 tokens a forward."""


def seconds_per_forward(
    backend: NativeBackend, settings: DecodingSettings, batch: int, tokens: tuple[int, int]
) -> float:
    """Wall time of one forward of the batch; the prompt and what is done once are taken out by a shorter run."""

    def timed(n_new: int) -> tuple[float, int]:
        wanted = [Request(str(i), 0, "def f(x):\n    return x\n" * 5, i, (), n_new) for i in range(batch)]
        machine.synchronize(backend.model.embed_tokens.weight.device)
        started = time.perf_counter()
        done = list(backend.generate(wanted, settings))
        return time.perf_counter() - started, max(completion.n_forwards for completion in done)

    timed(tokens[1])  # allocates, records graphs
    found = []
    for _ in range(3):
        (short, few), (long, many) = timed(tokens[0]), timed(tokens[1])
        found.append((long - short) / max(1, many - few))
    return statistics.median(found)


@torch.no_grad()
def decode(*, quick: bool) -> list[dict[str, Any]]:
    """Forwards with random weights, by size, batch and way."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    bounds, rows = machine.limits(device, dtype), []
    for size in ("toy",) if quick else ("100M", "1B"):
        width, layers = SIZES[size]
        config = ModelConfig(
            vocab_size=512 if quick else 32_768, d_model=width, n_layers=layers, n_heads=width // 64, d_ff=-(-width // 24) * 64,
            context_length=512, n_future=4,
        )  # fmt: skip
        backend = NativeBackend.of_model(new_model(config, seed=0).to(device, dtype), ByteTokenizer())
        read = model_size(config).n_parameters_next_token * backend.model.embed_tokens.weight.itemsize
        for batch in (1, 2) if quick else (1, 8, 64):
            times = {
                way: seconds_per_forward(backend, settings, batch, (8, 24) if quick else (16, 112))
                for way, settings in WAYS.items()
            }
            rows.append(
                {
                    "size": size,
                    "batch": batch,
                    "bound_seconds": read / bounds["bytes_per_second"],
                    "seconds": times,
                    "gigabytes_per_second": bounds["bytes_per_second"] / 1e9,
                }
            )
            print(json.dumps(rows[-1]), flush=True)
        del backend
        if device.type == "cuda":
            torch.cuda.empty_cache()
    return rows


def speculate(*, quick: bool) -> list[dict[str, Any]]:
    """Blocks of benchmarks.decoding.speculative for a model that is trained here, in float32 and bf16."""
    blocks = []
    with tempfile.TemporaryDirectory() as folder:
        model, found = Path(folder, "listops-deep-n4"), Path(folder, "found.json")
        changes = [*DEEP, "steps=30"] if quick else DEEP
        sets = [part for change in changes for part in ("--set", change)]
        command("mtp_eval.harness", "train", "listops-n4", "--out", str(model), *sets)
        for dtype in ("float32",) if quick else ("float32", "bfloat16"):
            command(
                "benchmarks.decoding.speculative", "--model", str(model), "--source", "listops", "--dtype", dtype, "--json", str(found),
                "--prompt-tokens", "64", "--n-prompts", "16",
                *(["--quick"] if quick else ["--batch", "1", "8", "64", "--rounds", "2"]),
            )  # fmt: skip
            read = json.loads(found.read_text("utf-8"))
            blocks += [{"dtype": dtype, **block} for block in read["blocks"]]
    return blocks


def train(*, quick: bool) -> list[dict[str, Any]]:
    """MFU and memory of training steps."""
    rows = []
    for size in ("toy",) if quick else ("300M", "1B"):
        for n_future in (1, 4):
            shape = (
                {"batch": 4, "length": 128, "vocab": 512} if quick else {"batch": 16, "length": 2048, "vocab": 32_768}
            )
            rows.append(
                measure(
                    size,
                    n_future,
                    steps=2 if quick else 8,
                    warmup=1 if quick else 4,
                    compiled=not quick,
                    micro=None,
                    **shape,
                )
            )
            print(json.dumps(rows[-1]), flush=True)
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
    return rows


def command(module: str, *arguments: str) -> None:
    """Run a module of ours as a user would."""
    subprocess.run([sys.executable, "-m", module, *arguments], check=True)


PARTS: dict[str, Callable[..., list[dict[str, Any]]]] = {"decode": decode, "speculate": speculate, "train": train}


def table(figures: dict[str, Any]) -> str:
    """The figures as a page of Markdown."""
    lines = [json.dumps(figures["machine"])]
    if rows := figures.get("decode"):
        lines += [
            "",
            "| size | batch | plain, ms | of the bound | 4 heads | plain, sampled | 4 heads, sampled |",
            "|---|---|---|---|---|---|---|",
        ]
        for row in rows:
            seconds = row["seconds"]
            plain = seconds["plain"]
            costs = [f"{seconds[way] / plain:.2f}" for way in ("4 heads", "plain, sampled", "4 heads, sampled")]
            lines.append(
                f"| {row['size']} | {row['batch']} | {1000 * plain:.2f} | {row['bound_seconds'] / plain:.0%} | {' | '.join(costs)} |"
            )
    if blocks := figures.get("speculate"):
        lines += [
            "",
            "| dtype | batch | heads | speed-up | tokens a forward | same as plain |",
            "|---|---|---|---|---|---|",
        ]
        for block in blocks:
            lines += [
                f"| {block['dtype']} | {block['batch']} | {row['heads']} | {row['speedup']:.2f} | "
                f"{row['tokens_per_forward']:.2f} | {row['identical']} |"
                for row in block["rows"]
            ]
    if rows := figures.get("train"):
        lines += ["", "| size | n | ms a step | MFU | peak memory, GiB |", "|---|---|---|---|---|"]
        for row in rows:
            mfu, peak = (
                (f"{row['mfu']:.1%}" if row["mfu"] else "–"),
                (f"{row['peak_gib']:.1f}" if row["peak_gib"] else "–"),
            )
            lines.append(
                f"| {row['size']} | {row['n_future']} | {1000 * row['seconds_per_step']:.0f} | {mfu} | {peak} |"
            )
    return "\n".join(lines)


def main() -> None:
    """Command line."""
    parser = study_parser(__doc__, "toy models: shows that it runs, on a CPU, too")
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS))
    arguments = parser.parse_args()
    where = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if where.type == "cpu" and not arguments.quick:
        parser.error("torch finds no GPU here; --quick shows on a CPU that this runs")
    figures: dict[str, Any] = {"machine": machine.describe(where)}
    if arguments.json is not None and arguments.json.exists():
        figures = json.loads(arguments.json.read_text("utf-8"))
    for part in arguments.parts:
        if part not in figures:
            figures[part] = PARTS[part](quick=arguments.quick)
            save(arguments.json, figures)
    print(table(figures))


if __name__ == "__main__":
    main()
