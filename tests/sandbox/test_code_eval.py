"""The drop-in for `evaluate`'s code_eval, against the values its documentation gives and a count of subsets."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import pytest

from mtp_eval.sandbox import code_eval

CANDIDATES = [["def add(a,b): return a*b", "def add(a, b): return a+b", "def add(a, b):\n    while True: pass"]]
TESTS = ["assert add(2,3)==5"]


@pytest.mark.slow
def test_return_value_has_the_documented_form() -> None:
    pass_at_k, results = code_eval.compute(CANDIDATES, TESTS, k=[1, 2, 10], num_workers=2, timeout=0.5)
    assert pass_at_k == {"pass@1": pytest.approx(1 / 3, abs=1e-12), "pass@2": pytest.approx(2 / 3, abs=1e-12)}
    assert [(number, row["completion_id"], row["task_id"]) for number, row in results[0]] == [
        (n, n, 0) for n in range(3)
    ]
    assert [row["result"] for _, row in results[0]] == ["failed: ", "passed", "timed out"]
    assert [row["passed"] for _, row in results[0]] == [False, True, False]


def test_pass_at_k_is_the_mean_of_counting_every_subset() -> None:
    right, wrong = "def add(a, b): return a+b", "def add(a, b): return a*b"
    predictions = [[right] * c + [wrong] * (7 - c) for c in (0, 1, 4, 6, 7)]
    pass_at_k, _ = code_eval.compute(predictions, TESTS * 5, k=[3], num_workers=2)
    subsets = [[any(n < c for n in chosen) for chosen in combinations(range(7), 3)] for c in (0, 1, 4, 6, 7)]
    expected = sum(sum(subset) / len(subset) for subset in subsets) / 5
    assert pass_at_k == {"pass@3": pytest.approx(expected, abs=1e-12)}


def test_tests_that_pass_functions_are_judged_all_the_same() -> None:
    with pytest.warns(UserWarning, match="1 of 1 problems run in the candidates' own interpreter"):
        pass_at_k, _ = code_eval.compute([["def f(g): return g(1)"]], ["assert f(lambda n: n + 1) == 2"], num_workers=1)
    assert pass_at_k == {"pass@1": 1.0}


@pytest.mark.slow
def test_loads_through_evaluate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    evaluate = pytest.importorskip("evaluate")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    metric = evaluate.load(code_eval.__file__, cache_dir=str(tmp_path))
    pass_at_k, results = metric.compute(predictions=CANDIDATES[:1], references=TESTS, k=[1], num_workers=1, timeout=0.5)
    assert pass_at_k["pass@1"] == pytest.approx(1 / 3)
    assert len(results[0]) == 3
