"""Self-speculative decoding of this checkout beside another one's, in turns.

    python -m benchmarks.decoding.commits --other FOLDER --model CKPT [--model CKPT ...] [--rounds 3] [-- OPTIONS]

FOLDER is a checkout of another commit, installed in its own `.venv`. Each round runs `benchmarks.decoding.speculative` in both, one
after the other and with one thread, on the same checkpoints; OPTIONS go to it. Both commits must read the checkpoints and know the
options. A speed-up is over plain decoding of the same commit; the last column is the rate of this commit over the other's, within a
round. Without --model each of them trains a small model first, and without --other this checkout stands beside itself: the noise of
the figures.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.study import save, study_parser

HERE = Path(__file__).resolve().parents[2]
SIDES = ("this", "other")
Key = tuple[str, str, int, str]
"""Model, source, batch, heads ("auto" without the number it chose)."""


def measured(checkout: Path, models: list[str], options: list[str]) -> dict[Key, dict[str, Any]]:
    """The rows of one call of `speculative` in a checkout."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "study.json"
        command = [python_of(checkout), "-m", "benchmarks.decoding.speculative"]
        for model in models:
            command += ["--model", model]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        subprocess.run(
            [*command, *options, "--json", str(file)], cwd=checkout, env=environment, stdout=sys.stderr, check=True
        )
        blocks = json.loads(file.read_text("utf-8"))["blocks"]
    return {
        (block["model"], block["source"], block["batch"], str(row["heads"]).partition(" ")[0]): row
        for block in blocks
        for row in block["rows"]
    }


def python_of(checkout: Path) -> str:
    """The interpreter of a checkout: this one for our own."""
    return sys.executable if checkout == HERE else str(checkout / ".venv/bin/python")


def fault_of(checkout: Path) -> str:
    """Why a checkout cannot be measured; "" where it can. An interpreter that imports another checkout would measure that one."""
    ask = "import os, mtp_eval.harness as h; print(os.path.dirname(os.path.dirname(os.path.abspath(h.__file__))))"
    try:
        done = subprocess.run(
            [python_of(checkout), "-c", ask], cwd=checkout, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError) as error:
        return f"{checkout} has no installed mtp-eval in its .venv (make demo installs it): {error}"
    found = Path(done.stdout.strip())
    return (
        "" if found.samefile(checkout) else f"{python_of(checkout)} imports mtp_eval from {found}, not from {checkout}"
    )


def commit_of(checkout: Path) -> str:
    """The commit that is checked out, in short."""
    command = ["git", "-C", str(checkout), "describe", "--always", "--dirty"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def table(rounds: list[dict[str, dict[Key, dict[str, Any]]]], commits: dict[str, str]) -> str:
    """Medians over the rounds, with their range."""
    here, there = (f"speed-up, {commits[side]}" for side in SIDES)
    lines = [
        f"| model | source | batch | heads | tokens/forward | {here} | {there} | rate over the other's |",
        "|---|---|---|---|---|---|---|---|",
    ]
    both = [key for key in rounds[0]["this"] if key in rounds[0]["other"]]  # "auto" may be of one commit alone
    for key in both:
        pairs = [(one["this"][key], one["other"][key]) for one in rounds]
        rates = [a["tokens_per_second"] / b["tokens_per_second"] for a, b in pairs]
        shown = [spread([a["speedup"] for a, _ in pairs]), spread([b["speedup"] for _, b in pairs]), spread(rates)]
        lines.append(f"| {' | '.join(map(str, key))} | {pairs[0][0]['tokens_per_forward']:.2f} | {' | '.join(shown)} |")
    return "\n".join(lines)


def spread(values: list[float]) -> str:
    """Median and range."""
    return f"{median(values):.2f} ({min(values):.2f}-{max(values):.2f})"


def main() -> None:
    """Command line."""
    parser = study_parser(__doc__)
    parser.add_argument("--other", type=Path, default=HERE, help="checkout of the other commit")
    parser.add_argument("--model", action="append", default=[], help="checkpoint folder; repeat for several")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("options", nargs="*", help="of `benchmarks.decoding.speculative`, after --")
    args = parser.parse_args()
    folders = {"this": HERE, "other": args.other.resolve()}
    for checkout in folders.values():
        if fault := fault_of(checkout):
            parser.error(fault)
    models = [str(Path(model).resolve()) for model in args.model]
    options = [*args.options, *(["--quick"] if args.quick else [])]
    rounds = []
    for number in range(1 if args.quick else args.rounds):
        order = SIDES if number % 2 == 0 else SIDES[::-1]
        rounds.append({side: measured(folders[side], models, options) for side in order})
    commits = {side: commit_of(folder) for side, folder in folders.items()}
    print(table(rounds, commits))
    kept = [{side: [{"key": key, **row} for key, row in rows.items()] for side, rows in one.items()} for one in rounds]
    save(args.json, {"commits": commits, "models": models, "options": options, "rounds": kept})


if __name__ == "__main__":
    main()
