"""A study's plan on disk: written before anything is trained, and never changed."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from shutil import rmtree
from statistics import fmean
from typing import Any

from mtp_eval.harness.errors import InputError
from mtp_eval.harness.progress import say
from mtp_eval.harness.studies.cells import PROBE_SEED, Cell, Cost, recipe_config
from mtp_eval.harness.studies.claims import ALPHA
from mtp_eval.harness.studies.config import StudyConfig
from mtp_eval.harness.studies.definition import Part, Recipe, Study
from mtp_eval.harness.studies.plan import PlannedPart, Planner, makespan
from mtp_eval.harness.studies.workers import Workers
from mtp_eval.results.files import dump_json, write_atomically

PLAN_FILE = "study.json"
RULE = f"paired t over seeds, two-sided, Holm over the study's claims at {ALPHA}; see mtp_eval.harness.studies.claims"


def steps_of(part: Part) -> dict[str, int]:
    """The steps that a part's recipes ask for."""
    return {
        recipe.name: round(recipe_config(recipe.preset, recipe.changes).total_steps * recipe.longer)
        for recipe in part.recipes
    }


def narrowed(study: Study, names: Sequence[str], *, on_gpu: bool = False) -> Study:
    """The study with these parts only, and the claims that they can answer; without a name with all that the device is good for.

    Raises:
        InputError: there is no such part.
    """
    known = [part.name for part in study.parts]
    for name in names:
        if name not in known:
            raise InputError(f"--part {name!r}: the study {study.name} has {', '.join(known)}")
    parts = [part for part in study.parts if part.name in names or (not names and (on_gpu or not part.on_gpu))]
    if len(parts) == len(study.parts):
        return study
    recipes = {recipe.name for part in parts for recipe in part.recipes}
    return replace(
        study,
        parts=parts,
        claims=[claim for claim in study.claims if set(claim.recipes) <= recipes],
    )


def options_of(study: Study, config: StudyConfig) -> dict[str, Any]:
    """The options that decide the plan."""
    budget = None if config.seeds else config.budget or study.minutes
    asked = {"budget": budget, "seeds": config.seeds, "part": list(config.part)}
    return {**asked, "device": config.device, "seed": config.seed}


def definition_of(study: Study) -> dict[str, Any]:
    """The definition of a study that is fixed beforehand, for study.json."""
    return {
        "parts": [
            {
                "name": part.name,
                "task": part.task,
                "run": dict(part.run),
                "recipes": [
                    {key: value for key, value in asdict(recipe).items() if key not in ("task", "speed") or value}
                    for recipe in part.recipes
                ],
            }
            for part in study.parts
        ],
        "claims": [claim.definition() for claim in study.claims],
        "rule": RULE,
    }


def stored_plan(study: Study, config: StudyConfig, out: Path) -> dict[str, Any] | None:
    """The plan that an earlier call wrote down; None where there is none.

    Raises:
        InputError: it is of another study, budget, device, seed or version.
    """
    file = out / PLAN_FILE
    if not file.exists():
        return None
    try:
        plan: dict[str, Any] = json.loads(file.read_text("utf-8"))
        was = {"study": plan["study"], **plan["options"]}
        definition = plan["definition"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{file} cannot be read ({error!r}): remove it to plan anew, or give another --out") from None
    now = {"study": study.name, **options_of(study, config)}
    if changed := [f"{key} {was.get(key)} there, {value} now" for key, value in now.items() if was.get(key) != value]:
        raise InputError(
            f"{out} holds a study that was planned otherwise ({'; '.join(changed)}), and plans are not changed; give another --out"
        )
    if definition != json.loads(dump_json(definition_of(study))):
        raise InputError(
            f"{out} was planned by another version of mtp-eval, with other recipes or claims; give another --out"
        )
    return plan


def make_plan(study: Study, config: StudyConfig, out: Path, workers: Workers, started: float) -> dict[str, Any]:
    """Decide on parts, seeds and steps, and write that down."""
    options = options_of(study, config)
    costs: dict[str, Any] = {}
    if config.seeds is None:
        say(f"study {study.name}: measuring what models cost on this machine ({workers.n} side by side)")
        parts = budgeted(study, config, out, workers, started, costs)
    else:
        parts = [_in_full(part, config.seeds) for part in study.parts]
    seconds = makespan([s for part in parts for s in part.cell_seconds], workers.n)
    minutes = (time.monotonic() - started + seconds) / 60 if config.seeds is None else None
    plan = {
        "study": study.name,
        "options": options,
        "said": planned_sentence(study, parts, options, minutes),
        "definition": definition_of(study),
        "parts": {part.name: asdict(part) for part in parts},
        "planned_minutes": minutes,
        "jobs": workers.n,
        "costs": costs,
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    write_atomically(out / PLAN_FILE, dump_json(plan))
    say(f"study {study.name}: {plan['said']}")
    return plan


def _in_full(part: Part, n_seeds: int) -> PlannedPart:
    """A part that nothing is known of but what its study states."""
    seconds = {recipe.name: 60 * part.minutes_of(recipe) for recipe in part.recipes}
    return PlannedPart(part.name, n_seeds, steps_of(part), seconds)


def budgeted(
    study: Study, config: StudyConfig, out: Path, workers: Workers, started: float, measured: dict[str, Any]
) -> list[PlannedPart]:
    """The parts that fit into the budget, by measured costs, which are left in `measured`."""
    budget_seconds = 60 * options_of(study, config)["budget"]

    def left() -> float:
        return budget_seconds - (time.monotonic() - started)

    def costs(part: Part) -> Mapping[str, Cost]:
        found = probed(part, config, out, workers)
        measured[part.name] = {recipe: asdict(cost) for recipe, cost in found.items()}
        return found

    return Planner(workers.n, left, steps_of, costs).plan(study.parts)


def planned_sentence(
    study: Study, parts: Sequence[PlannedPart], options: Mapping[str, Any], minutes: float | None
) -> str:
    """The plan in a sentence."""
    shares = {part.name: "" if part.share == 1 else f" with {part.share:.0%} of the steps" for part in parts}
    inside = ", ".join(f"{part.name} ({part.n_seeds} seeds{shares[part.name]})" for part in parts)
    left_out = [part.name for part in study.parts if part.name not in shares]
    outside = f"; left out: {', '.join(left_out)}" if left_out else ""
    budget = "" if minutes is None else f"{minutes:.1f} of {options['budget']:g} minutes planned: "
    return f"{budget}{inside}{outside}"


def probed(part: Part, config: StudyConfig, out: Path, workers: Workers) -> dict[str, Cost]:
    """Costs of a part's recipes: a cell of each is measured, stage by stage, as the cells themselves are made."""
    steps, folder = steps_of(part), out / "probe"
    rmtree(folder, ignore_errors=True)  # of a call that was killed
    cells = [make(part, recipe, PROBE_SEED, steps[recipe.name], config, folder) for recipe in part.recipes]
    found: dict[str, list[Cost]] = {}
    for stage in sorted({cell.stage for cell in cells}):
        for cell, answer in workers.do("probe", filling([c for c in cells if c.stage == stage], workers.n)):
            found.setdefault(cell.recipe, []).append(Cost(**answer))
    rmtree(folder)
    return {name: mean_cost(costs) for name, costs in found.items()}


def filling(cells: Sequence[Cell], n_workers: int) -> list[Cell]:
    """The cells, and copies of them with folders of their own, until no worker is idle, as none will be in the study."""
    n_jobs = n_workers * math.ceil(len(cells) / n_workers)
    extra = [cells[number % len(cells)] for number in range(n_jobs - len(cells))]
    return [*cells, *(c if c.again else replace(c, model=f"{c.model}-{i}") for i, c in enumerate(extra))]


def mean_cost(costs: Sequence[Cost]) -> Cost:
    """The mean of several probes."""
    return Cost(fmean(c.fixed_seconds for c in costs), fmean(c.step_seconds for c in costs))


def make(part: Part, recipe: Recipe, seed: int, steps: int, config: StudyConfig, out: Path) -> Cell:
    """The cell of a recipe and a seed."""
    name, trained = (f"{name}-seed{seed}" for name in (recipe.name, recipe.trained_as or recipe.name))
    return Cell(
        part=part.name,
        recipe=recipe.name,
        preset=recipe.preset,
        changes=dict(recipe.changes),
        steps=steps,
        seed=seed,
        task=recipe.task or part.task,
        model=str(out / "models" / trained),
        run=str(out / "runs" / name),
        device=config.device,
        watched=part.watch is not None,
        options={**part.run, **recipe.run},
        speed=dict(recipe.speed),
        again=bool(recipe.trained_as),
        starts_from=str(out / "models" / f"{recipe.starts_from}-seed{seed}") if recipe.starts_from else "",
    )


def planned_cells(study: Study, plan: Mapping[str, Any], config: StudyConfig, out: Path) -> list[Cell]:
    """All cells of a plan, seed by seed."""
    return [
        make(study.part(name), recipe, config.seed + number, planned["steps"][recipe.name], config, out)
        for name, planned in plan["parts"].items()
        for number in range(planned["n_seeds"])
        for recipe in study.part(name).recipes
    ]
