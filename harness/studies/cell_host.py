"""A host of cells on a node of a cluster: worker processes there, which write into folders that all nodes share.

A plain class, of which `Cluster.start` makes an actor. Its methods are called from several threads.
"""

from __future__ import annotations

import os
import queue
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from mtp_eval.harness.cluster.hosts import arrived, check_version, portable
from mtp_eval.harness.errors import InputError
from mtp_eval.harness.studies.cells import Cell
from mtp_eval.harness.studies.workers import LocalWorkers


class CellHost:
    """Worker processes on this node.

    Args:
        version: of this package where the study was started.
    """

    def __init__(self, version: str) -> None:
        self._version = version
        self._workers: LocalWorkers | None = None
        self._done: queue.Queue[tuple[int, Any]] = queue.Queue()

    def open(self, n: int, logs: str, device: str, shared: tuple[str, str], variables: Mapping[str, str]) -> None:
        """Start so many worker processes.

        Args:
            shared: a file of the study's folder, and what is in it.
            variables: of the environment, as the study was started with them.

        Raises:
            InputError: this node has another version of this package, or does not see the study's folder.
        """
        check_version(self._version)
        file, content = shared
        try:
            found = Path(file).read_text("utf-8")
        except OSError:
            found = ""
        if found != content:
            raise InputError(
                f"{Path(file).parent} is not the study's folder here: give an --out on a file system that all nodes of the cluster share"
            )
        os.environ.update(variables)
        self._workers = LocalWorkers(n, Path(logs), device)
        self._threads = ThreadPoolExecutor(n)

    def submit(self, number: int, what: str, cell: Mapping[str, Any]) -> None:
        """Queue a cell under its number."""
        self._threads.submit(self._make, number, what, Cell(**cell))

    def _make(self, number: int, what: str, cell: Cell) -> None:
        assert self._workers is not None
        try:
            answer = self._workers.make(what, cell)
        except Exception as error:
            answer = portable(error)
        self._done.put((number, answer))

    def collect(self, seconds: float) -> list[tuple[int, Any]]:
        """Answers, or errors, with their cell's number, as soon as there are any; none after so many seconds."""
        return arrived(self._done, seconds)

    def close(self) -> None:
        """End the processes."""
        if self._workers is not None:
            self._workers.close()
