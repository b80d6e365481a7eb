"""The same programs in every form that is read: the same verdicts, and the same figures in metrics.json."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from mtp_eval.harness.evaluation.score import score
from mtp_eval.tasks.registry import load_task

pytestmark = pytest.mark.slow
Programs = Sequence[tuple[str, list[str]]]
"""Problem ids with whole programs, in the benchmark's order."""
N_PROBLEMS = 12


@pytest.fixture(scope="module")
def programs(shared_data: Path) -> Programs:
    """Real completions of the first problems with their prompts, some right and some wrong."""
    prompts = {problem.problem_id: problem.prompt for problem in load_task("humaneval").problems()}
    with gzip.open(shared_data / "verdicts" / "he-claireeeeeeee.jsonl.gz", "rt") as file:
        rows = [json.loads(line) for line in file]
    ids = [name for name in prompts if any(row["task_id"] == name for row in rows)][:N_PROBLEMS]
    return [(name, [prompts[name] + r["completion"] for r in rows if r["task_id"] == name][:3]) for name in ids]


def flat(programs: Programs) -> list[dict[str, str]]:
    return [{"task_id": name, "solution": text} for name, texts in programs for text in texts]


def lines(rows: Sequence[Any]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def table(programs: Programs) -> bytes:
    out = io.StringIO()
    writer = csv.DictWriter(out, ["task_id", "solution"])
    writer.writeheader()
    writer.writerows(flat(programs))
    return out.getvalue().encode()


def lm_eval(programs: Programs) -> list[dict[str, Any]]:
    return [{"doc_id": i, "doc": {"task_id": name}, "filtered_resps": [texts], "filter": "create_test"}
            for i, (name, texts) in enumerate(programs)]  # fmt: skip


WRITERS: dict[str, tuple[str, Callable[[Programs], bytes]]] = {
    "evalplus": ("s.jsonl", lambda programs: lines(flat(programs))),
    "evalplus, packed": ("s.jsonl", lambda programs: gzip.compress(lines(flat(programs)))),
    "evalplus results": ("r.json", lambda programs: json.dumps({
        "eval": {name: [{"solution": text} for text in texts] for name, texts in programs}}).encode()),
    "an array, with a mark": ("s.json", lambda programs: json.dumps(flat(programs)).encode("utf-8-sig")),
    "csv": ("s.csv", table),
    "bigcode": ("g.json", lambda programs: json.dumps([texts for _, texts in programs]).encode()),
    "lm-eval": ("samples_humaneval.jsonl", lambda programs: lines(lm_eval(programs))),
    "lm-eval 2024": ("x.jsonl", lambda programs: json.dumps(lm_eval(programs), indent=2).encode()),
}  # fmt: skip


def figures(folder: Path) -> list[dict[str, Any]]:
    return list(json.loads((folder / "metrics.json").read_text())["cells"])


def test_every_form_gives_the_same_verdicts_and_metrics(programs: Programs, tmp_path: Path) -> None:
    ids = [problem.problem_id for problem in load_task("humaneval").problems()]
    assert [name for name, _ in programs] == ids[: len(programs)], "bigcode's lists go by place"
    seen = {}
    for form, (name, write) in WRITERS.items():
        path = tmp_path / form / name
        path.parent.mkdir()
        path.write_bytes(write(programs))
        done = score(
            samples=path, task="humaneval", label="m", k="1,2", allow_missing=True, out=tmp_path / form / "run"
        )
        verdicts = {record.key: (record.verdict, record.program) for record in done.records()}
        seen[form] = (verdicts, figures(done.folder))
    first = seen["evalplus"]
    assert len({str(verdict) for verdict, _ in first[0].values()}) > 1, "right and wrong programs are there"
    assert {form: found == first for form, found in seen.items()} == dict.fromkeys(WRITERS, True)
