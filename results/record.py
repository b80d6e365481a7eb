"""One line of a run's journal: a completion, the program made of it, and what became of that.

In Python a record holds a `Completion` and an `Outcome`; in the journal it is one flat JSON object, whose keys are the
names of their fields (`COMPLETION_KEYS` has the four that are called otherwise there). A field that `Completion` or
`Outcome` gets later is journalled without a change here, on the lines where it differs from its default.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, NamedTuple

from mtp_eval.sandbox.outcome import Outcome, Verdict
from mtp_eval.tasks.problem import Completion

SCHEMA_VERSION = 1
MOST_SAMPLES = 1 << 24
COMPLETION_KEYS = {
    "text": "completion",
    "wall_seconds": "generation_wall_seconds",
    "cpu_seconds": "generation_cpu_seconds",
}
NOT_JOURNALLED = ("isolation", "refusal")
"""Fields that are the same for all records of a run and stand in its header, or that stand in the outcome's error."""
FIRST_KEYS = (
    "model", "task", "problem_id", "sample", "prompt_sha256", "completion", "program", "verdict", "error", "prompt_tokens",
    "prompt_tokens_cut", "n_tokens", "n_forwards", "stop_reason", "n_drafted", "n_accepted", "generation_wall_seconds",
    "generation_cpu_seconds", "wall_seconds", "cpu_seconds", "peak_bytes", "same_interpreter", "n_retries",
    "timeout_sensitive", "temperature", "tags",
)  # fmt: skip
"""The keys that every line has, in their order; later ones follow, where they say something."""


FROM, BELOW = -(1 << 63), 1 << 63
"""The whole numbers that a column of 64 bits holds."""


def is_number(value: Any) -> bool:
    """Whether it is a finite number: journals are JSON, which Python reads with NaN and Infinity in it."""
    return (type(value) is float and math.isfinite(value)) or (type(value) is int and FROM <= value < BELOW)


def are_counts(value: Any) -> bool:
    """Whether it is a list of whole numbers that columns of 32 bits hold."""
    if type(value) not in (list, tuple) or not set(map(type, value)) <= {int}:
        return False
    return not value or (min(value) > -(1 << 31) and max(value) < 1 << 31)


def never(value: Any) -> bool:
    """False: no further value is allowed."""
    return False


def is_none(value: Any) -> bool:
    """Whether it is None."""
    return value is None


@dataclass(frozen=True, slots=True)
class Kind:
    """The values that the journal may hold for a field: in words, the usual type (`bounded` to 64 bits), and others.

    A journal has tens of values a line, nearly all of the usual type, and a call for each would be half of the time of reading.
    """

    words: str
    usual: type[Any]
    bounded: bool = False
    otherwise: Callable[[Any], bool] = never


KINDS: Mapping[str, Kind] = {
    "str": Kind("str", str),
    "int": Kind("int", int, bounded=True),
    "float": Kind("a finite number", float, bounded=True, otherwise=is_number),
    "bool": Kind("bool", bool),
    "int | None": Kind("int", int, bounded=True, otherwise=is_none),
    "float | None": Kind(
        "a finite number", float, bounded=True, otherwise=lambda value: value is None or is_number(value)
    ),
    "tuple[int, ...]": Kind("a list of int", object, otherwise=are_counts),
    "Mapping[str, str]": Kind("dict", dict),
}
"""By a field's annotation."""
ANYTHING = Kind("anything", object, otherwise=lambda value: True)


def sha256_text(text: str) -> str:
    """SHA-256 of a text's UTF-8 bytes; lone surrogates are kept, not refused."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True)
class Record:
    """A judged completion; (model, task, problem_id, sample) is unique in a run.

    Args:
        completion: what the model wrote, raw, with its token and forward counts.
        program: the source that was executed.
        outcome: the verdict on it and what it cost.
        temperature: set in runs over several temperatures, whose samples are numbered on from one to the next; None means
            the run's own.
        tags: the problem's labels, such as {"domain": "in"}.
    """

    model: str
    task: str
    prompt_sha256: str
    completion: Completion
    program: str
    outcome: Outcome
    temperature: float | None = None
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def problem_id(self) -> str:
        """The problem that the completion is for."""
        return self.completion.problem_id

    @property
    def sample(self) -> int:
        """The number of the completion among those for its problem."""
        return self.completion.sample

    @property
    def verdict(self) -> Verdict:
        """The verdict on the program."""
        return self.outcome.verdict

    @property
    def passed(self) -> bool:
        """Whether the verdict is a pass."""
        return self.outcome.passed

    @property
    def judged(self) -> bool:
        """Whether the verdict says anything about the program."""
        return self.outcome.verdict is not Verdict.INFRASTRUCTURE_ERROR

    @property
    def key(self) -> tuple[str, str, str, int]:
        """What identifies the record within its run."""
        return (self.model, self.task, self.completion.problem_id, self.completion.sample)

    def to_row(self) -> dict[str, Any]:
        """The record as a flat dictionary with the journal's keys."""
        given = {f.key: getattr(part, f.name) for part, owned in zip(self._parts(), PARTS, strict=True) for f in owned}
        row = {key: given[key] for key in FIRST_KEYS}
        row["tags"] = dict(self.tags)
        row |= {f.key: given[f.key] for f in LATER if given[f.key] != f.default}
        return row

    def to_json(self) -> str:
        """One line of ASCII JSON without a line break, so that any text survives, lone surrogates included."""
        return json.dumps(self.to_row(), ensure_ascii=True)

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Record:
        """The inverse of `to_row`; keys that are not known are ignored.

        Raises:
            ValueError: a key is missing, or its value has the wrong type.
        """
        own, completion, outcome = (_values(row, owned) for owned in PARTS)
        if not 0 <= completion.get("sample", 0) < MOST_SAMPLES:
            raise ValueError(f"sample is {completion['sample']}, expected 0 to {MOST_SAMPLES - 1}")
        if "verdict" in outcome:
            outcome["verdict"] = Verdict(outcome["verdict"])
        try:
            return cls(**own, completion=Completion(**completion), outcome=Outcome(**outcome))
        except TypeError as error:
            raise ValueError(f"a field of the record is missing: {error}") from None

    @classmethod
    def from_json(cls, line: str) -> Record:
        """The inverse of `to_json`.

        Raises:
            ValueError: the line is not a JSON object with the journal's fields.
        """
        row: Any = json.loads(line)
        if not isinstance(row, dict):
            raise ValueError(f"expected a JSON object, got {type(row).__name__}")
        return cls.from_row(row)

    def _parts(self) -> tuple[Record, Completion, Outcome]:
        return (self, self.completion, self.outcome)


class JournalField(NamedTuple):
    """A field of one of a record's parts, and its key in the journal."""

    key: str
    name: str
    kind: Kind
    default: Any
    path: str
    """Where a record has it: "completion.text"."""

    @property
    def is_later(self) -> bool:
        """Whether lines leave it out where it has its default."""
        return self.key not in FIRST_KEYS


def _journalled(part: type, keys: Mapping[str, str], place: str) -> tuple[JournalField, ...]:
    """The fields of a part that stand in the journal."""
    skipped = (*NOT_JOURNALLED, "completion", "outcome")
    found = []
    for f in fields(part):
        default = None if f.default is MISSING else f.default
        if f.name not in skipped:
            kind = KINDS.get(str(f.type), ANYTHING)
            found.append(JournalField(keys.get(f.name, f.name), f.name, kind, default, f"{place}{f.name}"))
    return tuple(found)


def _values(row: Mapping[str, Any], owned: tuple[JournalField, ...]) -> dict[str, Any]:
    """Constructor arguments out of a journal's line, each with its type checked."""
    values = {}
    for key, name, kind, default, _ in owned:
        if key not in row:
            continue
        value = row[key]
        usual = type(value) is kind.usual and (not kind.bounded or FROM <= value < BELOW)
        if not usual and not kind.otherwise(value):
            raise ValueError(f"{key} is {value!r:.40}, expected {kind.words}")
        values[name] = tuple(value) if default == () else value
    return values


PARTS = (
    _journalled(Record, {}, ""),
    _journalled(Completion, COMPLETION_KEYS, "completion."),
    _journalled(Outcome, {}, "outcome."),
)
FIELDS: Mapping[str, JournalField] = {f.key: f for owned in PARTS for f in owned}
"""By key."""
LATER = tuple(f for f in FIELDS.values() if f.is_later)
