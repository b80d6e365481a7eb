"""Programs of the execution tasks, through the sandbox: references pass, and so does what only looks different."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from mtp_eval.sandbox.by_reference import ByReference
from mtp_eval.sandbox.pool import Pool
from mtp_eval.sandbox.program import Program
from mtp_eval.tasks.humaneval import helpers_of
from mtp_eval.tasks.registry import load_task

CHEAT = """
class Equal:
    def __eq__(self, other): return True
    def __ne__(self, other): return False
def {name}(*args):
    return Equal()
"""


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    with Pool(workers=2, timeout_seconds=10.0) as opened:
        yield opened


def by_id(task):
    return {problem.problem_id: problem for problem in task.problems()}


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


# --- HumanEval+ and MBPP+ ---

PLUS = [
    "HumanEval/32",  # any root is right
    "HumanEval/4",  # within a tolerance
    "Mbpp/2",  # tuples in, compared as sets
    "Mbpp/124",  # a complex number
    "Mbpp/252",
    "Mbpp/581",  # two right answers
    "Mbpp/737",  # not None
    "Mbpp/255",  # some inputs left out
]


@pytest.fixture(scope="module")
def plus_cache(tmp_path_factory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("cache")
    before = os.environ.get("MTP_EVAL_CACHE")
    os.environ["MTP_EVAL_CACHE"] = str(folder)
    yield folder
    os.environ.pop("MTP_EVAL_CACHE")
    if before:
        os.environ["MTP_EVAL_CACHE"] = before


def plus_problem(problem_id):
    task = load_task("humaneval-plus" if problem_id.startswith("Human") else "mbpp-plus")
    return task, by_id(task)[problem_id]


@pytest.mark.slow
@pytest.mark.parametrize("problem_id", PLUS)
def test_plus_references_pass_and_cheats_do_not(benchmark_data, plus_cache, pool, problem_id):
    """Each has a special oracle, a special type of argument, or huge answers."""
    task, problem = plus_problem(problem_id)
    none = f"def {problem.entry_point}(*args):\n    return None\n"
    decided = ByReference(pool)
    (reference,) = decided.judge_references([task.judge(problem, problem.reference)])
    assert reference.passed
    assert not reference.same_interpreter
    cheats = [task.judge_program(problem, none), task.judge_program(problem, CHEAT.format(name=problem.entry_point))]
    assert [outcome.passed for outcome in decided.run(cheats)] == [False, False]


@pytest.mark.slow
def test_a_table_of_base_answers_passes_base_and_fails_plus(benchmark_data, plus_cache, pool):
    """Inputs and answers of HumanEval/0 are written out by hand here: the published check's."""
    table = [
        ([1.0, 2.0, 3.9, 4.0, 5.0, 2.2], 0.3, True),
        ([1.0, 2.0, 3.9, 4.0, 5.0, 2.2], 0.05, False),
        ([1.0, 2.0, 5.9, 4.0, 5.0], 0.95, True),
        ([1.0, 2.0, 5.9, 4.0, 5.0], 0.8, False),
        ([1.0, 2.0, 3.0, 4.0, 5.0, 2.0], 0.1, True),
        ([1.1, 2.2, 3.1, 4.1, 5.1], 1.0, True),
        ([1.1, 2.2, 3.1, 4.1, 5.1], 0.5, False),
    ]
    cheat = f"TABLE = {table!r}\ndef has_close_elements(a, b):\n    return next((r for x, y, r in TABLE if (x, y) == (a, b)), None)\n"
    plus, base = load_task("humaneval-plus"), load_task("humaneval-plus@evalplus-base")
    on_plus, on_base = pool.run([task.judge_program(task.problems()[0], cheat) for task in (plus, base)])
    assert on_base.passed
    assert not on_plus.passed
    assert "plus input" in on_plus.error


def test_expected_outputs_are_cached_by_data_hash(benchmark_data, plus_cache):
    task, problem = plus_problem("Mbpp/2")
    first = task.judge(problem, problem.reference).tests
    files = list(plus_cache.rglob("Mbpp_2.json"))
    assert len(files) == 1
    assert task.data_sha256[:16] in str(files[0])
    assert load_task("mbpp-plus").judge(problem, problem.reference).tests == first


@pytest.mark.slow
@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: "",
        lambda text: "[]",
        lambda text: text.replace('"outputs": "{', '"outputs": "{ ', 1),
        lambda text: text.replace('"sha256": "', '"sha256": "0', 1),
    ],
    ids=["cut short", "empty", "no object", "a changed output", "a changed hash"],
)
def test_a_damaged_cache_entry_is_computed_anew(benchmark_data, plus_cache, damage):
    task, problem = plus_problem("Mbpp/2")
    wanted = task.judge(problem, problem.reference).tests
    (file,) = plus_cache.rglob("Mbpp_2.json")
    whole = file.read_text()
    file.write_text(damage(whole))
    assert load_task("mbpp-plus").judge(problem, problem.reference).tests == wanted
    assert json.loads(file.read_text())["outputs"] == json.loads(whole)["outputs"]


def test_what_is_not_in_the_cache_is_prepared_once(benchmark_data, plus_cache):
    task = load_task("mbpp-plus")
    two = [by_id(task)["Mbpp/3"], by_id(task)["Mbpp/4"]]
    assert list(task.unprepared(two)) == two
    task.prepare(two[0])
    assert list(load_task("mbpp-plus").unprepared(two)) == two[1:]


# --- APPS ---

APPS = {
    # id: (right, wrong)
    "apps/4724": (
        "def drop_cap(s):\n    return ' '.join(w[0].upper() + w[1:].lower() if len(w) > 2 else w for w in s.split(' '))",
        "def drop_cap(s):\n    return s.title()",
    ),
    "apps/2798": (
        "def to_alternating_case(s):\n    return s.swapcase()",
        "def to_alternating_case(s):\n    return s.upper()",
    ),
    "apps/2771": (
        "def hofstadter_Q(n):\n    q = [0, 1, 1]\n    while len(q) <= n:\n"
        "        q.append(q[len(q) - q[-1]] + q[len(q) - q[-2]])\n    return q[n]",
        "def hofstadter_Q(n):\n    return n",
    ),
    "apps/4440": (
        "def validate_pin(pin):\n    return len(pin) in (4, 6) and all(c in '0123456789' for c in pin)",
        "def validate_pin(pin):\n    return str(pin).isdigit()",
    ),
    "apps/3978": (
        "def check_for_factor(base, factor):\n    return base % factor == 0",
        "def check_for_factor(base, factor):\n    return True",
    ),
}


@pytest.mark.parametrize("problem_id", list(APPS))
@pytest.mark.parametrize("protocol", ["0shot", "0shot-stdin"])
def test_apps_right_passes_and_wrong_fails_by_call_and_by_standard_input(benchmark_data, pool, problem_id, protocol):
    task = load_task(f"apps-intro@{protocol}")
    problem = by_id(task)[problem_id]
    solutions = list(APPS[problem_id])
    if protocol == "0shot-stdin":
        name = solutions[0].split("(")[0].removeprefix("def ")
        numeric = problem_id in ("apps/2771", "apps/3978")
        read = (
            "[eval(line) for line in sys.stdin.read().split(chr(10))]" if numeric else "sys.stdin.read().split(chr(10))"
        )
        solutions = [f"import sys\n{text}\nprint({name}(*{read}))" for text in solutions]
    right, wrong = pool.run([task.judge(problem, text) for text in solutions])
    assert right.passed, right
    assert not wrong.passed


def test_apps_takes_a_class_named_solution(benchmark_data, pool):
    task = load_task("apps-intro")
    problem = by_id(task)["apps/2798"]
    text = "class Solution:\n    def to_alternating_case(self, s):\n        return s.swapcase()\n"
    (outcome,) = pool.run([task.judge(problem, text)])
    assert outcome.passed


def test_the_stdin_judge_runs_on_all_introductory_problems(benchmark_data, pool):
    """Echoing the input is right nowhere, and every verdict is about the program."""
    task = load_task("apps-intro@0shot-stdin")
    programs = [task.judge(problem, "print(input())") for problem in task.problems()]
    verdicts = [str(outcome.verdict) for outcome in pool.run(programs)]
    assert len(verdicts) == 49
    assert set(verdicts) <= {"failed", "error"}


def test_apps_allows_the_tolerance_that_the_problem_states(benchmark_data, pool):
    """apps/2162: all numbers correct up to 10^-6."""
    task = load_task("apps-competition")
    problem = by_id(task)["apps/2162"]
    case, expected = task.judge(problem, "").stdin_cases[0]
    numbers = [float(word) for word in expected.split()]
    texts = ["".join(f"print({number + off!r})\n" for number in numbers) for off in (0, 5e-7, 5e-6)]
    rule = task.judge(problem, "").output_rule
    programs = [Program("apps/2162", text, stdin_cases=((case, expected),), output_rule=rule) for text in texts]
    assert [outcome.passed for outcome in pool.run(programs)] == [True, True, False]
    strict = by_id(task)["apps/2010"]
    assert task.judge(strict, "").output_rule.tolerance == 0


def test_apps_counts_no_problem_twice(benchmark_data):
    ids = [p.problem_id for name in ("intro", "interview", "competition") for p in load_task(f"apps-{name}").problems()]
    assert len(ids) == len(set(ids)) == 128
    assert not any("#" in name for name in ids)


# --- code-contests: the loader on a small file of the published schema ---


def test_code_contests_runs_on_a_local_file_of_the_published_schema(tmp_path, pool):
    row = {
        "name": "1_A. Sum",
        "description": "Add two numbers.",
        "public_tests": {"input": ["1 2\n"], "output": ["3\n"]},
        "private_tests": {"input": ["5 5\n"], "output": ["10\n"]},
        "generated_tests": {"input": [], "output": []},
        "solutions": {"language": [2, 3], "solution": ["int main(){}", "print(sum(map(int, input().split())))"]},
    }
    (tmp_path / "code-contests.jsonl").write_text(json.dumps(row) + "\n")
    task = load_task("code-contests", data_dir=tmp_path)
    (problem,) = task.problems()
    right, wrong = pool.run([task.judge(problem, problem.reference), task.judge(problem, "print(3)")])
    assert right.passed
    assert not wrong.passed


@pytest.mark.slow
def test_no_problems_function_has_a_name_of_its_judge(benchmark_data):
    """Such a name would be the judge's own function, and every program would pass or fail alike."""
    from mtp_eval.tasks import apps_oracle, plus_oracle
    from mtp_eval.tasks.base import refuse_taken_name

    for name, oracle in (("humaneval-plus", plus_oracle), ("mbpp-plus", plus_oracle), ("apps-intro", apps_oracle)):
        for problem in load_task(name).problems():
            refuse_taken_name(problem.entry_point or "", oracle)
    with pytest.raises(ValueError, match="rename"):
        refuse_taken_name("decode", plus_oracle)


@pytest.mark.parametrize("stub", ["def f(x):\n", "async def f(x):\n", "class f:\n"])
def test_what_is_asked_for_is_never_a_trusted_helper(stub):
    assert helpers_of(f"import math\n\n\ndef half(x):\n    return x / 2\n\n\n{stub}", "f") == (
        "import math\n\ndef half(x):\n    return x / 2"
    )
