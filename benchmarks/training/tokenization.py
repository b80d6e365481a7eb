"""Tokenisation on two cores: threads of the `tokenizers` package in one process, against processes.

    python -m benchmarks.training.tokenization [--megabytes 20] [--tokenizer bpe:8192] [--rounds 5]

The same text is turned into ids by one process without threads, by one with threads, and by two processes without threads that have a
half each, one after the other and in another order each round. Compared are megabytes a second of wall time and a CPU second,
as ratios within a round, so that other work on the machine weighs on all three alike.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.study import save, study_parser
from benchmarks.training.corpus import write_text

HERE = "benchmarks.training.tokenization"


def main() -> None:
    parser = study_parser(__doc__, "2 MB of text, one round")
    parser.add_argument("--megabytes", type=int, default=20)
    parser.add_argument("--tokenizer", default="bpe:8192")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--part", nargs=3, metavar=("FOLDER", "I", "N"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.part:
        print(json.dumps(tokenized(Path(args.part[0]), int(args.part[1]), int(args.part[2]))))
        return
    n_bytes, rounds = (2, 1) if args.quick else (args.megabytes, args.rounds)
    with tempfile.TemporaryDirectory() as folder:
        prepare(Path(folder), n_bytes * 10**6, args.tokenizer)
        found: dict[str, list[dict[str, float]]] = {name: [] for name in WAYS}
        for number in range(rounds):
            for name in turned(list(WAYS), number):
                found[name].append(WAYS[name](Path(folder)))
    print(f"{n_bytes} MB of text, {args.tokenizer}, {rounds} rounds, {os.cpu_count()} cores; medians")
    for name, figures in found.items():
        wall, cpu = (n_bytes / median(one[key] for one in figures) for key in ("wall_seconds", "cpu_seconds"))
        bases = found["one thread"]
        ratios = [base["wall_seconds"] / one["wall_seconds"] for base, one in zip(bases, figures, strict=True)]
        against = f"{median(ratios):.2f} times one thread ({min(ratios):.2f} to {max(ratios):.2f})"
        print(f"{name:<14} {wall:.2f} MB/s, {cpu:.2f} MB a CPU second; {against}")
    save(args.json, found)


def turned(names: list[str], by: int) -> list[str]:
    return names[by % len(names) :] + names[: by % len(names)]


def prepare(folder: Path, n_bytes: int, tokenizer: str) -> None:
    """The text and the tokenizer that is made of it."""
    from mtp_eval.harness.models.tokenizers import trained_bpe

    write_text(folder / "text.txt", n_bytes)
    blocks = (folder / "text.txt").read_text("utf-8", "surrogateescape").split("\n\n")
    (folder / "tokenizer").mkdir()
    trained_bpe(blocks[:20_000], int(tokenizer.removeprefix("bpe:"))).save(folder / "tokenizer")


def tokenized(folder: Path, part: int, parts: int) -> dict[str, float]:
    """Turn one part of the text into ids, and say how long that alone took."""
    from mtp_eval.harness.models.tokenizers import load_tokenizer

    tokenizer = load_tokenizer(folder / "tokenizer")
    blocks = (folder / "text.txt").read_text("utf-8", "surrogateescape").split("\n\n")[part::parts]
    tokenizer.encode_many(blocks[:2])
    wall, cpu, n_tokens = time.monotonic(), time.process_time(), 0
    for batch in batches(blocks):
        n_tokens += sum(len(ids) for ids in tokenizer.encode_many(batch))
    return {"wall_seconds": time.monotonic() - wall, "cpu_seconds": time.process_time() - cpu, "tokens": n_tokens}


def batches(blocks: list[str]) -> list[list[str]]:
    """Blocks that are handed to the package at once, as `mtp-eval train` does."""
    from mtp_eval.harness.training.corpus_writer import BATCH_CHARACTERS

    found, size = [list[str]()], 0
    for block in blocks:
        if size > BATCH_CHARACTERS:
            found.append([])
            size = 0
        found[-1].append(block)
        size += len(block)
    return found


def processes(folder: Path, n: int, *, threads: bool) -> dict[str, float]:
    """Run n processes on a part each at once: the longest wall time, and all CPU seconds."""
    env = {**os.environ, "TOKENIZERS_PARALLELISM": str(threads).lower()}
    calls = [[sys.executable, "-m", HERE, "--part", str(folder), str(i), str(n)] for i in range(n)]
    running = [subprocess.Popen(call, env=env, stdout=subprocess.PIPE, text=True) for call in calls]
    said: list[dict[str, Any]] = [json.loads(one.communicate()[0]) for one in running]
    return {
        "wall_seconds": max(one["wall_seconds"] for one in said),
        "cpu_seconds": sum(one["cpu_seconds"] for one in said),
        "tokens": sum(one["tokens"] for one in said),
        "largest_mb": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e3,
    }


WAYS: dict[str, Callable[[Path], dict[str, float]]] = {
    "one thread": lambda folder: processes(folder, 1, threads=False),
    "threads": lambda folder: processes(folder, 1, threads=True),
    "two processes": lambda folder: processes(folder, 2, threads=False),
}


if __name__ == "__main__":
    main()
