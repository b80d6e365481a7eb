"""Records of earlier nights: the history, and the folder of each night from which a damaged history is made again.

    out/history.parquet      a row per night, series, task, group, temperature and k (results.history)
    out/NIGHT/night.json     one night: its number, its specs, whether it was finished, and its rows

A night counts when its night.json says that it was finished; the history is what all of them say, in the order of their
numbers (never of a clock).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mtp_eval.harness.progress import say
from mtp_eval.results.files import dump_json, write_atomically
from mtp_eval.results.history import read_history, with_rows, write_history

if TYPE_CHECKING:
    import pandas as pd

STATE = "night.json"
HISTORY = "history.parquet"


@dataclass(frozen=True)
class NightState:
    """The content of a night.json."""

    name: str
    number: int
    specs: Mapping[str, str]
    finished: bool
    rows: list[dict[str, Any]] = field(default_factory=list)

    def write(self, folder: Path) -> None:
        """Replace the folder's night.json."""
        content = {"night": self.name, "number": self.number, "specs": dict(self.specs), "finished": self.finished}
        write_atomically(folder / STATE, dump_json({**content, "rows": self.rows}))


def past_nights(out: Path) -> list[NightState]:
    """Every night below `out` whose night.json can be read, in the order in which they were begun."""
    return sorted(_readable_states(out), key=lambda state: (state.number, state.name))


def _readable_states(out: Path) -> Iterator[NightState]:
    for path in out.glob(f"*/{STATE}"):
        try:
            content = json.loads(path.read_text("utf-8"))
            rows = [{key: _number(value) for key, value in row.items()} for row in content.get("rows", [])]
            yield NightState(
                path.parent.name, int(content.get("number", 0)), content["specs"], bool(content["finished"]), rows
            )
        except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
            say(f"{path} cannot be read ({error}); that night is taken from the history alone")


def _number(value: Any) -> Any:
    return float("nan") if value is None else value


def known_history(out: Path) -> pd.DataFrame:
    """The history, with finished nights that it lacks; a damaged file is put aside and made again from them."""
    path = out / HISTORY
    try:
        history = read_history(path)
    except ValueError as error:
        aside = path.with_name(f"{HISTORY}.damaged-{datetime.now(UTC):%Y%m%dT%H%M%S}")
        path.rename(aside)
        say(f"{error}; it is now {aside.name}, and the history is made again from the nights' own folders")
        history = read_history(path)
    known = set(history["night"])
    for state in past_nights(out):
        if state.finished and state.name not in known:
            history = with_rows(history, state.rows)
    return history


def save_history(out: Path, history: pd.DataFrame) -> None:
    """Write the history."""
    if len(history):
        write_history(out / HISTORY, history)
