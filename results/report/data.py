"""The report's completions: packed so that one page can hold 100,000 of them and open at once.

    records, sorted by problem -> index (a few numbers each, read at start) + chunks of texts (unpacked when looked at)

Both are gzip in base64 inside the page, so nothing that a model wrote is ever part of its HTML. Above `MOST` completions
the later samples of each problem are left out, and the page says how many.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mtp_eval.results.columns import readable
from mtp_eval.results.record import Record
from mtp_eval.results.scores.cells import natural_key
from mtp_eval.sandbox.outcome import Verdict

MOST = 200_000
CHUNK_SIZE = 500
ERROR_CHARACTERS = 200
MOST_TEST_CHARACTERS = 20_000


@dataclass(frozen=True, slots=True)
class ProblemTexts:
    """What a benchmark's files say of a problem: what the model was asked, what judges it, and a solution."""

    prompt: str
    tests: str = ""
    reference: str = ""


Problems = Mapping[tuple[str, str], ProblemTexts]
"""Texts by (task, problem_id), as far as they are at hand."""


@dataclass(frozen=True)
class Packed:
    """What the page embeds: `index` and each of `chunks` are base64 of gzip of JSON."""

    index: str
    chunks: tuple[str, ...]
    n_completions: int
    n_left_out: int


@dataclass(frozen=True)
class ProblemFacts:
    """One problem over all models: what makes it slow or flaky."""

    task: str
    problem_id: str
    n: int
    passed: int
    slowest_seconds: float
    mean_seconds: float
    timeouts: int
    signs: tuple[str, ...]


def pack(records: Iterable[Record], texts: Problems, most: int = MOST) -> Packed:
    """All completions for the page's browser."""
    rows = sorted(records, key=lambda r: (r.task, natural_key(r.problem_id), r.model, r.sample))
    kept, n_left_out = _capped(rows, most)
    names: dict[str, dict[str, int]] = {"models": {}, "tasks": {}, "verdicts": {}, "errors": {}}

    def number(kind: str, text: str) -> int:
        return names[kind].setdefault(text, len(names[kind]))

    there = {record.verdict for record in kept}
    for verdict in Verdict:
        if verdict in there:
            number("verdicts", verdict.value)
    problems: dict[tuple[str, str], int] = {}
    columns: dict[str, list[Any]] = {key: [] for key in ("model", "problem", "sample", "verdict", "error", "seconds")}
    chunks = []
    for start in range(0, len(kept), CHUNK_SIZE):
        of_chunk = []
        for record in kept[start : start + CHUNK_SIZE]:
            problem = problems.setdefault((record.task, record.problem_id), len(problems))
            columns["model"].append(number("models", record.model))
            columns["problem"].append(problem)
            columns["sample"].append(record.sample)
            columns["verdict"].append(number("verdicts", record.verdict.value))
            columns["error"].append(number("errors", record.outcome.error[:ERROR_CHARACTERS]))
            columns["seconds"].append(round(record.outcome.wall_seconds, 4))
            of_chunk.append(_texts(record))
        chunks.append(_packed(of_chunk))
    index = {
        **{kind: list(numbers) for kind, numbers in names.items()},
        "tasks": sorted({task for task, _ in problems}),
        "problems": [{"task": task, "id": name} for task, name in problems],
        "columns": columns,
        "chunk_size": CHUNK_SIZE,
        "texts": _packed([_problem_texts(texts.get(key)) for key in problems]),
    }
    return Packed(_packed(index), tuple(chunks), len(kept), n_left_out)


def problem_facts(records: Iterable[Record]) -> list[ProblemFacts]:
    """Every problem with its times, and the signs by which its verdicts cannot be trusted."""
    gathered: dict[tuple[str, str], list[Record]] = defaultdict(list)
    for record in records:
        gathered[(record.task, record.problem_id)].append(record)
    facts = []
    for (task, name), of_problem in gathered.items():
        seconds = [record.outcome.wall_seconds for record in of_problem]
        verdicts = Counter(record.verdict for record in of_problem)
        facts.append(
            ProblemFacts(
                task=task,
                problem_id=name,
                n=len(of_problem),
                passed=verdicts[Verdict.PASSED],
                slowest_seconds=max(seconds),
                mean_seconds=sum(seconds) / len(seconds),
                timeouts=verdicts[Verdict.TIMEOUT],
                signs=_signs(of_problem, verdicts),
            )
        )
    return facts


def _signs(records: Sequence[Record], verdicts: Mapping[Verdict, int]) -> tuple[str, ...]:
    """Why the problem's verdicts might come out differently another time."""
    by_program: dict[str, set[str]] = defaultdict(set)
    for record in records:
        if record.judged:
            by_program[record.program].add(record.verdict)
    split = sum(len(found) > 1 for found in by_program.values())
    turned = sum(record.outcome.timeout_sensitive for record in records)
    retried = sum(record.outcome.n_retries > 0 for record in records)
    broken = verdicts.get(Verdict.INFRASTRUCTURE_ERROR, 0)
    signs = []
    if split:
        signs.append(f"{split} program{'s' if split > 1 else ''} judged differently in different places")
    if turned:
        signs.append(f"{turned} timeout{'s' if turned > 1 else ''} that turned when run alone")
    if broken:
        signs.append(f"{broken} infrastructure error{'s' if broken > 1 else ''}")
    if retried and not (turned or broken):
        signs.append(f"{retried} run again")
    return tuple(signs)


def _problem_texts(found: ProblemTexts | None) -> dict[str, str] | None:
    if found is None:
        return None
    tests = found.tests
    if len(tests) > MOST_TEST_CHARACTERS:
        tests = f"{tests[:MOST_TEST_CHARACTERS]}\n... and {len(tests) - MOST_TEST_CHARACTERS:,} characters more"
    return {"prompt": readable(found.prompt), "tests": readable(tests), "reference": readable(found.reference)}


def _texts(record: Record) -> dict[str, Any]:
    completion, outcome = record.completion, record.outcome
    return {
        "completion": readable(completion.text),
        "program": readable(record.program),
        "error": readable(outcome.error),
        "line": outcome.failed_line,
        "expression": readable(outcome.expression),
        "expected": readable(outcome.expected),
        "actual": readable(outcome.actual),
        "tokens": completion.n_tokens,
        "forwards": completion.n_forwards,
        "stop": completion.stop_reason,
        "seconds": round(record.outcome.wall_seconds, 4),
        "cpu": round(outcome.cpu_seconds, 4),
        "bytes": outcome.peak_bytes,
        "temperature": record.temperature,
        "retries": outcome.n_retries,
        "same_interpreter": outcome.same_interpreter,
        "sha": record.prompt_sha256[:12],
    }


def _capped(rows: list[Record], most: int) -> tuple[list[Record], int]:
    if len(rows) <= most:
        return rows, 0
    cells = len({(r.model, r.task, r.problem_id) for r in rows})
    each = max(1, most // cells)
    seen: Counter[tuple[str, str, str]] = Counter()
    kept = []
    for record in rows:
        key = (record.model, record.task, record.problem_id)
        seen[key] += 1
        if seen[key] <= each:
            kept.append(record)
    return kept, len(rows) - len(kept)


def _packed(value: Any) -> str:
    raw = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode("utf-8")
    return base64.b64encode(gzip.compress(raw, compresslevel=6, mtime=0)).decode("ascii")
