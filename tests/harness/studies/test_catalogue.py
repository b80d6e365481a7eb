"""Every study is whole: its recipes can be trained, its claims name them, and it can be drawn and told."""

from __future__ import annotations

import io
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mtp_eval.harness.errors import InputError
from mtp_eval.harness.evaluation.config import RunConfig
from mtp_eval.harness.evaluation.speed_config import SpeedConfig
from mtp_eval.harness.studies.catalogue import NAMES, listing, load_study
from mtp_eval.harness.studies.cells import recipe_config
from mtp_eval.harness.studies.definition import Part
from mtp_eval.harness.studies.page import numbers, report_html, report_markdown, study_table
from mtp_eval.harness.studies.verdict import verdicts
from mtp_eval.harness.training.matching import matched
from mtp_eval.results.tables.render import render
from tests.harness.studies.made_results import made


def config_source(part: Part) -> str:
    """What the first recipe of a part is trained on."""
    return recipe_config(part.recipes[0].preset, part.recipes[0].changes).data.sources[0]


@pytest.mark.parametrize("name", NAMES)
def test_recipes_can_be_trained_and_claims_name_them(name: str) -> None:
    study = load_study(name)
    recipes = [recipe for part in study.parts for recipe in part.recipes]
    assert max(Counter(recipe.name for recipe in recipes).values()) == 1
    for recipe in recipes:
        config = recipe_config(recipe.preset, recipe.changes)
        assert matched(config.model, 264).n_trunk_layers >= 1
    for claim in study.claims:
        for named in claim.recipes:
            assert study.part_of(named).recipes
        assert claim.matters > 0
    for part in study.parts:
        assert part.seeds >= 3
        assert config_source(part) == "stdlib" or f"task:{part.task.partition('@')[0]}" in config_source(part)
        for recipe in part.recipes:
            options = {**part.run, **recipe.run, "model": ["m"], "task": part.task}
            assert RunConfig.given(options).task == tuple(part.task.split(","))
            assert not recipe.speed or len(SpeedConfig.given({**recipe.speed, "model": ["m"]}).heads) == 1
            assert not recipe.trained_as or recipe.trained_as in [
                one.name for one in part.recipes if not one.trained_as
            ]
            assert (
                recipe.changes == next(r for r in part.recipes if r.name == (recipe.trained_as or recipe.name)).changes
            )
    assert name in listing()


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_study_is_judged_told_and_drawn(name: str, tmp_path: Path) -> None:
    study = load_study(name)
    results = made(study, 3, lambda recipe, seed: 1.0 - 0.01 * seed - 0.3 * (len(recipe.name) % 3), tmp_path)
    found, plot = verdicts(results, in_full=True), study.figure(results)
    plan = {"said": "3 seeds"}
    assert all(verdict.pairs is not None for verdict in found), "every claim can be tested where every cell is there"
    assert len(numbers(results, found)["cells"]) == 3 * sum(len(part.recipes) for part in study.parts)
    assert report_markdown(results, found, plan, plot).startswith(f"# {name}: ")
    assert "<svg" in report_html(results, found, plan, plot)
    table = pd.read_csv(io.StringIO(render(study_table(results), "csv")))
    assert len(table) == sum(len(part.recipes) for part in study.parts)
    assert not [title for title in table.columns if title.endswith(".1")], "no two columns have one name"
    for measure in study.measures:
        within = table[[measure.name + end for end in ("_low95", "", "_high95")]].dropna().to_numpy()
        assert np.all(np.diff(within, axis=1) >= 0)
    assert table["steps"].min() > 1
    assert all(path.stat().st_size > 1000 for path in plot.save(tmp_path / "plots"))
    for ax in plot.figure.axes:
        ends = [y for drawn in ax.collections for path in drawn.get_paths() for y in np.asarray(path.vertices)[:, 1]]
        if ends and "pass@" in ax.get_ylabel():
            assert 0 <= min(ends) <= max(ends) <= 100.0001, f"{ax.get_title()}: no score is over 100 %"


def test_an_unknown_study_is_told_the_nearest() -> None:
    with pytest.raises(InputError, match="planning"):
        load_study("planing")
