"""Rows of a speed measurement, and the file in which they stand with the machine that they depend on."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mtp_eval.harness.errors import InputError
from mtp_eval.results.files import dump_json, write_atomically
from mtp_eval.results.provenance import package_versions

SCHEMA = 1
SPEED_FILE = "speed.json"


@dataclass(frozen=True, slots=True)
class Place:
    """What is the same for all numbers of heads that are compared."""

    model: str
    domain: str
    prompt_tokens: int
    batch_size: int
    temperature: float


@dataclass(frozen=True, slots=True)
class SpeedRow:
    """One measurement.

    Args:
        prompt_tokens: asked for; 0 where the domain's prompts have a length of their own.
        mean_prompt_tokens: as they were, a begin-of-text token included.
        heads: used when decoding; 1 is plain.
        n_completions, n_tokens: decoded in a timed pass.
        tokens_per_forward: tokens of completions for each forward after the prompt.
        acceptance: share of drafts that were kept, by head from head 2 on.
        speed_up, speed_up_cpu: rate over plain decoding, by the clock and in CPU time of this process; 1 for plain decoding.
        tokens_per_second: of all completions together, by the clock.
    """

    model: str
    domain: str
    prompt_tokens: int
    mean_prompt_tokens: float
    batch_size: int
    temperature: float
    heads: int
    n_completions: int
    n_tokens: int
    tokens_per_forward: float
    acceptance: tuple[float, ...]
    speed_up: float
    speed_up_cpu: float
    tokens_per_second: float

    @property
    def place(self) -> Place:
        """Where it was measured."""
        return Place(self.model, self.domain, self.prompt_tokens, self.batch_size, self.temperature)

    @property
    def tokens_per_second_per_user(self) -> float:
        """Rate of one completion: what somebody who waits for it sees."""
        return self.tokens_per_second / min(self.batch_size, self.n_completions)


@dataclass(slots=True)
class SpeedStore:
    """The file of the measurements: settings, machine, models and rows."""

    path: Path
    head: dict[str, Any]
    rows: dict[tuple[Place, int], SpeedRow]

    @classmethod
    def open(cls, path: Path, settings: Mapping[str, Any], models: Mapping[str, Mapping[str, Any]]) -> SpeedStore:
        """The rows of a file, if they belong into one table with those to come.

        Args:
            settings: that all rows share.
            models: facts of each, by label.

        Raises:
            InputError: the file is something else, or of other settings, another machine, other weights.
        """
        head: dict[str, Any] = {"schema_version": SCHEMA, "settings": dict(settings), "machine": machine()}
        if not path.exists():
            return cls(path, head | {"models": dict(models)}, {})
        stored = _read(path)
        for part in ("settings", "machine"):
            if stored[part] != head[part]:
                raise InputError(_differs(path, stored[part], head[part]))
        for label in models.keys() & stored["models"].keys():
            if models[label]["sha256"] != stored["models"][label]["sha256"]:
                raise InputError(f"{path} has measurements of other weights under the name {label}: give another --out")
        rows = {(row.place, row.heads): row for row in _rows(stored)}
        return cls(path, head | {"models": stored["models"] | models}, rows)

    def write(self) -> None:
        """Write the file as it is now."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        rows = [asdict(row) for row in self.rows.values()]
        write_atomically(self.path, dump_json(self.head | {"versions": package_versions(), "rows": rows}))


def machine() -> dict[str, Any]:
    """What rates depend on beside the model: rates of two machines do not belong into one table."""
    import torch

    processor = (
        torch.cuda.get_device_name() if torch.cuda.is_available() else platform.processor() or platform.machine()
    )
    threads, version = torch.get_num_threads(), torch.__version__
    return {"name": platform.node(), "processor": processor, "threads": threads, "torch": str(version)}


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def machine_name() -> str:
    """This machine in a few words."""
    facts = machine()
    return f"{facts['processor']}, {facts['threads']} threads, torch {facts['torch']}"


def speed_rows(path: Path) -> list[SpeedRow]:
    """The rows of a file, on whatever machine they were measured.

    Raises:
        InputError: it is no such file.
    """
    return _rows(_read(path))


def _rows(stored: Mapping[str, Any]) -> list[SpeedRow]:
    return [SpeedRow(**row | {"acceptance": tuple(row["acceptance"])}) for row in stored["rows"]]


def _read(path: Path) -> dict[str, Any]:
    try:
        stored = json.loads(path.read_text("utf-8"))
        if isinstance(stored, dict) and stored.get("schema_version") == SCHEMA:
            return stored
    except (ValueError, OSError):
        pass
    raise InputError(f"{path} is no measurement of this version of `mtp-eval speed`: give another --out")


def _differs(path: Path, was: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    differ = ", ".join(f"{name} {was.get(name)} (now {now[name]})" for name in now if was.get(name) != now[name])
    return f"{path} has measurements with {differ}, and rates of both do not belong into one table: give another --out"
