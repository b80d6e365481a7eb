"""Files of a finished run: metrics.json, table.md, table.csv, all computed from its journal.

metrics.json   a pure function of header and records: the same bytes whether or not the run was ever interrupted
table.md, table.csv  the same figures for people and for spreadsheets
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mtp_eval.results.columns import write_columns
from mtp_eval.results.files import dump_json, write_atomically
from mtp_eval.results.run import Run, allowed_ks
from mtp_eval.results.scores.metrics import METRICS_FILE, run_metrics
from mtp_eval.results.store import RunStore
from mtp_eval.results.tables.render import render


def finish(store: RunStore, ks: Sequence[int], timing: Mapping[str, Any], *, undefined_too: bool = False) -> Run:
    """Write metrics, tables and this session's timing beside the journal; returns the run, whose table they are.

    The tables show the k for which some model has the samples, and all of them where the user asked for these k (`undefined_too`).
    """
    write_columns(store)
    run = Run.of(store)
    table = run.table(ks if undefined_too else allowed_ks([run], ks))
    write_atomically(store.folder / METRICS_FILE, dump_json(run_metrics(run, ks)))
    write_atomically(store.folder / "table.md", render(table, "markdown"))
    write_atomically(store.folder / "table.csv", render(table, "csv"))
    store.add_timing(timing)
    return run
