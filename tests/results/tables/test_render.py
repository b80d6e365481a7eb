"""Tables as text in every format; names from outside are escaped."""

from __future__ import annotations

import csv
import io
from html.parser import HTMLParser
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from mtp_eval.harness.evaluation.table import table
from mtp_eval.results.run import read_run
from mtp_eval.results.tables.render import Column, Entry, Table, render
from tests.made_runs import MakeRun

FORMULAS = [
    "=1+1",
    "+cmd|' /C calc'!A0",
    "-2+3+cmd",
    "@SUM(A1)",
    "  =1",
    "\t=1",
    "\r=1",
    "\uff1d1",
    "%0A=1",
    "|x",
    "-x",
]


def cells(*texts: str) -> list[str]:
    made = Table(
        columns=tuple(Column(text) for text in texts),
        rows=(tuple(Entry(text) for text in texts),),
        provenance=texts[0],
        groups=tuple((text, 1) for text in texts),
    )
    return [cell for row in csv.reader(io.StringIO(render(made, "csv"))) for cell in row]


@pytest.mark.parametrize("name", FORMULAS)
def test_no_csv_cell_begins_a_formula(name: str) -> None:
    assert [cell for cell in cells(name) if cell.lstrip(" ")[:1] in set("=+-@\t\r\uff1d%|")] == []


@pytest.mark.parametrize("text", ["-0.5", "+1e-3", "-inf", "n=4", "a-b", "humaneval@0shot", "", "'=1"])
def test_numbers_and_ordinary_names_stay_as_they_are(text: str) -> None:
    assert cells("name", text).count(text) >= 1


HOSTILE = [
    *FORMULAS[:4],
    "a|b",
    "a\\|b",
    "ends with \\",
    "<b>x</b>",
    "<script>alert(1)</script>",
    "[x](javascript:alert(1))",
    "![x](http://example.org/x.png)",
    "two\r\nlines\u2028or\x0bmore",
    "__init__ *a* `code` ~~gone~~ n_1_2",
    "&lt; &amp; R&D",
    "naïve – n₄ ü 日本",
    "28.5 [20.0, 38.2]",
]


class Cells(HTMLParser):
    """The texts of a table's cells, and every tag that there is."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.tags: set[str] = set()
        self.inside = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.add(tag)
        if tag in ("td", "th"):
            self.texts.append("")
            self.inside = True

    def handle_endtag(self, tag: str) -> None:
        self.inside = self.inside and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.texts[-1] += data


@pytest.mark.parametrize("name", HOSTILE)
def test_another_reader_of_markdown_and_html_finds_the_same_texts(name: str) -> None:
    made = Table((Column("model"), Column(name, True)), ((Entry(name), Entry("1")), (Entry("x"), Entry(name))), "p")
    wanted = ["model", " ".join(name.split()), " ".join(name.split()), "1", "x", " ".join(name.split())]
    markdown = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    found = Cells(markdown.render(render(made, "markdown")))
    assert found.texts == wanted
    assert found.tags <= {"table", "thead", "tbody", "tr", "th", "td", "p"}
    page = render(made, "html")
    assert page.isascii(), "means the same in every encoding"
    found = Cells(page)
    assert [" ".join(text.split()) for text in found.texts] == wanted
    assert found.tags <= {"table", "thead", "tbody", "tr", "th", "td", "p"}


def test_half_characters_leave_files_that_others_can_read(make_run: MakeRun, tmp_path: Path) -> None:
    folder = make_run("run", {"m\udc80": {"toy/1": [True]}})
    for file in folder.glob("*.[jmc]*"):
        assert file.read_text("utf-8")
    assert read_run(folder).header.models == ("m\udc80",)
    table(runs=folder, out=tmp_path / "table.csv", format="csv")
    assert (tmp_path / "table.csv").read_text("utf-8").splitlines()[1].startswith("m\\udc80,")
