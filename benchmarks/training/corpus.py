"""A corpus in one text file: seconds, tokens and memory from text to a tokenizer and token shards.

    python -m benchmarks.training.corpus [--megabytes 1000] [--tokenizer bpe:8192] [--work FOLDER]

The text is made of the .py files of this Python, the standard library and installed packages: blocks between blank lines, in an
order drawn anew each time the files have been used up. Each stage runs in a process of its own; memory is the largest sum of the
resident sizes of that process and its children, looked at every 50 ms, and the largest of one process.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.study import save, study_parser

HERE = "benchmarks.training.corpus"
PAGE_BYTES = resource.getpagesize()
LOOK_SECONDS = 0.05


def main() -> None:
    parser = study_parser(__doc__, "20 MB of text instead of 1 GB")
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--tokenizer", default="bpe:8192")
    parser.add_argument("--work", type=Path, help="where text and tokens are written, and stay")
    parser.add_argument("--stage", choices=("tokenizer", "tokens"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    n_bytes = (20 if args.quick else args.megabytes) * 10**6
    with tempfile.TemporaryDirectory() as temporary:
        work = args.work or Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        if args.stage:
            print(json.dumps(stage(args.stage, args.tokenizer, work)))
            return
        text = work / "corpus.txt"
        if not text.exists() or abs(text.stat().st_size - n_bytes) > 10**6:
            write_text(text, n_bytes)
        figures = {name: measured(name, args.tokenizer, work) for name in ("tokenizer", "tokens")}
    print(f"{n_bytes / 1e6:,.0f} MB of text, {args.tokenizer}")
    for name, found in figures.items():
        print(
            f"{name:<10} {found['wall_seconds']:.0f} s, {found['cpu_seconds']:.0f} CPU s, largest process "
            f"{found['largest_mb']:.0f} MB, all together {found['sum_mb']:.0f} MB"
        )
    tokens, cpu = figures["tokens"]["tokens"], figures["tokens"]["cpu_seconds"]
    rate = f"{tokens / cpu:,.0f} tokens and {n_bytes / 1e6 / cpu:.2f} MB a CPU second"
    print(
        f"{tokens:,} tokens, {figures['tokens']['documents']:,} documents, {figures['tokens']['held_out']:,} held out: {rate}"
    )
    save(args.json, {"megabytes": n_bytes / 1e6, "tokenizer": args.tokenizer, **figures})


def stage(name: str, tokenizer: str, work: Path) -> dict[str, Any]:
    """One stage, with `mtp-eval train`'s own functions."""
    from mtp_eval.harness.training.config_files import make_config
    from mtp_eval.harness.training.data import resolve_data, resolve_tokenizer

    about = {"sources": [str(work / "corpus.txt")], "documents": "blocks", "tokenizer": tokenizer, "cache": str(work)}
    shape = {"d_model": 64, "n_layers": 2, "n_heads": 2, "context_length": 64}
    config = make_config({"model": shape, "data": about, "steps": 1, "batch_size": 1})
    started = time.process_time()
    if name == "tokenizer":
        return {"ids": resolve_tokenizer(config).vocab_size, "stage_cpu_seconds": time.process_time() - started}
    (corpus,) = resolve_data(config, work / "run")[0].parts
    return {
        "tokens": corpus.train.n_tokens + corpus.validation.n_tokens,
        "documents": len(corpus.train.ends) + len(corpus.validation.ends),
        "held_out": len(corpus.validation.ends),
        "stage_cpu_seconds": time.process_time() - started,
    }


def measured(name: str, tokenizer: str, work: Path) -> dict[str, Any]:
    """A stage's own figures with its seconds and memory."""
    command = [sys.executable, "-m", HERE, "--stage", name, "--tokenizer", tokenizer, "--work", str(work)]
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        largest = largest_sum = 0
        while child.poll() is None:
            sizes = resident_bytes(child.pid)
            largest, largest_sum = max([largest, *sizes]), max(largest_sum, sum(sizes))
            time.sleep(LOOK_SECONDS)
        assert child.stdout is not None
        said = child.stdout.read()
    if child.returncode:
        raise RuntimeError(f"{' '.join(command)} failed")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        **json.loads(said),
        "wall_seconds": time.monotonic() - started,
        "cpu_seconds": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "largest_mb": largest / 1e6,
        "sum_mb": largest_sum / 1e6,
    }


def resident_bytes(pid: int) -> list[int]:
    """Resident bytes of a process and of each of its descendants."""
    sizes, found = list[int](), [pid]
    for process in found:
        try:
            sizes.append(int(Path(f"/proc/{process}/statm").read_text().split()[1]) * PAGE_BYTES)
            tasks = Path(f"/proc/{process}/task").iterdir()
            found += [int(child) for task in tasks for child in (task / "children").read_text().split()]
        except OSError:  # it ended between two looks
            continue
    return sizes


def write_text(path: Path, n_bytes: int) -> None:
    """Blocks of Python files until the size is reached."""
    stop = path.with_suffix(".part")
    with stop.open("wb") as out:
        for block in shuffled_blocks():
            out.write(block + b"\n\n")
            if out.tell() >= n_bytes:
                break
    stop.rename(path)


def shuffled_blocks() -> Iterator[bytes]:
    """Blocks of all files, in an order drawn anew in each round: files are shuffled, then the blocks of 50 at a time."""
    paths = sysconfig.get_paths()
    files = sorted({file for root in ("stdlib", "purelib") for file in Path(paths[root]).rglob("*.py")})
    for seed in range(1000):
        rng = random.Random(seed)
        rng.shuffle(files)
        for start in range(0, len(files), 50):
            blocks = [block for file in files[start : start + 50] for block in file.read_bytes().split(b"\n\n")]
            rng.shuffle(blocks)
            yield from (block.strip(b"\n") for block in blocks if block.strip())


if __name__ == "__main__":
    main()
