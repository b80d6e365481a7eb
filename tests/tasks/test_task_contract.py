"""The contract of every task, ours and a newcomer's; a task of the catalogue is tried as soon as it is listed there."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import json
from importlib import metadata
from itertools import islice
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mtp_eval.harness.cli import app
from mtp_eval.harness.evaluation.judging import judge_all
from mtp_eval.harness.evaluation.task_check import check_task
from mtp_eval.sandbox import Pool
from mtp_eval.tasks import registry
from mtp_eval.tasks.catalogue import SOURCES, TASKS, TaskInfo
from mtp_eval.tasks.errors import TaskOptionError, UnknownProtocolError, UnknownRuleError
from mtp_eval.tasks.problem import Judgement, Problem, Program, Task
from tests.tasks.roman_task import RomanTask

INFOS = {info.name: info for info in TASKS}
N_TRIED = 3
QUESTION = {"prompt": "Water is", "choices": [" dry.", " wet."], "answer": 1}
CONTEST = {
    "name": "sum",
    "description": "Add two numbers.",
    "public_tests": {"input": ["1 2\n", "3 4\n"], "output": ["3\n", "7\n"]},
    "solutions": {"language": [3], "solution": ["print(sum(map(int, input().split())))"]},
}
DATED = {
    "question_id": "1",
    "question_content": "Add two numbers.",
    "platform": "atcoder",
    "contest_date": "2024-01-01T00:00:00",
    "starter_code": "",
    "difficulty": "easy",
    "public_test_cases": '[{"input": "1 2", "output": "3", "testtype": "stdin"}]',
    "private_test_cases": "[]",
    "metadata": "{}",
}
TESTED = {
    "task_id": "BigCodeBench/0",
    "complete_prompt": 'def task_func(x):\n    """Twice x."""\n',
    "instruct_prompt": "Twice x.",
    "code_prompt": "def task_func(x):\n",
    "canonical_solution": "    return 2 * x\n",
    "test": "import unittest\nclass TestCases(unittest.TestCase):\n    def test_it(self): self.assertEqual(task_func(2), 4)\n",
    "entry_point": "task_func",
}
REWORDED = {
    "name": "HumanEval_0",
    "prompt": 'def f(x: int) -> int:\n    """Twice x."""\n',
    "tests": "def check(candidate):\n    assert candidate(2) == 4\n\ncheck(f)\n",
    "stop_tokens": ["\ndef"],
}
STAND_INS = {
    "code-contests": CONTEST,
    "livecodebench": DATED,
    "bigcodebench": TESTED,
    "multipl-e-humaneval-py": REWORDED,
    "multipl-e-mbpp-py": REWORDED,
}


@pytest.fixture(scope="module")
def stand_ins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with rows of our own for what only the hub has."""
    folder = tmp_path_factory.mktemp("stand-ins")
    for info in TASKS:
        if info.file is not None:
            (folder / info.file).write_text(json.dumps(STAND_INS.get(info.name, QUESTION)) + "\n")
    return folder


@functools.cache
def loaded(name: str, stand_ins: Path) -> Task:
    """A task of the catalogue, made once for all tests: the larger ones take seconds."""
    is_here = registry.here(INFOS[name]) in ("here", "generated")
    return registry.load_task(name) if is_here else registry.load_task(name, data_dir=stand_ins)


@pytest.fixture(params=["roman", *(info.name for info in TASKS)])
def task(request: pytest.FixtureRequest, benchmark_data: Path, stand_ins: Path) -> Task:
    """A stranger's task, and every task of the catalogue."""
    return RomanTask("roman") if request.param == "roman" else loaded(request.param, stand_ins)


def tried(task: Task) -> list[Problem]:
    """The first problems and the last."""
    problems = list(task.problems())
    return [*problems[:N_TRIED], problems[-1]]


def test_it_has_a_name_a_protocol_and_a_hash(task: Task):
    assert task.protocol.startswith(f"{task.name}@")
    assert len(task.data_sha256) == 64
    assert int(task.data_sha256, 16) >= 0
    assert task.needs in ("text", "likelihood")


def test_its_problems_are_frozen_different_and_the_same_each_time(task: Task):
    problems = task.problems()
    assert problems
    assert len({problem.problem_id for problem in problems}) == len(problems)
    assert task.problems() is problems or list(task.problems()) == list(problems)
    with pytest.raises(dataclasses.FrozenInstanceError):
        problems[0].prompt = ""  # type: ignore[misc]
    assert all(problem.prompt for problem in problems)
    assert all(problem.choices for problem in problems) is (task.needs == "likelihood")


def test_the_tag_that_rows_are_split_by_is_on_every_problem(task: Task):
    if task.report_by is not None:
        assert all(task.report_by in problem.tags for problem in task.problems())


def test_judging_depends_on_nothing_but_its_arguments(task: Task):
    for problem in tried(task):
        for text in (problem.reference, "", "\x00", "\ud800", "def", problem.prompt):
            once, again = (task.judge(problem, text) for _ in range(2))
            assert once == again
            assert isinstance(once, Program | Judgement)


@pytest.mark.slow
def test_references_are_right_and_nothing_is_wrong(task: Task):
    problems = [problem for problem in tried(task) if problem.reference]
    with Pool(workers=1, timeout_seconds=10.0) as pool:
        assert all(outcome.passed for outcome in judge_all((task.judge_reference(p) for p in problems), pool))
        assert not any(outcome.passed for outcome in judge_all((task.judge(p, "") for p in tried(task)), pool))


def test_another_harnesss_text_is_the_reference_as_a_continuation_and_as_a_program(task: Task):
    for problem in tried(task):
        published = task.judge_reference(problem)
        match published:
            case Program(source=source):
                assert task.judge_given(problem, problem.reference, whole=False) == published
                assert task.judge_given(problem, source, whole=True) == published
            case Judgement() if task.needs == "text":
                assert task.judge_given(problem, problem.reference, whole=False) == published


def test_no_completion_chooses_the_tests_that_judge_it(task: Task):
    for problem in tried(task):
        match task.judge(problem, ""), task.judge(problem, "tests = prelude = ''\nassert True\n"):
            case Program() as first, Program() as second:
                assert dataclasses.replace(second, source="") == dataclasses.replace(first, source="")


def test_training_text_never_ends_and_follows_its_seed_or_is_refused_in_words(task: Task):
    if registry.here(INFOS.get(task.name, TASKS[0])) != "generated":
        with pytest.raises(TaskOptionError, match=f"task {task.name} makes no training text"):
            next(task.training_documents(1))
        return
    first, again, other = (list(islice(task.training_documents(seed), 20)) for seed in (1, 1, 2))
    assert len(first) == 20
    assert first == again
    assert first != other


def test_an_unknown_protocol_rule_or_option_is_refused_with_what_there_is(task: Task):
    if task.name == "roman":
        return
    with pytest.raises(UnknownProtocolError, match=f"{task.name}@"):
        registry.load_task(f"{task.name}@nosuch")
    with pytest.raises(UnknownRuleError, match="expected one of raw"):
        registry.load_task(task.name, extract="nosuch")
    with pytest.raises(TaskOptionError, match="takes no option nosuch"):
        registry.load_task(task.name, nosuch=1)


@pytest.mark.slow
@pytest.mark.parametrize("info", TASKS, ids=lambda info: info.name)
def test_the_catalogue_is_true(info: TaskInfo, benchmark_data: Path):
    adapter = registry.adapter_of(info.name)
    assert {"name", "protocol", "data_dir", "extract"} <= set(inspect.signature(adapter).parameters)
    assert info.file is None or info.file in SOURCES
    if registry.here(info) in ("here", "generated"):
        for protocol in info.protocols:
            if not info.name.startswith("poly") or protocol == info.protocols[-1]:  # 20,000 problems each
                assert registry.load_task(f"{info.name}@{protocol}").protocol == f"{info.name}@{protocol}"
        with pytest.raises(UnknownProtocolError) as caught:
            registry.load_task(f"{info.name}@nosuch")
        assert [said.split("@")[1] for said in str(caught.value).split("one of ")[1].split(", ")] == list(
            info.protocols
        )


def test_a_strangers_task_passes_the_self_test():
    with Pool(workers=1) as pool:
        findings = {finding.check: finding for finding in check_task(RomanTask("roman"), pool)}
    assert all(finding.holds for finding in findings.values()), findings
    assert findings["references pass"].seen == "2 of 2"
    assert {"cheat: return None", "cheat: always equal"} <= set(findings)


@pytest.mark.slow
def test_a_strangers_task_is_run_by_its_entry_point(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("MTP_EVAL_DATA", raising=False)
    plugin = metadata.EntryPoint("roman", "tests.tasks.roman_task:RomanTask", registry.PLUGIN_GROUP)
    monkeypatch.setattr(registry, "entry_points", lambda group: metadata.EntryPoints([plugin]))
    assert "roman" in registry.task_names()
    listed = CliRunner().invoke(app, ["tasks"])
    assert "roman\tof an installed plug-in" in listed.output
    checked = CliRunner().invoke(app, ["tasks", "check", "roman", "--workers", "1"])
    assert checked.exit_code == 0, checked.output
    assert "2 of 2" in checked.output
