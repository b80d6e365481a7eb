"""A whole study in small: what it leaves, killed and continued, what it refuses; verdicts and probes beside it."""

from __future__ import annotations

import json
import math
import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from mtp_eval.harness.errors import InputError
from mtp_eval.harness.evaluation.speed import measure_speed
from mtp_eval.harness.evaluation.speed_config import SpeedConfig
from mtp_eval.harness.evaluation.speed_prompts import domains_of
from mtp_eval.harness.evaluation.speed_store import SPEED_FILE, speed_rows
from mtp_eval.harness.studies.catalogue import listing, load_study
from mtp_eval.harness.studies.cell_result import CellResult
from mtp_eval.harness.studies.cells import Cell
from mtp_eval.harness.studies.conduct import conduct, make_cells
from mtp_eval.harness.studies.config import StudyConfig
from mtp_eval.harness.studies.definition import Recipe, Results
from mtp_eval.harness.studies.measures import speed_up, step_milliseconds, tokens_per_forward
from mtp_eval.harness.studies.planned import narrowed, planned_cells, probed
from mtp_eval.harness.studies.workers import LocalWorkers, Workers
from mtp_eval.harness.training import domains
from mtp_eval.results.run import read_run
from tests.forked import Forked
from tests.harness.studies.tiny_study import DRAFTING, MODELS, SMALL, STUDY, tiny

CELLS = sorted(f"tiny-n{n}-seed{seed}" for n in (1, 2) for seed in range(3))
TABLES = ("results.json", "table.csv", "report.md", "tiny.svg")

slow = pytest.mark.slow


def cells_of(out: Path) -> list[Cell]:
    plan = json.loads((out / "study.json").read_text())
    return planned_cells(STUDY, plan, StudyConfig(seeds=3), out)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("study") / "whole"
    tiny(out)
    return out


@slow
def test_a_study_leaves_ordinary_folders_and_its_numbers(whole: Path) -> None:
    assert sorted(path.name for path in (whole / "models").iterdir()) == CELLS
    numbers = json.loads((whole / "results.json").read_text())
    assert len(numbers["cells"]) == 12
    for cell in numbers["cells"]:
        if cell["recipe"] == DRAFTING.name:
            continue
        run = read_run(whole / "runs" / f"{cell['recipe']}-seed{cell['seed']}")
        assert run.is_complete
        (scored,) = run.cells
        assert cell["measures"]["pass@1 (%)"] == pytest.approx(100 * scored.score(1).mean)
    plan = json.loads((whole / "study.json").read_text())
    assert plan["parts"]["chain"]["steps"] == dict.fromkeys(
        ("tiny-n1", "tiny-n2", "tiny-n2-drafting", "tiny-n2-again"), 20
    )
    assert "paired t over seeds" in plan["definition"]["rule"]
    assert "<svg" in (whole / "report.html").read_text()


@slow
def test_models_are_tested_again_with_other_options(whole: Path) -> None:
    """Greedy completions do not depend on how they were decoded."""
    results = Results(STUDY, tuple(CellResult(cell) for cell in cells_of(whole)))
    drafted, plain = results.of("tiny-n2-again"), results.of("tiny-n2")
    assert {cell.cell.model for cell in drafted.values()} == {cell.cell.model for cell in plain.values()}
    for seed, cell in drafted.items():
        completions, plain_ones = (
            {r.problem_id: r.completion for r in one.tested.records()} for one in (cell, plain[seed])
        )
        assert {i: c.text for i, c in completions.items()} == {i: c.text for i, c in plain_ones.items()}
        assert all(c.n_drafted for c in completions.values())
        assert not any(c.n_drafted for c in plain_ones.values())
        n_forwards = sum(c.n_forwards for c in completions.values())
        assert tokens_per_forward().of(cell) == sum(c.n_tokens for c in completions.values()) / n_forwards
        assert tokens_per_forward().of(plain[seed]) == 1.0
        assert 0 < step_milliseconds().of(cell) < 1000 * cell.training["seconds"]


@slow
def test_what_drafting_gains_is_what_the_speed_command_measures(whole: Path) -> None:
    """It finds the rows of each cell when it is asked for the same, and measures nothing anew."""
    results = Results(STUDY, tuple(CellResult(cell) for cell in cells_of(whole)))
    for seed, cell in results.of("tiny-n2-drafting").items():
        folder = Path(cell.cell.run)
        before = (folder / SPEED_FILE).read_bytes()
        plain, drafted = sorted(speed_rows(folder / SPEED_FILE), key=lambda row: row.heads)
        assert (plain.heads, drafted.heads) == (1, 2)
        assert speed_up().of(cell) == drafted.speed_up_cpu > 0
        assert tokens_per_forward().of(cell) == drafted.tokens_per_forward
        assert math.isnan(STUDY.measures[0].of(cell)), "it was not run"
        assert speed_up().of(results.of("tiny-n2")[seed]) == 1.0
        options = {**DRAFTING.speed, "model": [cell.cell.model], "device": "cpu", "out": folder}
        with threads(1):
            assert measure_speed(SpeedConfig.given(options), domains_of(domains.TEXTS, domains.PROMPTS)) == [
                plain,
                drafted,
            ]
        assert (folder / SPEED_FILE).read_bytes() == before


@contextmanager
def threads(n: int) -> Iterator[None]:
    usual = torch.get_num_threads()
    torch.set_num_threads(n)
    yield
    torch.set_num_threads(usual)


@slow
def test_a_study_of_which_everything_is_killed_continues_to_the_same_tables(whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "killed"
    done = out / "runs" / CELLS[0] / "metrics.json"
    with Forked(tiny, out) as process:
        while not done.exists():
            assert process.poll() is None, process.errors
            time.sleep(0.01)
        process.kill()
    weights = (out / "models" / CELLS[0] / "model.safetensors").stat().st_mtime_ns
    tiny(out)
    assert (out / "models" / CELLS[0] / "model.safetensors").stat().st_mtime_ns == weights, "trained twice"
    for name in TABLES:
        assert (out / name).read_bytes() == (whole / name).read_bytes(), name


def states(group: int) -> dict[int, str]:
    """Of every process of a group: what /proc says it is doing."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group and fields[0] != "Z":
            found[int(stat.parent.name)] = fields[0]
    return found


@slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")
def test_what_stops_the_study_as_a_whole_stops_its_workers(tmp_path: Path) -> None:
    with Forked(tiny, tmp_path / "out", new_session=True) as process:
        while len(states(process.pid)) < 3:  # itself and two workers
            assert process.poll() is None, process.errors
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGSTOP)
        while set(states(process.pid).values()) != {"T"}:
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGCONT)
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait() != 0
        while states(process.pid):
            time.sleep(0.01)


@slow
def test_another_plan_in_the_same_folder_is_refused(whole: Path) -> None:
    with pytest.raises(InputError, match="seeds 3 there, 4 now"):
        tiny(whole, seeds=4)


@slow
def test_a_budget_is_planned_by_a_probe_and_written_down(tmp_path: Path) -> None:
    """As much budget as no machine can be too busy for: every seed there is, by costs that were measured."""
    out = tmp_path / "budget"
    with pytest.raises(InputError, match="give a larger budget"):
        tiny(out, budget=0.001)
    assert not (out / "study.json").exists()


@slow
def test_a_probe_measures_what_cells_will_do(tmp_path: Path) -> None:
    """Heads on a trained model, a measurement of decoding, a run with drafts: each by itself, on models that were trained for it."""
    changes = {**SMALL, "model.n_future": 8, "model.match": "layers"}
    started = Recipe("started", "8 heads after n=1", "chain-n1", changes, starts_from=MODELS[0].name)
    part = replace(STUDY.parts[0], recipes=(started, *STUDY.parts[0].recipes))
    with LocalWorkers(2, tmp_path / "logs", "cpu") as workers:
        found = probed(part, StudyConfig(), tmp_path, workers)
    assert found.keys() == {recipe.name for recipe in part.recipes}
    for recipe in part.recipes:
        assert (found[recipe.name].step_seconds > 0) == (not recipe.trained_as)
        assert found[recipe.name].fixed_seconds > 0
    assert found["started"].step_seconds > found["tiny-n1"].step_seconds  # ten layers against three
    assert sorted(path.name for path in tmp_path.iterdir()) == ["logs"]


def test_models_are_made_seed_by_seed_whatever_each_costs(tmp_path: Path) -> None:
    """Recipe by recipe, a machine that becomes busier in the middle would change what one recipe is said to cost."""
    study = load_study("speed")
    parts = {
        part.name: {
            "n_seeds": 3,
            "steps": dict.fromkeys((recipe.name for recipe in part.recipes), 1),
            "seconds": {recipe.name: 10.0 + place for place, recipe in enumerate(part.recipes)},
        }
        for part in study.parts
    }
    made: list[Cell] = []

    class Recorder(Workers):
        def __init__(self) -> None:
            pass

        def do(self, what: str, cells: Sequence[Cell]) -> Iterator[tuple[Cell, Any]]:
            made.extend(cells)
            return ((cell, None) for cell in cells)

        def close(self) -> None:
            pass

    config = StudyConfig(seeds=3)
    cells = planned_cells(study, {"parts": parts}, config, tmp_path)
    make_cells(study, cells, {"parts": parts}, Recorder())
    assert sorted(map(str, made)) == sorted(map(str, cells))
    for part in study.parts:
        trained = [cell.seed for cell in made if cell.part == part.name and not cell.again]
        assert trained == sorted(trained)


def test_parts_are_chosen_by_name_and_claims_follow() -> None:
    assert narrowed(STUDY, ()) is STUDY
    assert len(narrowed(STUDY, ("chain",)).claims) == 2
    with pytest.raises(InputError, match="the study tiny has chain"):
        narrowed(STUDY, ("nothing",))


def test_parts_for_a_gpu_are_left_out_on_a_cpu_unless_they_are_named() -> None:
    study = load_study("induction")
    large = [part.name for part in study.parts if part.on_gpu]
    on_cpu, on_gpu, named = narrowed(study, ()), narrowed(study, (), on_gpu=True), narrowed(study, large)
    assert [part.name for part in on_gpu.parts] == [part.name for part in (*on_cpu.parts, *named.parts)]
    assert len(on_gpu.claims) == len(on_cpu.claims) + len(named.claims) > len(on_cpu.claims) > 0
    assert not any(part.on_gpu for part in on_cpu.parts)
    assert study.core_minutes == on_cpu.core_minutes
    assert all(f"induction's {name}" in listing() for name in large)


def test_budget_and_seeds_exclude_each_other() -> None:
    with pytest.raises(InputError, match="either --budget or --seeds"):
        StudyConfig.given({"budget": 3.0, "seeds": 3})
    with pytest.raises(InputError, match="--seeds"):
        StudyConfig.given({"seeds": 2})


@slow
def test_a_recipe_goes_on_with_another_ones_model_of_the_same_seed(tmp_path: Path) -> None:
    """One step of no learning rate leaves the weights that were there, so that they can be compared; and its text is other text."""
    from mtp_eval.harness.models.checkpoint import load_checkpoint

    started = replace(MODELS[0], name="started", label="n=2 after n=1", starts_from=MODELS[0].name)
    changes = {**started.changes, "steps": 1, "optimizer.learning_rate": 1e-30, "model.n_future": 2}
    part = replace(STUDY.parts[0], recipes=(replace(started, changes=changes), MODELS[0]), watch=None)
    study = replace(STUDY, parts=(part,), claims=())
    conduct(study, StudyConfig(jobs=1, seeds=3), tmp_path)
    for seed in range(3):
        before, after = (load_checkpoint(tmp_path / "models" / f"{name}-seed{seed}") for name in ("tiny-n1", "started"))
        assert (before.config.n_future, after.config.n_future) == (1, 2)
        was, now = before.model.state_dict(), after.model.state_dict()
        assert all(torch.equal(now[name], weight) for name, weight in was.items())
        assert before.training["data"]["train"]["sha256"] != after.training["data"]["train"]["sha256"]
