"""One line of a run's journal: a completion, the program made of it, and what became of that."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

SCHEMA_VERSION = 1


def sha256_text(text: str) -> str:
    """SHA-256 of a text's UTF-8 bytes; lone surrogates are kept, not refused."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True)
class Record:
    """The journal's line; (model, task, problem_id, sample) is unique in a run.

    `completion` is the model's raw text; `program` is the source that was executed; `verdict` is a value of
    `sandbox.outcome.Verdict`. Times are in seconds, sizes in bytes. Readers ignore keys they do not know.
    `temperature` is set in runs over several temperatures (whose samples are numbered on from one to the next); None
    means the run's own.
    """

    model: str
    task: str
    problem_id: str
    sample: int
    prompt_sha256: str
    completion: str
    program: str
    verdict: str
    error: str = ""
    prompt_tokens: int = 0
    prompt_tokens_cut: int = 0
    n_tokens: int = 0
    n_forwards: int = 0
    stop_reason: str = "given"
    n_drafted: tuple[int, ...] = ()
    n_accepted: tuple[int, ...] = ()
    generation_wall_seconds: float = 0.0
    generation_cpu_seconds: float = 0.0
    wall_seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_bytes: int = 0
    same_interpreter: bool = False
    n_retries: int = 0
    timeout_sensitive: bool = False
    temperature: float | None = None
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether the verdict is a pass."""
        return self.verdict == "passed"

    @property
    def key(self) -> tuple[str, str, str, int]:
        """What identifies the record within its run."""
        return (self.model, self.task, self.problem_id, self.sample)

    def to_json(self) -> str:
        """One line of ASCII JSON without a line break, so that any text survives, lone surrogates included."""
        row = {name: getattr(self, name) for name in NAMES}
        row["tags"] = dict(self.tags)
        return json.dumps(row, ensure_ascii=True)

    @classmethod
    def from_json(cls, line: str) -> Record:
        """The inverse of `to_json`.

        Raises:
            ValueError: the line is not a JSON object with the journal's fields.
        """
        row: dict[str, Any] = json.loads(line)
        if not isinstance(row, dict):
            raise ValueError(f"expected a JSON object, got {type(row).__name__}")
        if not row.keys() <= NAME_SET:
            row = {name: value for name, value in row.items() if name in NAME_SET}
        for name in ("n_drafted", "n_accepted"):
            if name in row:
                row[name] = tuple(row[name])
        try:
            return cls(**row)
        except TypeError as error:
            raise ValueError(f"a field of the record is missing: {error}") from None


NAMES = tuple(f.name for f in fields(Record))
NAME_SET = frozenset(NAMES)
