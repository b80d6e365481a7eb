"""A problem whose reference is known to fail with this Python is reported; any other failing reference ends the benchmark."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mtp_eval.harness.errors import MtpEvalError
from mtp_eval.harness.evaluation.plan import LoadedTask
from mtp_eval.harness.evaluation.references import check_references
from mtp_eval.harness.evaluation.task_check import check_task
from mtp_eval.sandbox import Pool
from mtp_eval.tasks.catalogue import TASKS
from mtp_eval.tasks.known_issues import KNOWN_ISSUES, KnownIssue, known_issues
from mtp_eval.tasks.registry import load_task
from tests.tasks.roman_task import RomanTask


class BrokenRoman(RomanTask):
    """The first reference is wrong."""

    def problems(self):
        first, *others = super().problems()
        return [replace(first, reference="    return 0\n"), *others]


def loaded() -> LoadedTask:
    task = BrokenRoman("roman")
    return LoadedTask("roman", task, tuple(task.problems()))


def test_a_failing_reference_ends_the_benchmark():
    with Pool(workers=1) as pool, pytest.raises(MtpEvalError, match="1 of 2 reference solutions of roman@0shot"):
        check_references([loaded()], pool)


def test_one_that_is_known_to_fail_with_this_python_is_reported(monkeypatch, capsys):
    issue = KnownIssue("sums differ", reference_fails_from=(3, 0))
    monkeypatch.setitem(KNOWN_ISSUES, "roman", {"roman/value_of": issue})
    with Pool(workers=1) as pool:
        check_references([loaded()], pool)
        said = capsys.readouterr().err
        assert "roman@0shot: the reference of roman/value_of: failed" in said
        assert "(known: sums differ)" in said
        found = {finding.check: finding for finding in check_task(BrokenRoman("roman"), pool)}
    assert found["references pass"].holds
    assert found["references pass"].seen == "1 of 2, 1 known to fail with this Python (roman/value_of)"


def test_another_python_than_the_known_one_excuses_nothing(monkeypatch):
    monkeypatch.setitem(KNOWN_ISSUES, "roman", {"roman/value_of": KnownIssue("later", (99, 0))})
    with Pool(workers=1) as pool, pytest.raises(MtpEvalError):
        check_references([loaded()], pool)


def test_the_one_known_today_begins_with_compensated_sums():
    issue = known_issues("humaneval-plus")["HumanEval/32"]
    assert [issue.fails_here(version) for version in ((3, 11), (3, 12), (3, 13))] == [False, True, True]


@pytest.mark.slow
def test_every_listed_problem_is_one(benchmark_data):
    assert set(KNOWN_ISSUES) <= {info.name for info in TASKS}
    for name in KNOWN_ISSUES:
        assert set(known_issues(name)) <= {problem.problem_id for problem in load_task(name).problems()}
