"""What the commands on finished runs share: reading run folders, and the values of k."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mtp_eval.results.errors import OptionError, RunError

if TYPE_CHECKING:
    from mtp_eval.results.tables.standard import Run


def read_runs(folders: Sequence[Path]) -> list[Run]:
    """Headers and cells of run folders; runs whose models share a label get the folder's name in front of it.

    Raises:
        RunError: a folder that holds no run, or none that can be read.
    """
    from mtp_eval.results.scores.cells import with_distinct_labels

    runs = [read_run(folder) for folder in folders]
    return with_distinct_labels([folder.resolve().name for folder in folders], runs)


def read_run(folder: Path) -> Run:
    """Header and cells of one run folder.

    Raises:
        RunError: a folder that holds no run, or none that can be read.
    """
    from mtp_eval.results.scores.cells import read_cells
    from mtp_eval.results.store import RunStore

    store = RunStore.read(folder)
    cells = read_cells(store)
    if not cells:
        raise RunError(f"{folder} holds no records yet")
    return store.header, cells


def wanted_ks(runs: Sequence[Run], text: str | None) -> list[int]:
    """The k of `--k 1,10`, or every k that one of the runs was made for.

    Raises:
        OptionError: not a list of whole numbers from 1.
    """
    if text is None:
        own = {int(k) for header, _ in runs for k in header["config"].get("k", (1,))}
        return sorted(own)
    try:
        ks = sorted({int(part) for part in text.split(",")})
    except ValueError:
        ks = []
    if not ks or ks[0] < 1:
        raise OptionError(f"--k expects whole numbers from 1, such as 1,10; got {text!r}")
    return ks
