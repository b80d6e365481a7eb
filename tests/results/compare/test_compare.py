"""Comparing runs: real verdicts of three models re-derived by other means, and what is refused."""

from __future__ import annotations

import gzip
import json
import math
from collections import defaultdict
from collections.abc import Callable, Mapping
from fractions import Fraction
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from mtp_eval.harness.cli import app
from mtp_eval.results.compare.comparison import compare_runs
from mtp_eval.results.errors import NotComparable, RegressionFound
from mtp_eval.results.run import Run, read_run
from mtp_eval.results.store import RunStore
from tests.command_line import exit_code_of

MakeRun = Callable[..., Path]
runner = CliRunner()


@pytest.fixture(scope="session")
def real_verdicts(shared_data: Path) -> dict[str, dict[str, list[bool]]]:
    """verdicts[model][problem]: one greedy program each of three models on MBPP."""
    verdicts: dict[str, dict[str, list[bool]]] = defaultdict(dict)
    with gzip.open(shared_data / "verdicts" / "mbpp-ldb-seed.jsonl.gz", "rt") as file:
        for line in file:
            row = json.loads(line)
            verdicts[row["source"].split("/seed/")[1].split("/")[0]][f"mbpp/{row['task_id']}"] = [row["passed"]]
    return dict(verdicts)


@pytest.fixture(scope="session")
def real_run(
    real_verdicts: Mapping[str, Mapping[str, list[bool]]],
    write_run: Callable[..., Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    return write_run(tmp_path_factory.mktemp("real") / "run", real_verdicts, task="mbpp")


def load(folder: Path) -> Run:
    return read_run(folder)


@pytest.mark.slow
def test_three_real_models_pairwise(real_run: Path, real_verdicts: Mapping[str, Mapping[str, list[bool]]]) -> None:
    assert len(real_verdicts) == 3
    first, *others = real_verdicts
    result = runner.invoke(app, ["compare", str(real_run), "--format", "json"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert [c["candidate_model"] for c in found] == others
    frame = pd.DataFrame({model: {p: s[0] for p, s in by.items()} for model, by in real_verdicts.items()})
    p_values = []
    for c in found:
        a, b = frame[first].astype(int), frame[c["candidate_model"]].astype(int)
        gains, losses = sorted(frame.index[b > a]), sorted(frame.index[b < a])
        assert c["n_problems"] == len(frame) == 500
        assert c["baseline"] == pytest.approx(a.mean(), abs=1e-12)
        assert c["difference"] == pytest.approx(b.mean() - a.mean(), abs=1e-12)
        assert sorted(flip["problem_id"] for flip in c["wins"]) == gains
        assert sorted(flip["problem_id"] for flip in c["losses"]) == losses
        assert c["n_ties"] == 500 - len(gains) - len(losses)
        discordant, smaller = len(gains) + len(losses), min(len(gains), len(losses))
        tail = Fraction(sum(math.comb(discordant, i) for i in range(smaller + 1)), 2**discordant)
        p_values.append(float(min(Fraction(1), 2 * tail)))
        assert c["p"] == pytest.approx(p_values[-1], rel=1e-9)
        # Another generator and plain indexing; 5 standard errors of a 2.5 % quantile of 10,000 draws are 0.11 sd.
        drawn = np.random.default_rng(99).integers(500, size=(10_000, 500))
        means = (b - a).to_numpy()[drawn].mean(axis=1)
        low, high = np.quantile(means, [0.025, 0.975])
        assert c["interval"] == pytest.approx([low, high], abs=0.11 * means.std())
    smallest = min(range(2), key=p_values.__getitem__)
    adjusted = [0.0, 0.0]
    adjusted[smallest] = min(1.0, 2 * p_values[smallest])
    adjusted[1 - smallest] = max(adjusted[smallest], p_values[1 - smallest])
    assert [c["p_holm"] for c in found] == pytest.approx(adjusted)


@pytest.mark.slow
def test_every_pair_of_real_models_by_name(
    real_run: Path, real_verdicts: Mapping[str, Mapping[str, list[bool]]]
) -> None:
    for a, b in combinations(real_verdicts, 2):
        arguments = [f"{real_run}::{a}", f"{real_run}::{b}"]
        forward, backward = (
            json.loads(runner.invoke(app, ["compare", *order, "--format", "json"]).stdout)[0]
            for order in (arguments, arguments[::-1])
        )
        assert forward["difference"] == pytest.approx(-backward["difference"])
        assert forward["p"] == pytest.approx(backward["p"])
        assert forward["wins"][0]["problem_id"] in {flip["problem_id"] for flip in backward["losses"]}


def test_a_significant_regression_is_exit_code_3_and_names_the_problems(make_run: MakeRun, tmp_path: Path) -> None:
    good = {f"toy/{p}": [p % 4 != 0] for p in range(100)}
    bad = {problem: [ok and int(problem[4:]) % 10 != 1] for problem, (ok,) in good.items()}
    make_run("base", {"m": good})
    make_run("cand", {"m": bad})
    arguments = ["compare", str(tmp_path / "base"), str(tmp_path / "cand"), "--fail-on-regression"]
    result = runner.invoke(app, arguments)
    assert isinstance(result.exception, RegressionFound)
    assert exit_code_of(result) == 3
    assert "toy/1, toy/11" in str(result.exception)
    assert "cand/m is worse than base/m on toy by 10.0 points" in str(result.exception)
    assert runner.invoke(app, [*arguments, "--tolerance", "12"]).exit_code == 0
    assert runner.invoke(app, [*arguments[:1], *arguments[2:0:-1], "--fail-on-regression"]).exit_code == 0
    twin = str(make_run("twin", {"m": good}))
    assert "score the same on toy" in runner.invoke(app, [*arguments[:2], twin]).stdout


def test_a_run_is_not_compared_with_itself(make_run: MakeRun, tmp_path: Path) -> None:
    """A gate that was given one run twice would always be green."""
    run = make_run("base", {"m": {"toy/1": [True]}, "n": {"toy/1": [False]}})
    (tmp_path / "link").symlink_to(run)
    for other in (run, tmp_path / "link", tmp_path / "." / "base"):
        assert exit_code_of(runner.invoke(app, ["compare", f"{run}::m", f"{other}::m", "--fail-on-regression"])) == 2
    assert runner.invoke(app, ["compare", f"{run}::m", f"{run}::n"]).exit_code == 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"protocol": "p@2"}, r"protocol: p@1 in the baseline, p@2 in the candidate"),
        ({"data_sha256": "f" * 64}, r"data hash: .* in the baseline, ffff"),
    ],
)
def test_other_protocol_or_data_is_refused(make_run: MakeRun, change: dict[str, Any], said: str) -> None:
    base = load(make_run("base", {"m": {"toy/1": [True]}}))
    other = load(make_run("other", {"m": {"toy/1": [True]}}, task_facts=change))
    with pytest.raises(NotComparable, match=said):
        compare_runs(base, other, [1])


def test_other_problems_are_refused_unless_the_common_ones_are_asked_for(make_run: MakeRun) -> None:
    base = load(make_run("base", {"m": {"toy/1": [True], "toy/2": [False]}}))
    other = load(make_run("other", {"m": {"toy/2": [True], "toy/3": [True], "toy/4": [True]}}))
    with pytest.raises(NotComparable, match=r"1 only in the baseline \(toy/1\) and 2 only in the candidate"):
        compare_runs(base, other, [1])
    (comparison,) = compare_runs(base, other, [1], on_common_problems=True)
    assert comparison.n_problems == 1
    assert comparison.difference == 1.0


def test_unclear_models_are_asked_for(make_run: MakeRun, tmp_path: Path) -> None:
    make_run("one", {"a": {"toy/1": [True]}, "b": {"toy/1": [True]}})
    make_run("two", {"c": {"toy/1": [True]}, "d": {"toy/1": [True]}})
    result = runner.invoke(app, ["compare", str(tmp_path / "one"), str(tmp_path / "two")])
    assert exit_code_of(result) == 2
    assert "FOLDER::MODEL" in str(result.exception)
    result = runner.invoke(app, ["compare", f"{tmp_path / 'one'}::z", str(tmp_path / "two")])
    assert "no model 'z'" in str(result.exception)


def test_other_temperature_is_compared_and_stated(make_run: MakeRun) -> None:
    base = load(make_run("base", {"m": {"toy/1": [True, False]}}, temperature=0.2))
    other = load(make_run("other", {"m": {"toy/1": [True, True]}}, temperature=0.8))
    (comparison,) = compare_runs(base, other, [1])
    assert any("temperature differs: 0.2 and 0.8" in note for note in comparison.notes)


def test_equal_shares_of_unequal_samples_are_ties(make_run: MakeRun) -> None:
    base = load(make_run("base", {"m": {"toy/1": [True] * 3 + [False] * 7}}, temperature=0.2))
    other = load(make_run("other", {"m": {"toy/1": [True] * 6 + [False] * 14}}, temperature=0.2))
    (comparison,) = compare_runs(base, other, [1])
    assert (len(comparison.wins), len(comparison.losses), comparison.n_ties) == (0, 0, 1)


def test_sweeps_are_compared_temperature_by_temperature(
    tmp_path: Path, new_header: Callable[..., Any], new_record: Callable[..., Any]
) -> None:
    runs = []
    for name, heats in (("base", [0.2, 0.8]), ("other", [0.2, 0.5])):
        header = new_header(["m"], {"t": {"n_problems": 1}}, temperature=heats)
        records = [new_record("m", "t", "t/1", i, temperature=heat) for i, heat in enumerate(heats)]
        with RunStore.open(tmp_path / name, header) as store:
            store.append(records)
        runs.append(load(tmp_path / name))
    base, other = runs
    (comparison,) = compare_runs(base, other, [1])
    assert comparison.where == "t at T=0.2"


@pytest.mark.slow
def test_power_says_what_more_samples_buy(make_run: MakeRun, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    p = rng.beta(0.5, 0.5, 300)
    run = {m: {f"toy/{i}": list(rng.random(20) < x) for i, x in enumerate(p)} for m in ("a", "b")}
    make_run("run", run, temperature=0.2)
    result = runner.invoke(app, ["compare", f"{tmp_path / 'run'}::a", f"{tmp_path / 'run'}::b", "--power"])
    assert result.exit_code == 0, result.output
    cells = result.stdout.splitlines()[2].strip("| ").split(" | ")
    # Equal chances: only sampling noise is left, sd = sqrt(2 E[p(1-p)] / n), and E[p(1-p)] = 1/8 for Beta(1/2, 1/2).
    for text, n in zip(cells[2:], (1, 10, 50, 200), strict=True):
        expected = 100 * (1.96 + 0.8416) * math.sqrt(2 * 0.125 / n / 300)
        assert float(text) == pytest.approx(expected, rel=0.25)
    assert runner.invoke(app, ["compare", "--power", "--problems", "500"]).exit_code == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--k", "2"], "undefined"),
        (["--k", "1", "--alpha", "0.001"], "8 problems of toy cannot show a loss"),
        (["--k", "1", "--tolerance", "inf"], "--tolerance"),
        (["--k", "1", "--pool-seeds", "--alpha", "nan"], "--alpha"),
    ],
)
def test_no_gate_is_green_that_could_not_have_been_red(make_run: MakeRun, options: list[str], said: str) -> None:
    good, bad = ({"n1": {f"toy/{p}": [passed] for p in range(8)}} for passed in (True, False))
    folders = [str(make_run(name, verdicts)) for name, verdicts in (("a", good), ("b", bad))]
    result = runner.invoke(app, ["compare", *folders, *options, "--fail-on-regression"])
    assert exit_code_of(result) == 2, result.output
    assert said in f"{result.exception}"
    plain = runner.invoke(app, ["compare", *folders, "--k", "1", "--fail-on-regression"])
    assert exit_code_of(plain) == 3, "eight problems of eight lost are seen at 0.05"


@pytest.mark.slow
def test_of_204_comparisons_with_every_task_collapsed_all_are_significant(
    tmp_path: Path, new_header: Callable[..., dict[str, Any]], new_record: Callable[..., Any]
) -> None:
    """68 tasks, three models against the first: two samples of each problem, half of what the first solves is lost."""
    tasks = [f"task{t}" for t in range(68)]
    models = ["n1", "n2", "n4", "n8"]
    header = new_header(models, {task: {"n_problems": 40} for task in tasks}, 2, temperature=0.8)
    with RunStore.open(tmp_path / "run", header) as store:
        for task in tasks:
            store.append(
                [
                    new_record(model, task, f"{task}/{p}", s, "passed" if model == "n1" or (p + s) % 2 else "failed")
                    for model in models for p in range(40) for s in range(2)
                ]
            )  # fmt: skip
    command = ["compare", str(tmp_path / "run"), "--alpha", "0.01", "--format", "json"]
    result = runner.invoke(app, command)
    rows = json.loads(result.stdout)
    found = rows["comparisons"] if isinstance(rows, dict) else rows
    assert len(found) == 204
    # each of 40 problems lost 1 of 2 samples: the chance of one sign is 2 / 2^40, corrected 204 times
    assert max(row["p_holm"] for row in found) == pytest.approx(204 * 2.0**-39, rel=1e-9)
    gate = runner.invoke(app, [*command, "--fail-on-regression"])
    assert exit_code_of(gate) == 3
    message = str(gate.exception)
    assert message.endswith("199 more comparisons are significantly worse.")
    assert message.count("is worse than") == 5
