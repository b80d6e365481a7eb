"""Tables in every format, from runs as they lie on disk."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

from mtp_eval.results.header import RunHeader
from mtp_eval.results.run import Run
from mtp_eval.results.scores.scored import with_distinct_labels
from mtp_eval.results.store import RunStore
from mtp_eval.results.tables.escaping import latex_text
from mtp_eval.results.tables.render import FORMATS, render
from mtp_eval.results.tables.standard import results_table

MakeRun = Callable[..., Path]
NASTY = "a_b|c&d%<script>{x}"


@pytest.fixture
def folder(make_run: MakeRun) -> Path:
    verdicts = {
        NASTY: {f"toy/{p}": [p % 2 == 0, p % 3 == 0] for p in range(60)},
        "plain": {f"toy/{p}": [p % 2 == 0, False] for p in range(60)},
    }
    return make_run("run", verdicts, n_samples=2, k=[1, 2], temperature=0.2, top_p=0.95)


def rendered(folder: Path, style: str) -> str:
    store = RunStore.read(folder)
    return render(results_table([Run.of(store)], [1, 2]), style)


def test_every_row_says_what_its_number_depends_on(folder: Path) -> None:
    text = rendered(folder, "markdown")
    row = next(line for line in text.splitlines() if line.startswith("| plain"))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[:7] == ["plain", "toy", "p@1", "60", "2", "0.2", "0.95"]
    assert re.fullmatch(r"[0-9a-f]{8}", cells[7])
    assert re.fullmatch(r"25\.0 \[\d+\.\d, \d+\.\d\]", cells[8])
    assert re.fullmatch(r"50\.0 \[\d+\.\d, \d+\.\d\]", cells[9])
    assert "interval over problems" in text
    assert "isolation" not in text


def test_csv_gives_pandas_the_exact_numbers(folder: Path) -> None:
    frame = pd.read_csv(io.StringIO(rendered(folder, "csv")))
    assert list(frame["model"]) == [NASTY, "plain"]
    store = RunStore.read(folder)
    for row, cell in zip(frame.to_dict("records"), Run.of(store).cells, strict=True):
        assert row["pass@1"] == cell.score(1).mean
        assert row["pass@2_low95"] < row["pass@2"] < row["pass@2_high95"]


def test_latex_is_booktabs_with_everything_escaped(folder: Path) -> None:
    text = rendered(folder, "latex")
    for part in (r"\toprule", r"\midrule", r"\bottomrule", r"\end{table}"):
        assert part in text
    assert r"a\_b\textbar{}c\&d\%\textless{}script\textgreater{}\{x\}" in text
    body = text[text.index(r"\midrule") : text.index(r"\bottomrule")]
    n_columns = len(re.search(r"\\begin\{tabular\}\{([lr]+)\}", text)[1])  # type: ignore[index]
    for line in body.splitlines()[1:]:
        assert len(re.findall(r"(?<!\\)&", line)) == n_columns - 1
    assert not re.search(r"(?<!\\)[%#_]", re.sub(r"(?m)^%.*", "", text).replace("{!}{%\n", ""))


def test_latex_says_a_setting_once_when_no_row_differs_in_it(make_run: MakeRun) -> None:
    verdicts = {name: {f"toy/{p}": [p % 2 == 0] for p in range(60)} for name in ("first", "second")}
    text = rendered(make_run("run", verdicts, temperature=0.2), "latex")
    head = text[text.index(r"\toprule") : text.index(r"\midrule")]
    caption = text[text.index(r"\caption") :]
    assert "model" in head
    assert "pass@1" in head
    assert "protocol" not in head
    assert "problems" not in head
    assert re.search(r"task toy, protocol p@1, problems 60, samples 1, T 0\.2", caption)


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="NEEDS LATEX: apt-get install texlive-latex-recommended")
@pytest.mark.parametrize("width", ["16cm", "6cm"])
def test_latex_compiles_and_fits_the_line(folder: Path, tmp_path: Path, width: str) -> None:
    (tmp_path / "table.tex").write_text(rendered(folder, "latex"), encoding="utf-8")
    document = (
        rf"\documentclass{{article}}\usepackage{{booktabs,graphicx}}\textwidth {width}"
        r"\begin{document}\input{table}\end{document}"
    )
    (tmp_path / "document.tex").write_text(document, encoding="utf-8")
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "document.tex"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert "Overfull" not in done.stdout


def test_latex_text_survives_dashes_and_foreign_scripts() -> None:
    assert latex_text("n4--x 3–4 漢 é") == "n4-{}-x 3--4 [U+6F22] é"


def test_html_escapes_names_and_balances_tags(folder: Path) -> None:
    class Balance(HTMLParser):
        open_tags: list[str] = []  # noqa: RUF012
        scripts = 0

        def handle_starttag(self, tag: str, attrs: object) -> None:
            self.open_tags.append(tag)
            self.scripts += tag == "script"

        def handle_endtag(self, tag: str) -> None:
            assert self.open_tags.pop() == tag

    parser = Balance()
    parser.feed(rendered(folder, "html"))
    assert not parser.open_tags
    assert parser.scripts == 0


def test_unknown_format_lists_the_known(folder: Path) -> None:
    with pytest.raises(ValueError, match=", ".join(FORMATS)):
        rendered(folder, "word")


def test_models_of_one_name_in_two_runs_are_told_apart(make_run: MakeRun) -> None:
    stores = [RunStore.read(make_run(name, {"m": {"toy/1": [True]}, name: {"toy/1": [True]}})) for name in ("x", "y")]
    runs = with_distinct_labels([Run.of(store) for store in stores])
    assert [cell.model for run in runs for cell in run.cells] == ["x/m", "x", "y/m", "y"]


def test_weaker_isolation_is_a_column(make_run: MakeRun, new_header: Callable[..., dict[str, object]]) -> None:
    folder = make_run("run", {"m": {"toy/1": [True]}})
    store = RunStore.read(folder)
    store.header = RunHeader({**store.header.data, "isolation": {"name": "process"}})
    text = render(results_table([Run.of(store)], [1]), "markdown")
    assert "| process |" in text
