"""Tables that go into a paper as they are: one row per model, honest bold type, names, captions, other harnesses' forms."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from mtp_eval.harness.cli import app
from mtp_eval.results.errors import OptionError
from mtp_eval.results.record import Record
from mtp_eval.results.run import read_run, read_runs, wanted_ks
from mtp_eval.results.tables.layout import Layout, named
from mtp_eval.results.tables.render import Column, Entry, Table
from mtp_eval.results.tables.styles import styled_table, without_empty
from tests.command_line import exit_code_of

MakeRun = Callable[..., Path]
runner = CliRunner()


def printed(*arguments: object) -> str:
    result = runner.invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, f"{result.output} {result.exception!r}"
    return result.stdout


def verdicts(task: str, share: float, n_problems: int = 60) -> Mapping[str, list[bool]]:
    rng = np.random.default_rng(int(100 * share))
    return {f"{task}/{p}": [bool(rng.random() < share) for _ in range(2)] for p in range(n_problems)}


@pytest.fixture
def one_folder_a_task(make_run: MakeRun) -> list[Path]:
    return [
        make_run(f"{model}-{task}", {model: verdicts(task, share)}, task=task)
        for model, share in (("n1", 0.2), ("n4", 0.6))
        for task in ("mbpp", "humaneval")
    ]


def test_a_model_in_one_folder_a_task_is_one_row(one_folder_a_task: list[Path]) -> None:
    table = styled_table("by-n", read_runs(one_folder_a_task), [1])
    assert [row[0].text for row in table.rows] == ["n1", "n4"]
    for row, model in zip(table.rows, ("n1", "n4"), strict=True):
        for entry, task in zip(row[2:], ("mbpp", "humaneval"), strict=True):
            records = list(read_run(next(f for f in one_folder_a_task if f.name == f"{model}-{task}")).records())
            passed = sum(record.passed for record in records) / len(records)
            assert entry.values[0] == pytest.approx(passed)
            assert entry.bold == (model == "n4")


def test_one_problem_of_unknown_temperature_is_a_score_too(make_run: MakeRun) -> None:
    folder = make_run("a", {"m": {"toy/1": [True, False]}}, temperature=None, top_p=None, k=[1, 10])
    table = styled_table("by-n", [read_run(folder)], [1, 10])
    assert [entry.text for entry in table.rows[0][2:]] == ["50.0", "–"]
    text = str(table)
    assert "n=2, T=–, top-p=–," in text
    assert "pass@10 is left out: m on toy: 1 of 1 problems have fewer than k=10 samples" in text


def test_one_label_for_two_models_is_two_rows(make_run: MakeRun) -> None:
    folders = []
    for number, task in enumerate(("mbpp", "humaneval")):
        folder = make_run(f"r{number}", {"m": verdicts(task, 0.5)}, task=task)
        header = json.loads((folder / "run.json").read_text())
        header["models"]["m"]["sha256"] = str(number)
        (folder / "run.json").write_text(json.dumps(header))
        folders.append(folder)
    assert [row[0].text for row in styled_table("by-n", read_runs(folders), [1]).rows] == ["r0/m", "r1/m"]


def test_bold_is_never_said_of_an_oracle_temperature(
    tmp_path: Path, new_header: Callable[..., dict[str, Any]], new_record: Callable[..., Record]
) -> None:
    from mtp_eval.results.store import RunStore

    header = new_header(["a", "b"], {"toy": {"n_problems": 60}}, 1, temperature=[0.2, 0.8])
    records = [
        new_record(m, "toy", f"toy/{p}", s, "passed" if m == "b" else "failed", temperature=t)
        for m in ("a", "b")
        for p in range(60)
        for s, t in enumerate((0.2, 0.8))
    ]
    with RunStore.open(tmp_path / "run", header) as store:
        store.append(records)
    table = styled_table("by-n", [read_run(tmp_path / "run")], [1])
    assert [row[2].text for row in table.rows] == ["0.0", "100.0"]
    assert not any(entry.bold for row in table.rows for entry in row)


def test_bold_is_corrected_over_the_whole_table(make_run: MakeRun) -> None:
    """7 problems won and none lost: p = 0.016, bold alone and not beside nine pairs without a difference."""
    better = {f"toy/{p}": [p >= 8] for p in range(40)}
    worse = {f"toy/{p}": [p >= 8 and p not in (10, 11, 12, 13, 14, 15, 16)] for p in range(40)}
    alone = [make_run("x", {"a": worse, "b": better}, task="t0")]
    same = {f"toy/{p}": [True] for p in range(40)}
    beside = [make_run(f"y{i}", {"a": same, "b": same}, task=f"t{i}") for i in range(1, 10)]
    bold = [row[2].bold for row in styled_table("by-n", read_runs(alone), [1]).rows]
    assert bold == [False, True]
    assert not any(row[2].bold for row in styled_table("by-n", read_runs([*alone, *beside]), [1]).rows)


def test_names_order_digits_gains_caption_and_label(one_folder_a_task: list[Path], tmp_path: Path) -> None:
    names = tmp_path / "names.toml"
    names.write_text('"n4" = "4 tokens & more"\n"n1" = "next token"\n')
    text = printed(
        "table", *one_folder_a_task, "--style", "by-n", "--format", "latex", "--names", names, "--digits", 2,
        "--gains", "points", "--caption", "Table 1: 50 % more", "--label", "tab:main",
    )  # fmt: skip
    body = text[text.index(r"\midrule") :].splitlines()
    assert body[1].startswith(r"4 tokens \& more & ")
    assert body[2].startswith("next token & ")
    assert r"\caption{Table 1: 50 \% more}" in text
    assert r"\label{tab:main}" in text
    assert text.startswith("% ")
    assert "($-$" in body[2]


def test_the_caption_of_its_own_is_short_and_what_is_loud_stands_below(make_run: MakeRun) -> None:
    folder = make_run("a", {"m": verdicts("toy", 0.5)}, n_samples=9)
    text = printed("table", folder, "--format", "latex")
    caption = next(line for line in text.splitlines() if line.startswith(r"\caption"))
    assert len(caption) < 240
    assert r"\footnotesize INCOMPLETE" in text
    assert "% mtp-eval" in text


@pytest.mark.parametrize(
    "text", ["", "n4 =", "n4 = 4\n", '"nosuch" = "x"\n', '"n1" = "n4"\n"n4" = "n4"\n'], ids=lambda t: t[:8]
)
def test_names_that_are_no_names(make_run: MakeRun, tmp_path: Path, text: str) -> None:
    folder = make_run("a", {"n1": verdicts("t", 0.3), "n4": verdicts("t", 0.3)})
    (tmp_path / "names.toml").write_text(text)
    result = runner.invoke(app, ["table", str(folder), "--names", str(tmp_path / "names.toml")])
    assert exit_code_of(result) == (2 if text else 0)


def test_relative_gains_are_of_the_first_row(one_folder_a_task: list[Path]) -> None:
    runs = read_runs(one_folder_a_task)
    table = styled_table("by-n", runs, [1], Layout(gains="relative"))
    first, second = (row[2].values[0] for row in table.rows)
    assert first is not None
    assert second is not None
    assert f"({100 * (second / first - 1):+.0f} %)" in table.rows[1][2].text


def test_rows_and_columns_without_a_figure_go() -> None:
    nothing, something = Entry("–", values=(None,)), Entry("1.0", values=(0.01,))
    columns = (Column("model"), Column("a", True, ("a",)), Column("b", True, ("b",)))
    rows = ((Entry("x"), something, nothing), (Entry("y"), nothing, nothing))
    table = without_empty(Table(columns, rows, "p", groups=(("", 1), ("t", 2))))
    assert [column.title for column in table.columns] == ["model", "a"]
    assert [row[0].text for row in table.rows] == ["x"]
    assert table.groups == (("", 1), ("t", 1))


def test_k_by_default_are_those_that_the_samples_allow(make_run: MakeRun) -> None:
    folder = make_run("a", {"m": verdicts("toy", 0.5)}, k=[1, 10, 100])
    assert wanted_ks([read_run(folder)], None) == [1]
    assert "pass@10" not in (folder / "table.md").read_text()
    assert "pass@10" in printed("table", folder, "--k", "1,10")
    assert "over 0 comparison" not in printed("compare", folder, make_run("b", {"m": verdicts("toy", 0.5)}))


def test_lm_eval_and_evaluate_forms_hold_the_same_scores(one_folder_a_task: list[Path]) -> None:
    of_n4 = [folder for folder in one_folder_a_task if folder.name.startswith("n4")]
    theirs = json.loads(printed("table", *of_n4, "--format", "lm-eval"))
    plain = json.loads(printed("table", *of_n4, "--format", "evaluate"))
    for folder in of_n4:
        run = read_run(folder)
        (cell,) = run.cells
        score = cell.score(1)
        assert theirs["results"][cell.task]["pass@1,none"] == plain["n4"][cell.task]["pass@1"] == score.mean
        stderr = score.values.std(ddof=1) / math.sqrt(score.values.size)
        assert theirs["results"][cell.task]["pass@1_stderr,none"] == pytest.approx(stderr)
        assert theirs["n-samples"][cell.task] == {"original": 60, "effective": 60}
    assert exit_code_of(runner.invoke(app, ["table", *map(str, one_folder_a_task), "--format", "lm-eval"])) == 2


def test_two_models_cannot_get_one_name(make_run: MakeRun) -> None:
    run = read_run(make_run("a", {"n1": verdicts("t", 0.3), "n4": verdicts("t", 0.3)}))
    with pytest.raises(OptionError, match="one name"):
        named([run], {"n1": "n4"})
