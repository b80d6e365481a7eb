"""Workers that make cells side by side, one thread each, from the side of the study's own process; and those on this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Self

from mtp_eval.harness.errors import InputError, MtpEvalError
from mtp_eval.harness.studies.cells import Cell


class Workers(ABC):
    """Whatever makes cells side by side: processes on this machine, or on the nodes of a cluster.

    Args:
        n: cells at once.
    """

    n: int

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @abstractmethod
    def do(self, what: str, cells: Sequence[Cell]) -> Iterator[tuple[Cell, Any]]:
        """Yield each cell with its answer, as soon as it is there.

        Args:
            what: "cell" to make it, "probe" to measure what it costs.

        Raises:
            InputError: a cell cannot be made as it is asked for.
            MtpEvalError: a cell, or a worker, failed.
        """

    @abstractmethod
    def close(self) -> None:
        """End them, whatever they do."""


class LocalWorkers(Workers):
    """So many processes on this machine; each is given the next cell when it is free.

    Args:
        n: processes.
        folder: where each writes its log.
        device: with "cuda", each is given one of the GPUs in turn.
    """

    def __init__(self, n: int, folder: Path, device: str):
        folder.mkdir(parents=True, exist_ok=True)
        self.n = n
        self._logs = [folder / f"worker-{number}.log" for number in range(n)]
        gpus = visible_gpus() if device == "cuda" else []
        self._processes = [start(log, gpus[i % len(gpus)] if gpus else None) for i, log in enumerate(self._logs)]
        self._free: SimpleQueue[int] = SimpleQueue()
        for number in range(n):
            self._free.put(number)

    def do(self, what: str, cells: Sequence[Cell]) -> Iterator[tuple[Cell, Any]]:
        """Yield each cell with its answer, as soon as it is there; raises what `Workers.do` raises."""
        pool = ThreadPoolExecutor(self.n)
        try:
            asked: dict[Future[Any], Cell] = {pool.submit(self.make, what, cell): cell for cell in cells}
            for done in as_completed(asked):
                yield asked[done], done.result()
        except BaseException:
            self._kill()  # so that the threads that wait for an answer end
            raise
        finally:
            pool.shutdown(cancel_futures=True)

    def close(self) -> None:
        """End the processes."""
        self._kill()
        for process in self._processes:
            process.wait()
            for pipe in (process.stdin, process.stdout):
                assert pipe is not None
                pipe.close()

    def _kill(self) -> None:
        for process in self._processes:
            process.kill()

    def make(self, what: str, cell: Cell) -> Any:
        """The answer to one cell, by the next process that is free; may be called from several threads.

        Raises:
            InputError, MtpEvalError: as `do`.
        """
        number = self._free.get()
        try:
            line = ask(self._processes[number], json.dumps({"do": what, "cell": cell.as_dict()}))
        finally:
            self._free.put(number)  # also one that is gone: whoever is given it next must not wait for ever
        log, name = self._logs[number], f"{cell.recipe}, seed {cell.seed}"
        if not line:
            raise MtpEvalError(
                f"the process that worked on {name} ended (exit {self._processes[number].poll()}); {log} has its last words. "
                "The same command continues"
            )
        reply = json.loads(line)
        if "error" not in reply:
            return reply["answer"]
        kind = InputError if reply["type"] == "InputError" else MtpEvalError
        raise kind(f"{name}: {reply['error']} (log: {log}). The same command continues")


def ask(process: subprocess.Popen[str], line: str) -> str:
    """Send a line and wait for the answer; empty where the process has ended."""
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(line + "\n")
        process.stdin.flush()
        return process.stdout.readline()
    except (OSError, ValueError):
        return ""


def start(log: Path, gpu: str | None) -> subprocess.Popen[str]:
    """One worker, in the study's process group, so that what pauses or stops the study as a whole (Ctrl-Z, Ctrl-C) reaches it, too."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    if gpu is not None:
        environment["CUDA_VISIBLE_DEVICES"] = gpu
    with log.open("a") as errors:
        return subprocess.Popen(
            [sys.executable, "-m", "mtp_eval.harness.studies.worker"],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )


def visible_gpus() -> list[str]:
    """The GPUs that torch sees, by the names that CUDA_VISIBLE_DEVICES takes: of those in it, where it is set."""
    import torch

    chosen = [one.strip() for one in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if one.strip()]
    return (chosen or [str(number) for number in range(torch.cuda.device_count())])[: torch.cuda.device_count()]


def usable_cores() -> int:
    """Cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS
        return os.cpu_count() or 1
