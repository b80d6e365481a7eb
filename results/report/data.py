"""The report's completions: packed so that one page can hold 100,000 of them and open at once.

    records -> index (a few numbers each, sorted by problem, read at start) + chunks of texts (unpacked when looked at)

Both are gzip in base64 inside the page, so nothing that a model wrote is ever part of its HTML. Texts are packed as the
records come, so that memory holds one chunk of them, and the index says where each row's texts are.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mtp_eval.results.columns import ROWS_AT_ONCE, Tables, readable
from mtp_eval.results.report.survey import VERDICTS, ProblemKey, Survey, natural_order
from mtp_eval.results.scores.estimators import IntArray

MOST = 200_000
CHUNK_SIZE = 500
ERROR_CHARACTERS = 200
MOST_TEST_CHARACTERS = 20_000
KEYS = ("model", "task", "problem_id", "sample", "verdict")
TEXTS = {
    "completion": "completion",
    "program": "program",
    "error": "error",
    "line": "failed_line",
    "expression": "expression",
    "expected": "expected",
    "actual": "actual",
    "tokens": "n_tokens",
    "forwards": "n_forwards",
    "stop": "stop_reason",
    "seconds": "wall_seconds",
    "cpu": "cpu_seconds",
    "bytes": "peak_bytes",
    "temperature": "temperature",
    "retries": "n_retries",
    "same_interpreter": "same_interpreter",
    "sha": "prompt_sha256",
}
"""What the page says of a completion, and the column that it stands in."""
NUMBERS = ("model", "problem", "sample", "verdict", "error", "at")


@dataclass(frozen=True, slots=True)
class ProblemTexts:
    """Texts of a problem from the benchmark's files: what the model was asked, what judges it, and a solution."""

    prompt: str
    tests: str = ""
    reference: str = ""


Problems = Mapping[ProblemKey, ProblemTexts]
"""Texts by (task, problem_id), as far as they are at hand."""


@dataclass(frozen=True)
class Packed:
    """The data that the page embeds: `index` and each of `chunks` are base64 of gzip of JSON."""

    index: str
    chunks: tuple[str, ...]
    n_completions: int
    n_left_out: int


def pack(tables: Tables, found: Survey, texts: Problems) -> Packed:
    """All completions that there is room for, for the page's browser."""
    order = natural_order(found.problems)
    number = {(found.problems[place].task, found.problems[place].problem_id): i for i, place in enumerate(order)}
    models = {label: i for i, label in enumerate(found.models)}
    errors: dict[str, int] = {}
    numbers = {name: np.zeros(found.n_kept, np.int32) for name in NUMBERS}
    seconds = np.zeros(found.n_kept)
    chunks: list[str] = []
    of_chunk: list[dict[str, Any]] = []
    for at, (row, record) in enumerate(_kept(tables, found.rows)):
        error = errors.setdefault(record["error"][:ERROR_CHARACTERS], len(errors))
        problem = number[record["task"], record["problem_id"]]
        verdict = VERDICTS.index(record["verdict"])
        values = (models[record["model"]], problem, record["sample"], verdict, error, at)
        for name, value in zip(NUMBERS, values, strict=True):
            numbers[name][row] = value
        seconds[row] = record["wall_seconds"]
        of_chunk.append(_texts(record))
        if len(of_chunk) == CHUNK_SIZE:
            chunks.append(_packed(of_chunk))
            of_chunk = []
    chunks += [_packed(of_chunk)] if of_chunk else []
    verdicts, places = np.unique(numbers["verdict"], return_inverse=True)
    index = {
        "models": list(models),
        "tasks": sorted({task for task, _ in number}),
        "verdicts": [VERDICTS[place] for place in verdicts],
        "errors": list(errors),
        "problems": [{"task": task, "id": name} for task, name in number],
        "columns": {
            **{name: column.tolist() for name, column in numbers.items()},
            "verdict": places.tolist(),
            "seconds": np.round(seconds, 4).tolist(),
        },
        "chunk_size": CHUNK_SIZE,
        "texts": _packed([_problem_texts(texts.get(key)) for key in number]),
    }
    return Packed(_packed(index), tuple(chunks), found.n_kept, found.n_left_out)


def _kept(tables: Tables, rows: IntArray) -> Iterator[tuple[int, dict[str, Any]]]:
    """The records on the page, in their own order, each with its row."""
    import pyarrow as pa

    start = 0
    for table in tables(list(dict.fromkeys((*KEYS, *TEXTS.values()))), ROWS_AT_ONCE):
        of_table = rows[start : start + table.num_rows]
        start += table.num_rows
        there = of_table >= 0
        if there.any():
            yield from zip(of_table[there].tolist(), table.filter(pa.array(there)).to_pylist(), strict=True)


def _texts(record: Mapping[str, Any]) -> dict[str, Any]:
    shown = {name: record[column] for name, column in TEXTS.items()}
    for name in ("expression", "expected", "actual"):
        shown[name] = shown[name] or ""
    return {
        **shown,
        "seconds": round(shown["seconds"], 4),
        "cpu": round(shown["cpu"], 4),
        "sha": shown["sha"][:12],
    }


def _problem_texts(found: ProblemTexts | None) -> dict[str, str] | None:
    if found is None:
        return None
    tests = found.tests
    if len(tests) > MOST_TEST_CHARACTERS:
        tests = f"{tests[:MOST_TEST_CHARACTERS]}\n... and {len(tests) - MOST_TEST_CHARACTERS:,} characters more"
    return {"prompt": readable(found.prompt), "tests": readable(tests), "reference": readable(found.reference)}


def _packed(value: Any) -> str:
    raw = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode("utf-8")
    return base64.b64encode(gzip.compress(raw, compresslevel=6, mtime=0)).decode("ascii")
