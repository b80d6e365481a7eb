"""Reading metrics.csv: the step of a threshold, and what was never reached."""

from __future__ import annotations

from pathlib import Path

from mtp_eval.results.curves import read_curve, steps_to

ROWS = """step,tokens,split,loss,answers_right
10,100,train,2.0,
10,100,validation,2.0,0.1
20,200,validation,1.0,0.6
30,300,validation,1.0,0.4
"""


def test_the_first_step_that_reaches_a_share(tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_text(ROWS)
    assert steps_to(tmp_path, 0.5) == 20
    assert steps_to(tmp_path, 0.1) == 10
    assert steps_to(tmp_path, 0.61) is None
    assert list(read_curve(tmp_path, "loss", "train")) == [(10, 2.0)]


def test_a_training_without_the_column_or_the_file_has_no_curve(tmp_path: Path) -> None:
    assert steps_to(tmp_path, 0.5) is None
    (tmp_path / "metrics.csv").write_text("step,split,loss\n10,validation,2.0\n")
    assert steps_to(tmp_path, 0.5) is None
