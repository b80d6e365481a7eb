"""Scores as TensorBoard scalars, read back with TensorBoard's own reader."""

from __future__ import annotations

from pathlib import Path

import pytest

from mtp_eval.harness.evaluation.table import table
from mtp_eval.results.errors import OptionError
from mtp_eval.results.run import read_run
from tests.made_runs import MakeRun


@pytest.mark.slow
def test_checkpoints_of_one_training_are_points_of_one_curve(make_run: MakeRun, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folders = [
        make_run(f"r{step}", {f"n4-step{step}": {"toy/1": [True, False], "toy/2": passed}})
        for step, passed in ((900, [False, False]), (1800, [True, True]))
    ]
    out = tmp_path / "events"
    table(runs=folders, k="1,2", tensorboard=out)
    assert [folder.name for folder in out.iterdir()] == ["n4"]
    events = EventAccumulator(str(out / "n4")).Reload()
    names = {f"toy/pass@{k}{end}" for k in (1, 2) for end in ("", "_low95", "_high95")}
    assert set(events.Tags()["tensors"]) == names
    found = [(e.step, float(e.tensor_proto.float_val[0])) for e in events.Tensors("toy/pass@1")]
    assert found == [(900, 0.25), (1800, 0.75)]
    row = read_run(folders[1]).to_frame([1]).iloc[0]
    assert events.Tensors("toy/pass@1_high95")[1].tensor_proto.float_val[0] == pytest.approx(row["high95"])
    with pytest.raises(OptionError, match="new folder"):
        table(runs=folders, tensorboard=out)
