"""Plots: written as PNG and SVG, told apart without colour, the same bytes for the same data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from mtp_eval.results.header import RunHeader
from mtp_eval.results.record import Record
from mtp_eval.results.report.figure import Plot, style_of
from mtp_eval.results.report.plots import heads_plot, loss_plot, m_plot, pass_at_k_plot, size_plot
from mtp_eval.results.scores.cells import count_cells
from mtp_eval.results.scores.scored import ScoredRun

NewHeader = Callable[..., dict[str, Any]]
NewRecord = Callable[..., Record]


@pytest.fixture(scope="module")
def grid(request: pytest.FixtureRequest) -> Callable[[NewHeader, NewRecord], tuple[ScoredRun, list[Record]]]:
    """Two sizes by n = 1, 4 with 20 samples on 40 problems of m = 1..4, by chances that fall with m."""

    def make(new_header: NewHeader, new_record: NewRecord) -> tuple[ScoredRun, list[Record]]:
        rng = np.random.default_rng(0)
        labels = [f"{size}-n{n}" for size in ("1M", "10M") for n in (1, 4)]
        header = new_header(labels, {"ops": {"n_problems": 40, "report_by": "domain"}}, 20, k=[1, 10])
        records = []
        for label in labels:
            size, n = label.split("-n")
            header["models"][label] = {"n_future": int(n), "parameters": 1e6 if size == "1M" else 1e7}
            for p in range(40):
                m = 1 + p % 4
                chance = rng.beta(2, m) * (1.0 if size == "10M" else 0.7)
                tags = {"m": str(m), "domain": "in" if m <= 2 else "out"}
                for s in range(20):
                    verdict = "passed" if rng.random() < chance else "failed"
                    records.append(new_record(label, "ops", f"ops/{p}", s, verdict, tags=tags))
        return ScoredRun.of_records(RunHeader(header), records), records

    return make


def check(plot: Plot | None, folder: Path) -> Plot:
    assert plot is not None
    png, svg = plot.save(folder)
    assert png.read_bytes().startswith(b"\x89PNG")
    ElementTree.fromstring(svg.read_text())
    assert plot.svg() == svg.read_text()
    return plot


@pytest.mark.slow
def test_curves_sizes_and_m(grid: Any, new_header: NewHeader, new_record: NewRecord, tmp_path: Path) -> None:
    run, records = grid(new_header, new_record)
    curves = check(pass_at_k_plot([run]), tmp_path)
    left = curves.figure.axes[0]
    for line, cell in zip(left.lines, [c for c in run.cells if c.group == "in"], strict=True):
        assert np.asarray(line.get_ydata())[0] == pytest.approx(100 * cell.score(1).mean)
        assert np.asarray(line.get_ydata())[-1] == pytest.approx(100 * cell.score(20).mean)
    check(size_plot([run]), tmp_path)
    by_m = count_cells(run.header, records, by="m")
    check(m_plot(by_m, {"1": "in", "2": "in", "3": "out", "4": "out"}), tmp_path)


@pytest.mark.slow
def test_heads(new_header: NewHeader, new_record: NewRecord, tmp_path: Path) -> None:
    runs = []
    for heads, seconds in ((1, 8.0), (2, 4.4), (4, 2.6)):
        drafted = () if heads == 1 else (10,) * (heads - 1)
        record = new_record(
            "n4", "t", "t/1", 0, n_tokens=40, n_forwards=44 // heads, n_drafted=drafted, n_accepted=drafted,
            generation_wall_seconds=seconds,
        )  # fmt: skip
        header = new_header(["n4"], {"t": {"n_problems": 1}}, draft_heads=heads)
        runs.append(ScoredRun.of_records(RunHeader(header), [record]))
    plot = check(heads_plot(runs), tmp_path)
    assert np.asarray(plot.figure.axes[1].lines[0].get_ydata()) == pytest.approx([1.0, 8 / 4.4, 8 / 2.6])
    assert heads_plot(runs[:1]) is None


@pytest.mark.slow
def test_loss_curves(tmp_path: Path) -> None:
    rows = ["step,tokens,split,loss,loss_head_1,loss_head_2"]
    rows += [f"{s},{s * 100},train,{9 / s},{4 / s},{5 / s}" for s in range(1, 50)]
    rows += [f"{s},{s * 100},validation,{9 / s},{4 / s},{5 / s}" for s in (10, 20, 49)]
    (tmp_path / "ckpt").mkdir()
    (tmp_path / "ckpt" / "metrics.csv").write_text("\n".join(rows) + "\n")
    check(loss_plot({"n2": tmp_path / "ckpt", "gone": tmp_path / "none"}), tmp_path)
    assert loss_plot({"gone": tmp_path / "none"}) is None


def test_lines_differ_without_their_colour() -> None:
    looks = [(style_of(i)["marker"], str(style_of(i)["linestyle"])) for i in range(24)]
    assert len(set(looks)) == 24


def test_one_sample_has_no_curve(new_header: NewHeader, new_record: NewRecord) -> None:
    header = RunHeader(new_header(["m"], {"t": {"n_problems": 1}}))
    assert pass_at_k_plot([ScoredRun.of_records(header, [new_record("m", "t", "t/1", 0)])]) is None
