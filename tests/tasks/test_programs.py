"""Programs of HumanEval and MBPP, through the sandbox: references pass, and so does what only looks different."""

from __future__ import annotations

import pytest

from mtp_eval.sandbox.by_reference import ByReference
from mtp_eval.sandbox.program import Program
from mtp_eval.tasks.humaneval import helpers_of
from mtp_eval.tasks.registry import load_task
from tests.tasks.loading import by_id


def test_mbpp_tests_that_build_the_programs_own_objects_run_outside_its_interpreter(benchmark_data, pool):
    """367, 601 and 927 build instances of classes that the reference defines; they are built through proxies."""
    task = load_task("mbpp", split="all")
    problems = by_id(task)
    programs = [task.judge(problems[f"mbpp/{i}"], problems[f"mbpp/{i}"].reference) for i in (367, 601, 927, 11, 126)]
    outcomes = list(ByReference(pool).judge_references(one for one in programs if isinstance(one, Program)))
    assert [outcome.passed for outcome in outcomes] == [True] * 5
    assert not any(outcome.same_interpreter for outcome in outcomes)


def test_mbpp_setup_code_comes_before_the_asserts(benchmark_data):
    task = load_task("mbpp", split="all")
    tests = task.judge(by_id(task)["mbpp/367"], "").tests
    assert tests.index("root = Node(1)") < tests.index("assert is_tree_balanced(root)")
    assert "\r" not in tests


def test_mbpps_challenge_tests_are_an_option(benchmark_data, pool):
    task, plain = load_task("mbpp@3shot-austin+test-challenge"), load_task("mbpp")
    assert task.protocol == "mbpp@3shot-austin+test-challenge"
    assert [p.prompt for p in task.problems()] == [p.prompt for p in plain.problems()]
    longer = [p for p in task.problems() if task.judge(p, "").tests != plain.judge(p, "").tests]
    assert task.judge(by_id(task)["mbpp/11"], "").tests.count("assert") == 5
    outcomes = list(pool.run(task.judge_reference(p) for p in longer))
    assert [p.problem_id for p, o in zip(longer, outcomes, strict=True) if not o.passed] == []
    with pytest.raises(ValueError, match="mbpp-sanitized has no split"):
        load_task("mbpp-sanitized@3shot-austin+test-challenge")


@pytest.mark.parametrize("protocol", ["0shot", "bigcode"])
def test_humaneval_helpers_are_trusted_copies(pool, protocol):
    """A completion may redefine `poly`; the tests go on using the benchmark's own."""
    task = load_task(f"humaneval@{protocol}")
    problem = by_id(task)["HumanEval/32"]
    forged = "    return 0.0\n\ndef poly(xs, x):\n    return 0.0\n"
    right, wrong = pool.run([task.judge(problem, problem.reference), task.judge(problem, "\n" + forged)])
    assert right.passed
    assert not wrong.passed


def test_a_problem_file_with_a_broken_line_names_file_and_line(tmp_path):
    file = tmp_path / "mine.jsonl"
    file.write_text('{"task_id": "a", "prompt": "", "entry_point": "f", "test": ""}\n{"task_id": \n')
    with pytest.raises(ValueError, match=r"mine\.jsonl, line 2: not JSON"):
        load_task("humaneval", problem_file=file)


@pytest.mark.parametrize("stub", ["def f(x):\n", "async def f(x):\n", "class f:\n"])
def test_what_is_asked_for_is_never_a_trusted_helper(stub):
    assert helpers_of(f"import math\n\n\ndef half(x):\n    return x / 2\n\n\n{stub}", "f") == (
        "import math\n\ndef half(x):\n    return x / 2"
    )
