"""Tables as text: names come from outside."""

from __future__ import annotations

import csv
import io

import pytest

from mtp_eval.results.tables.render import Column, Entry, Table, render

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
    table = Table(
        columns=tuple(Column(text) for text in texts),
        rows=(tuple(Entry(text) for text in texts),),
        provenance=texts[0],
        groups=tuple((text, 1) for text in texts),
    )
    return [cell for row in csv.reader(io.StringIO(render(table, "csv"))) for cell in row]


@pytest.mark.parametrize("name", FORMULAS)
def test_no_csv_cell_begins_a_formula(name: str) -> None:
    assert [cell for cell in cells(name) if cell.lstrip(" ")[:1] in set("=+-@\t\r\uff1d%|")] == []


@pytest.mark.parametrize("text", ["-0.5", "+1e-3", "-inf", "n=4", "a-b", "humaneval@0shot", "", "'=1"])
def test_numbers_and_ordinary_names_stay_as_they_are(text: str) -> None:
    assert cells("name", text).count(text) >= 1
