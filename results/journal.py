"""The journal's lines: written with a checksum, read one by one, and set aside where they cannot be believed.

    {"model": ..., "verdict": "passed", ..., "crc32": "8a1f02bd"}

The checksum is of the line's bytes before it. Lines of older versions have none and are believed if every value has its
type. What is wrong with a line is a `Fault`: damaged (no record, or not the one that was written), doubled (a record of
the same model, task, problem and sample stands above it). A faulty line is never counted and never stops a reader; the
next writer moves it into `records.set_aside.jsonl`, so that its completion is made again.
"""

from __future__ import annotations

import os
import sys
import zlib
from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from mtp_eval.results.files import write_atomically
from mtp_eval.results.record import Record

Key = tuple[str, str, str, int]
JOURNAL_FILE = "records.jsonl"
SET_ASIDE_FILE = "records.set_aside.jsonl"
CHECKSUM = b', "crc32": "'
NAMED = 5
"""How many faults a sentence names one by one."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One line that is not counted, and why."""

    number: int
    why: str

    def __str__(self) -> str:
        return f"line {self.number} {self.why}"


class Keys(Set[Key]):
    """A set of record keys that takes a bit for each sample and a few hundred bytes for each problem."""

    def __init__(self, keys: Iterable[Key] = ()) -> None:
        self._samples: dict[tuple[str, str], dict[str, int]] = {}
        self._n = 0
        for key in keys:
            self.add(key)

    def add(self, key: Key) -> bool:
        """Add a key; False if it was there."""
        if key in self:
            return False
        model, task, problem, sample = key
        of_task = self._samples.setdefault((model, task), {})
        of_task[sys.intern(problem)] = of_task.get(problem, 0) | 1 << sample
        self._n += 1
        return True

    def __contains__(self, key: object) -> bool:
        model, task, problem, sample = cast(Key, key)
        return bool(self._samples.get((model, task), {}).get(problem, 0) >> sample & 1)

    def __len__(self) -> int:
        return self._n

    def __iter__(self) -> Iterator[Key]:
        for (model, task), problems in self._samples.items():
            for problem, bits in problems.items():
                yield from ((model, task, problem, sample) for sample in range(bits.bit_length()) if bits >> sample & 1)


def line_of(record: Record) -> bytes:
    """The record's line, with its checksum and a line break."""
    body = record.to_json().encode("ascii")
    return b'%b, "crc32": "%08x"}\n' % (body[:-1], zlib.crc32(body[:-1]))


def record_of(line: bytes) -> Record:
    """The record in a line.

    Raises:
        ValueError: it is no record, or not the one that was written.
    """
    body, mark, rest = line.rpartition(CHECKSUM)
    if mark and rest.rstrip() != b'%08x"}' % zlib.crc32(body):
        raise ValueError("does not match its checksum")
    try:
        return Record.from_json(line.decode("ascii"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"is not a record ({error})") from None


def read_lines(path: Path, faults: list[Fault]) -> Iterator[tuple[int, bytes, Record]]:
    """The number, bytes and record of every line that can be believed; what is wrong with the others goes to `faults`.

    A last line without its line break is passed over: it is still being written, or a kill has torn it.
    """
    keys = Keys()
    with open(path, "rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                return
            try:
                record = record_of(line)
            except ValueError as error:
                faults.append(Fault(number, str(error)))
                continue
            if keys.add(record.key):
                yield number, line, record
            else:
                faults.append(Fault(number, f"is a second record of {record.problem_id} sample {record.sample}"))


def mend(path: Path) -> tuple[Keys, int]:
    """Make a journal fit to be appended to; returns the keys that stay, and how many lines were set aside.

    A torn last line is cut. Faulty lines are moved into `SET_ASIDE_FILE` beside it, and so are infrastructure errors, which
    say nothing about their programs, and both lines of a key whose lines differ, since nobody can tell which is right.
    """
    if not path.exists():
        return Keys(), 0
    kept, aside, keys = _sorted_out(path)
    if aside:
        _append(path.with_name(SET_ASIDE_FILE), aside)
        write_atomically(path, b"".join(kept))
    else:
        _cut_torn_line(path)
    return keys, len(aside)


def _sorted_out(path: Path) -> tuple[list[bytes], list[bytes], Keys]:
    """Lines to keep, lines to set aside, and the keys of the former. The usual case, where all stay, holds no lines."""
    faults: list[Fault] = []
    keys = Keys()
    broken = 0
    for _, _, record in read_lines(path, faults):
        keys.add(record.key)
        broken += not record.judged
    if not faults and not broken:
        return [], [], keys
    return _separated(path)


def _separated(path: Path) -> tuple[list[bytes], list[bytes], Keys]:
    by_key: dict[Key, bytes | None] = {}
    aside: list[bytes] = []
    for line in path.read_bytes().splitlines(keepends=True):
        if not line.endswith(b"\n"):
            continue
        try:
            record = record_of(line)
        except ValueError:
            aside.append(line)
            continue
        first = by_key.setdefault(record.key, line if record.judged else None)
        if first is not line:
            aside.append(line)
            if first is not None and first != line:
                aside.append(first)
                by_key[record.key] = None
    kept = {key: line for key, line in by_key.items() if line is not None}
    return list(kept.values()), aside, Keys(kept)


def _append(path: Path, lines: Iterable[bytes]) -> None:
    with open(path, "ab") as file:
        file.writelines(lines)
        file.flush()
        os.fsync(file.fileno())


def _cut_torn_line(path: Path) -> None:
    """Cut what follows the last line break; never more than one line."""
    with open(path, "r+b") as file:
        size = end = file.seek(0, os.SEEK_END)
        while end and size:
            start = max(0, end - (1 << 20))
            file.seek(start)
            place = file.read(end - start).rfind(b"\n")
            if place >= 0:
                end = start + place + 1
                break
            end = start
        if end < size:
            file.truncate(end)
            file.flush()
            os.fsync(file.fileno())


def faults_sentence(faults: list[Fault]) -> str:
    """The sentence under a table about the lines that it does not count."""
    if not faults:
        return ""
    named = ", ".join(map(str, faults[:NAMED]))
    rest = f" and {len(faults) - NAMED:,} more" if len(faults) > NAMED else ""
    return f"{len(faults):,} line{'s' * (len(faults) > 1)} of {JOURNAL_FILE} set aside, not counted: {named}{rest}"
