"""Temperatures, seeds and the named table styles."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from mtp_eval.harness.cli import app
from mtp_eval.results.finish import finish
from mtp_eval.results.header import RunHeader
from mtp_eval.results.record import Record
from mtp_eval.results.scores.cells import count_cells
from mtp_eval.results.scores.temperature import cross_validated, read_temperatures
from mtp_eval.results.store import RunStore
from tests.command_line import exit_code_of

MakeRun = Callable[..., Path]
runner = CliRunner()


def invoke(*arguments: object) -> str:
    result = runner.invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, f"{result.output} {result.exception}"
    return result.stdout


def samples(rng: np.random.Generator, p: np.ndarray, n: int) -> dict[str, list[bool]]:
    return {f"toy/{i}": [bool(x) for x in rng.random(n) < chance] for i, chance in enumerate(p)}


def test_oracle_is_too_high_and_cross_validation_is_not() -> None:
    """Six equally good temperatures, 300 simulated benchmarks: the mean's standard error is 0.1 points."""
    rng = np.random.default_rng(0)
    oracle, honest, truth = [], [], []
    for _ in range(300):
        p = rng.beta(0.5, 0.5, 100)
        values_TP = rng.binomial(4, p, size=(6, 100)) / 4
        oracle.append(values_TP.mean(axis=1).max())
        honest.append(cross_validated(values_TP, halvings=20)[0].mean())
        truth.append(p.mean())
    assert np.mean(oracle) - np.mean(truth) > 0.01
    assert abs(np.mean(honest) - np.mean(truth)) < 0.004


def test_cross_validation_finds_a_clear_winner() -> None:
    values_TP = np.stack([np.zeros(40), np.ones(40), np.zeros(40)])
    values, share = cross_validated(values_TP)
    assert values.mean() == 1.0
    assert share == [0.0, 1.0, 0.0]


def test_temperatures_of_one_run(
    tmp_path: Path, new_header: Callable[..., Any], new_record: Callable[..., Record]
) -> None:
    heats = [0.1, 0.4, 0.8]
    header = new_header(["m"], {"t": {"n_problems": 20}}, 2, temperature=heats, k=[1, 2])
    records = [
        new_record("m", "t", f"t/{p}", 2 * i + s, "passed" if (p + s) % (i + 2) == 0 else "failed", temperature=heat)
        for p in range(20)
        for i, heat in enumerate(heats)
        for s in range(2)
    ]
    with RunStore.open(tmp_path / "run", header) as store:
        store.append(records)
        assert "INCOMPLETE" not in str(finish(store, [1, 2], {}).table())
    reading = read_temperatures(count_cells(RunHeader(header), records), 1)
    assert reading.oracle.temperature == 0.1
    assert reading.by_temperature[0.1] == 0.5
    text = invoke("table", tmp_path / "run", "--style", "temperature")
    assert "oracle" in text
    assert "too high on average" in text
    frame = pd.read_csv(io.StringIO(invoke("table", tmp_path / "run", "--style", "temperature", "--format", "csv")))
    assert frame["oracle"].iloc[0] == 0.5
    assert "ORACLE temperature" in invoke("table", tmp_path / "run", "--style", "by-n")


def test_best_is_bold_only_where_the_paired_test_says_so(make_run: MakeRun) -> None:
    rng = np.random.default_rng(1)
    p = rng.beta(0.5, 0.5, 200)
    clear = {"a": samples(rng, p, 4), "b": samples(rng, np.minimum(1, p + 0.2), 4)}
    even = {"a": samples(rng, p, 4), "b": samples(rng, p, 4)}
    bold = [line for line in invoke("table", make_run("clear", clear), "--style", "by-n").splitlines() if "**" in line]
    assert len(bold) == 1
    assert bold[0].startswith("| b")
    assert "**" not in invoke("table", make_run("even", even), "--style", "by-n").replace("Bold", "")


def test_baseline_adds_the_paired_difference(make_run: MakeRun) -> None:
    rng = np.random.default_rng(2)
    p = rng.beta(0.5, 0.5, 200)
    run = make_run("run", {"a": samples(rng, p, 4), "b": samples(rng, np.minimum(1, p + 0.2), 4)})
    frame = pd.read_csv(io.StringIO(invoke("table", run, "--baseline", f"{run}::a", "--format", "csv")))
    assert np.isnan(frame["delta@1"][0])
    assert frame["delta@1"][1] == pytest.approx(frame["pass@1"][1] - frame["pass@1"][0])
    assert frame["delta@1_low"][1] > 0
    assert frame["delta@1_p_holm"][1] < 0.01
    with_undefined = invoke("table", run, "--baseline", f"{run}::a", "--k", "1,10")
    assert "after Holm's correction over 1 comparison." in with_undefined, "what is undefined is no comparison"
    assert invoke("table", run, "--baseline", f"{run}::a").splitlines()[3].split("|")[-2] in with_undefined


def test_seeds_are_pooled_only_when_asked(make_run: MakeRun) -> None:
    rng = np.random.default_rng(3)
    p = rng.beta(0.5, 0.5, 100)
    run = make_run("run", {f"n4-seed{seed}": samples(rng, p, 4) for seed in range(3)})
    assert len(pd.read_csv(io.StringIO(invoke("table", run, "--format", "csv")))) == 3
    frame = pd.read_csv(io.StringIO(invoke("table", run, "--pool-seeds", "--format", "csv")))
    assert list(frame["recipe"]) == ["n4"]
    assert frame["seeds"][0] == 3


def test_speed_by_heads_and_training_overhead(
    tmp_path: Path, new_header: Callable[..., Any], new_record: Callable[..., Record]
) -> None:
    for heads, seconds in ((1, 8.0), (2, 4.4), (4, 2.6)):
        header = new_header(["n4"], {"t": {"n_problems": 2}}, draft_heads=heads)
        drafted = () if heads == 1 else (10,) * (heads - 1)
        records = [
            new_record(
                "n4", "t", f"t/{p}", 0, n_tokens=40, n_forwards=40 // heads, n_drafted=drafted, n_accepted=drafted,
                generation_wall_seconds=seconds / 2,
            )
            for p in range(2)
        ]  # fmt: skip
        with RunStore.open(tmp_path / f"h{heads}", header) as store:
            store.append(records)
            finish(store, [1], {})
    text = invoke("table", *(tmp_path / f"h{heads}" for heads in (1, 2, 4)), "--style", "speed")
    assert "| 1 | 1.00 (1.00) |" in text
    assert "| 2 | 1.82 (2.00) |" in text
    assert "| 4 | 3.08 (4.00) |" in text
    models = {
        f"n{n}": {"n_future": n, "parameters": 3.0e8, "training": {"seconds": seconds, "tokens": 1e6, "seed": 0}}
        for n, seconds in ((1, 100.0), (2, 107.0), (4, 122.0))
    }
    header = new_header(list(models), {"t": {"n_problems": 1}})
    header["models"] = models
    with RunStore.open(tmp_path / "trained", header) as store:
        store.append([new_record(label, "t", "t/1", 0) for label in models])
    text = invoke("table", tmp_path / "trained", "--style", "overhead")
    assert [line for line in text.splitlines() if line.startswith("| ")] == [
        "| n | 300M |", "| ---: | ---: |", "| 1 | 1.00 |", "| 2 | 1.07 |", "| 4 | 1.22 |",
    ]  # fmt: skip
    by_size = invoke("table", tmp_path / "trained", "--style", "by-size", "--format", "latex")
    assert r"\multicolumn" in by_size


def by_heads(
    place: Path, new_header: Callable[..., Any], new_record: Callable[..., Record], **facts: Any
) -> list[Path]:
    """A run of "org/n4" with 1, 2 and 4 heads on each of two tasks, a folder each."""
    folders = []
    for heads, seconds in ((1, 8.0), (2, 4.0), (4, 2.0)):
        for task in ("a", "b"):
            header = new_header(["org/n4"], {task: {"n_problems": 1}}, draft_heads=heads)
            header["models"]["org/n4"] = facts
            drafted = (10,) * (heads - 1)
            folders.append(place / f"h{heads}-{task}")
            with RunStore.open(folders[-1], header) as store:
                counts = {"n_tokens": 40, "n_forwards": 40 // heads, "n_drafted": drafted, "n_accepted": drafted}
                store.append([new_record("org/n4", task, "p", 0, generation_wall_seconds=seconds, **counts)])
    return folders


def test_speed_tables_know_models_by_their_label_and_weights(
    tmp_path: Path, new_header: Callable[..., Any], new_record: Callable[..., Record]
) -> None:
    ours = by_heads(tmp_path / "x", new_header, new_record, sha256="1")
    theirs = by_heads(tmp_path / "y", new_header, new_record, sha256="2")
    expected = ["| org/n4 | 1 | 1.00 (1.00) | 1.00 (1.00) |", "| org/n4 | 2 | 2.00 (2.00) | 2.00 (2.00) |"]
    assert invoke("table", *ours, "--style", "speed").splitlines()[2:4] == expected
    names = tmp_path / "names.toml"
    names.write_text('"org/n4" = "4 / new"\n')
    named_rows = [line.replace("org/n4", "4 / new") for line in expected]
    assert invoke("table", *ours, "--style", "speed", "--names", names).splitlines()[2:4] == named_rows
    standard = invoke("table", *ours, "--names", names, "--format", "csv")
    assert "h1-a/4 / new" in standard, "one label of several runs is told apart under its name as well"
    both = invoke("table", *ours, *theirs, "--style", "speed")
    assert "2.00 (2.00)" not in both, "a speed-up over other weights is none"
    names.write_text("".join(f'"{f.parent.name}/{f.name}/org/n4" = "{f.parent.name}"\n' for f in (*ours, *theirs)))
    apart = invoke("table", *ours, *theirs, "--style", "speed", "--names", names)
    assert [line[:5] for line in apart.splitlines()[2:8]] == ["| x |"] * 3 + ["| y |"] * 3
    assert apart.count("2.00 (2.00)") == 4


@pytest.mark.parametrize("style", ["standard", "by-n", "by-size", "speed", "temperature"])
def test_every_layout_says_what_is_missing_and_what_its_marks_mean(
    tmp_path: Path, new_header: Callable[..., Any], new_record: Callable[..., Record], style: str
) -> None:
    header = new_header(["m"], {"t": {"n_problems": 3}}, temperature=0.2)
    with RunStore.open(tmp_path / "half", header) as store:
        store.append([new_record("m", "t", f"t/{p}", 0, n_tokens=40, n_forwards=40) for p in range(2)])
    table = ["table", tmp_path / "half", "--style", style]
    assert "INCOMPLETE: m on t lacks 1 completions" in invoke(*table)
    latex = invoke(*table, "--format", "latex")
    assert "INCOMPLETE: m on t lacks 1 completions" in latex
    rows = pd.read_csv(io.StringIO(invoke(*table, "--format", "csv")))
    assert list(rows["provenance"].str.startswith("INCOMPLETE: m on t lacks 1 completions")) == [True] * len(rows)
    assert "INCOMPLETE: m on t lacks 1 completions" in invoke(*table, "--format", "html")
    assert r"\caption{}" not in latex
    own = invoke(*table, "--format", "latex", "--caption", "Mine.")
    assert r"\caption{Mine.}" in own
    if style != "standard":
        explained = invoke(*table).split("> ")[-1].split("\n")[0]
        assert f"% {explained}" in own, "what an own caption does not say stands in a comment"


@pytest.mark.parametrize(
    "options",
    [
        ("--style", "overhead"),
        ("--style", "speed"),
        ("--format", "word"),
        ("--style", "fancy"),
        ("--level", "95"),
        ("--k", "ten"),
        ("--style", "by-n", "--pool-seeds"),
    ],
)
def test_bad_options_are_bad_input(make_run: MakeRun, options: tuple[str, ...]) -> None:
    folder = make_run("run", {"m": {"toy/1": [True]}})
    result = runner.invoke(app, ["table", str(folder), *options])
    assert exit_code_of(result) == 2
    result = runner.invoke(app, ["table", str(folder / "nothing")])
    assert exit_code_of(result) == 2


def test_recipes_are_compared_over_seeds(make_run: MakeRun) -> None:
    rng = np.random.default_rng(4)
    p = rng.beta(0.5, 0.5, 100)
    for n, gain in ((1, 0.0), (4, 0.15)):
        for seed in range(3):
            chances = np.clip(p + gain + rng.normal(0, 0.01), 0, 1)
            make_run(f"n{n}-{seed}", {f"n{n}-seed{seed}": samples(rng, chances, 10)})
    folder = make_run("x", {"m": {"toy/0": [True]}}).parent
    sides = [",".join(str(folder / f"n{n}-{seed}") for seed in range(3)) for n in (1, 4)]
    text = invoke("compare", *sides, "--pool-seeds")
    assert text.startswith("- n4 beats n1 on toy by ")
    assert "t over problems and seeds (3 and 3)" in text
