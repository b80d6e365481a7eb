"""Past runs: found below a folder, filtered, and listed with what they measured."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from mtp_eval.results.header import RUN_FILE, RunHeader, read_header
from mtp_eval.results.scores.metrics import METRICS_FILE
from mtp_eval.results.tables.render import Column, Table, text_entry
from mtp_eval.results.tables.standard import percent


@dataclass(frozen=True)
class PastRun:
    """A run's header and, if it has finished, its metrics."""

    folder: Path
    header: RunHeader
    metrics: dict[str, Any] | None

    @property
    def state(self) -> str:
        """ "complete", "incomplete" (finished with samples missing) or "unfinished" (no metrics yet)."""
        if self.metrics is None:
            return "unfinished"
        return "complete" if self.metrics.get("complete") else "incomplete"

    @property
    def scores(self) -> str:
        """Every cell's scores in a few words."""
        parts = []
        for cell in (self.metrics or {}).get("cells", []):
            shown = ", ".join(
                f"@{k} {'–' if score['value'] is None else percent(score['value'])}"
                for k, score in cell["pass_at_k"].items()
            )
            where = f"{cell['task']} ({cell['group']})" if cell["group"] else cell["task"]
            parts.append(f"{cell['model']} {where}: {shown}")
        return "; ".join(parts)


def find_runs(root: Path) -> Iterator[PastRun]:
    """Every run below `root`, oldest first; folders that only look like runs are passed over."""
    found = []
    for path in root.rglob(RUN_FILE):
        try:
            header = read_header(path.parent)
            metrics_path = path.with_name(METRICS_FILE)
            metrics = json.loads(metrics_path.read_text("utf-8")) if metrics_path.exists() else None
        except (ValueError, OSError):
            continue
        found.append(PastRun(path.parent, header, metrics))
    yield from sorted(found, key=lambda run: (run.header.created, str(run.folder)))


def keep(run: PastRun, model: str | None, task: str | None, since: str | None, state: str | None) -> bool:
    """Whether a run passes the filters: patterns with * for model and task, a date such as 2026-11-01 for `since`."""
    if model and not any(fnmatch(label, model) for label in run.header.models):
        return False
    names = [*run.header.tasks, *(str(run.header.task(name).protocol) for name in run.header.tasks)]
    if task and not any(fnmatch(name, task) for name in names):
        return False
    if since and run.header.created < since:
        return False
    return state in (None, run.state)


def runs_table(runs: Sequence[PastRun], root: Path) -> Table:
    """A row per run."""
    names = ["run", "created", "models", "tasks", "samples", "T", "isolation", "state", "scores (%)", "config"]
    columns = [Column(name, name in ("samples", "T")) for name in names]
    rows = []
    for run in runs:
        header = run.header
        folder = run.folder.relative_to(root) if run.folder.is_relative_to(root) else run.folder
        facts = (
            folder,
            header.created[:16],
            ", ".join(header.models),
            ", ".join(header.tasks),
            header.n_samples,
            "/".join(f"{t:g}" for t in header.temperatures),
            header.isolation,
            run.state if header.shard is None else f"{run.state}, shard {header.shard}",
            run.scores,
            header.config_sha256[:8],
        )
        rows.append(tuple(text_entry(fact) for fact in facts))
    return Table(tuple(columns), tuple(rows), f"{len(rows):,} run{'s' * (len(rows) != 1)} below {root}")
