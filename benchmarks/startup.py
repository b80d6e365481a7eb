"""Start-up cost of `mtp-eval`: CPU and wall seconds of commands that do no work, beside a bare Python."""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.study import save, study_parser

COMMANDS = (("--help",), ("run", "--help"), ("tasks",), ("presets",))


def cost(command: list[str]) -> tuple[float, float]:
    """CPU seconds of the process and its children, and wall seconds."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, time.monotonic() - started


def main() -> None:
    parser = study_parser(__doc__, "three rounds")
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    program = str(Path(sys.executable).with_name("mtp-eval"))
    commands = {"python -c pass": [sys.executable, "-c", "pass"]}
    commands |= {f"mtp-eval {' '.join(words)}": [program, *words] for words in COMMANDS}
    figures: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for _ in range(3 if options.quick else options.rounds):
        for name, command in commands.items():  # in turns, so that a busy minute meets all of them
            figures[name].append(cost(command))
    print("| command | CPU seconds, median (least) | wall seconds, median (least) |\n|---|---|---|")
    for name, costs in figures.items():
        cpu, wall = zip(*costs, strict=True)
        print(
            f"| `{name}` | {statistics.median(cpu):.2f} ({min(cpu):.2f}) | {statistics.median(wall):.2f} ({min(wall):.2f}) |"
        )
    save(options.json, figures)


if __name__ == "__main__":
    main()
