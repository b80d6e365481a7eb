"""Programs of HumanEval+ and MBPP+, through the sandbox, and the cache of their expected outputs."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from mtp_eval.sandbox.by_reference import ByReference
from mtp_eval.tasks.known_issues import known_issues
from mtp_eval.tasks.registry import load_task
from tests.tasks.loading import by_id

CHEAT = """
class Equal:
    def __eq__(self, other): return True
    def __ne__(self, other): return False
def {name}(*args):
    return Equal()
"""

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
    issue = known_issues(task.name).get(problem_id)
    fails_here = issue is not None and issue.fails_here()
    assert reference.passed is not fails_here, reference
    assert not reference.same_interpreter or fails_here
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
