"""Scoring what exists already: what the model was asked, under which name, of how many problems; runs of one's own again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mtp_eval.harness.errors import InputError
from mtp_eval.harness.evaluation.prompts import find_problems
from mtp_eval.harness.evaluation.run import run
from mtp_eval.harness.evaluation.score import score
from mtp_eval.results.compare.folders import compare_folders
from mtp_eval.results.run import Run, read_run
from mtp_eval.tasks.registry import load_task
from tests import forked

RIGHT = "from typing import List\n\n\ndef has_close_elements(numbers, threshold):\n    return any(abs(a - b) < threshold for i, a in enumerate(numbers) for b in numbers[i + 1:])\n"  # noqa: E501
CHAT = f"Sure:\n```python\n{RIGHT}```\nIt compares all pairs."


def write(path: Path, **row: str) -> Path:
    path.write_text(json.dumps({"task_id": "HumanEval/0", **row}) + "\n")
    return path


def scored(tmp_path: Path, name: str, text: str = CHAT, key: str = "completion", **options: Any) -> Run:
    out = tmp_path / f"run-{name}"
    options = {"task": "humaneval", "k": 1, "allow_missing": True, "out": out, "workers": 1, **options}
    return score(samples=write(tmp_path / f"{name}.jsonl", **{key: text}), **options)


def verdicts(done: Run) -> list[str]:
    return [str(record.verdict) for record in done.records()]


def test_a_file_says_not_what_the_model_was_asked_unless_the_user_does(tmp_path: Path) -> None:
    plain = scored(tmp_path, "a")
    assert plain.header.task("humaneval").protocol == "humaneval@given"
    assert plain.header.task("humaneval").loaded_as == "humaneval@0shot"
    assert "humaneval@given" in str(plain.table())
    named = scored(tmp_path, "b", task="humaneval@bigcode")
    assert named.header.task("humaneval").protocol == "humaneval@bigcode"
    known = scored(tmp_path, "c", protocol="chat-v2", label="our model")
    assert known.header.task("humaneval").protocol == "humaneval@chat-v2"
    assert known.models == ("our model",)
    assert "1 of 164" in str(known.table())


def test_a_prompt_that_was_never_used_is_not_shown(tmp_path: Path) -> None:
    for name, protocol, shown in (("a", None, False), ("b", "humaneval@0shot", True), ("c", "my-own", False)):
        done = scored(tmp_path, name, protocol=protocol)
        texts, missing = find_problems([done], {(r.task, r.problem_id): r.prompt_sha256 for r in done.records()})
        assert [bool(text.prompt) for text in texts.values()] == [shown]
        assert missing == []


def test_given_and_a_protocol_are_compared_with_a_warning(tmp_path: Path) -> None:
    left, right = scored(tmp_path, "a"), scored(tmp_path, "b", protocol="humaneval@0shot")
    said = compare_folders(str(left.folder), str(right.folder)).text("markdown", 0.05, 5)
    assert "protocol differs: humaneval@given and humaneval@0shot" in said


@pytest.mark.parametrize(("key", "rule"), [("completion", "fence"), ("solution", "fence"), ("solution", "definitions")])
def test_a_rule_is_applied_to_whole_programs_too(tmp_path: Path, key: str, rule: str) -> None:
    assert verdicts(scored(tmp_path, "a", key=key)) == ["syntax_error"]
    assert verdicts(scored(tmp_path, "b", key=key, extract=rule)) == ["passed"]


def test_a_log_of_chat_answers_needs_a_rule(tmp_path: Path) -> None:
    log = tmp_path / "log.json"
    log.write_text(json.dumps({"eval": {}, "samples": [{"id": "HumanEval/0", "output": {"completion": CHAT}}]}))
    with pytest.raises(InputError, match=r"chat answers .*--extract definitions"):
        score(samples=log, task="humaneval", allow_missing=True, out=tmp_path / "x")
    done = score(samples=log, task="humaneval", allow_missing=True, k=1, extract="definitions", out=tmp_path / "y")
    assert verdicts(done) == ["passed"]


@pytest.mark.slow
def test_a_run_of_ones_own_is_scored_again_by_another_rule(tmp_path: Path) -> None:
    samples = write(tmp_path / "m.jsonl", completion=CHAT)
    own = run(model=f"samples:{samples}", task="humaneval", limit=1, out=tmp_path / "own", workers=1)
    assert verdicts(own) == ["syntax_error"]
    before = {path.name: path.read_bytes() for path in own.folder.iterdir()}
    assert own.header.task("humaneval").protocol == "humaneval@given"
    again = score(samples=own.folder, extract="definitions", k=1, out=tmp_path / "again")
    assert verdicts(again) == ["passed"]
    assert again.models == own.models
    assert again.header.task("humaneval").protocol == own.header.task("humaneval").protocol
    assert {path.name: path.read_bytes() for path in own.folder.iterdir()} == before
    twice = score(samples=again.folder, k=1, out=tmp_path / "twice")
    assert verdicts(twice) == ["syntax_error"]
    assert "1 of 164" in str(read_run(tmp_path / "twice").table())
    with pytest.raises(InputError, match=r"--label: .* is a run folder"):
        score(samples=own.folder, label="x", k=1, out=tmp_path / "no")
    with pytest.raises(InputError, match="give another folder"):
        score(samples=own.folder, k=1, out=own.folder)
    with pytest.raises(InputError, match=r"--task mbpp: the run in .* has humaneval"):
        score(samples=own.folder, task="mbpp", k=1, out=tmp_path / "no")


@pytest.mark.slow
def test_a_scored_file_is_scored_again(tmp_path: Path) -> None:
    for key in ("completion", "solution"):
        first = scored(tmp_path, key, key=key)
        again = score(samples=first.folder, extract="fence", k=1, out=tmp_path / f"again-{key}")
        assert verdicts(again) == ["passed"]
        assert again.header.task("humaneval").protocol == "humaneval@given"


@pytest.mark.slow
def test_samples_come_from_standard_input(tmp_path: Path, benchmark_data: Path) -> None:
    problem = load_task("mbpp").problems()[0]
    line = json.dumps({"task_id": problem.problem_id, "completion": problem.reference})
    options = ("--task", "mbpp", "--allow-missing", "--k", "1", "--out", "x")
    done = forked.run("score", "-", *options, cwd=tmp_path, input=line)
    assert done.returncode == 0, done.stderr
    assert "| stdin | mbpp | mbpp@given | 1 of 500 | 1 |" in done.stdout


@pytest.mark.parametrize(
    ("task", "name", "sentence"),
    [
        ("mbpp", 2, "this is the part test, 11 to 510; --split all has 1 to 974"),
        ("mbpp", 975, "another version of its data"),
        ("mbpp", "11x", "another version of its data"),
        (
            "mbpp-plus",
            "Mbpp/83",
            r"this is MBPP\+ 0.2.0.*only 0.1.0 has.*score against 0.1.0 with --task mbpp-plus@evalplus\+0.1.0",
        ),
        ("mbpp-plus", 783, r"Mbpp/783 is one of the 21 that only 0.1.0 has"),
        ("mbpp-plus", "Mbpp/1", r"neither 0.1.0 nor 0.2.0 has this one: is it of MBPP \(--task mbpp\)"),
        ("humaneval", "HumanEval/164", "another version of its data"),
    ],
)
def test_a_problem_of_another_part_or_version_says_which_has_it(
    task: str, name: object, sentence: str, tmp_path: Path, benchmark_data: Path
) -> None:
    samples = tmp_path / "s.jsonl"
    samples.write_text(json.dumps({"task_id": name, "completion": "x"}))
    with pytest.raises(InputError, match=sentence):
        score(samples=samples, task=task, allow_missing=True, out=tmp_path / "x")
