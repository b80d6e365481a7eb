"""A worker process: takes jobs as lines of JSON on standard input, answers each with one on standard output.

It ends at once when its input ends, so that nothing goes on writing once the study's own process is gone, however that went.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict
from queue import SimpleQueue
from typing import Any, TextIO


def listen(jobs: SimpleQueue[dict[str, Any]]) -> None:
    """Queue each line of standard input as a job; end this process when the input ends."""
    for line in sys.stdin:
        jobs.put(json.loads(line))
    os._exit(0)


def private_stdout() -> TextIO:
    """Standard output for answers alone: what anything else prints goes to standard error."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return answers


def work(job: dict[str, Any]) -> dict[str, Any]:
    """Do one job: its answer, or what went wrong."""
    from mtp_eval.harness.studies.cells import Cell, make_cell, probe

    do: dict[str, Callable[[Cell], Any]] = {"cell": make_cell, "probe": lambda cell: asdict(probe(cell))}
    cell = Cell(**job["cell"])
    print(f"== {job['do']} {cell.recipe}, seed {cell.seed}", file=sys.stderr, flush=True)
    try:
        return {"answer": do[job["do"]](cell)}
    except Exception as error:
        import traceback

        traceback.print_exc()
        return {"error": f"{error}" or type(error).__name__, "type": type(error).__name__}


def main() -> None:
    """Work until the input ends."""
    # Ctrl-C ends the study's process, and that this one. Not SIG_IGN, which programs that the sandbox starts would inherit.
    signal.signal(signal.SIGINT, lambda number, frame: None)
    jobs: SimpleQueue[dict[str, Any]] = SimpleQueue()
    answers = private_stdout()
    threading.Thread(target=listen, args=(jobs,), daemon=True).start()
    while True:
        print(json.dumps(work(jobs.get())), file=answers, flush=True)


if __name__ == "__main__":
    main()
