"""Budgets become plans: what fits is decided from costs alone, and a plan never exceeds what it was given."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtp_eval.harness.errors import InputError
from mtp_eval.harness.studies.cells import Cost
from mtp_eval.harness.studies.definition import Part, Recipe
from mtp_eval.harness.studies.plan import FILL, PlannedPart, Planner, makespan


def part(name: str, n_recipes: int = 2, seeds: int = 5) -> Part:
    recipes = tuple(Recipe(f"{name}-{i}", str(i), "chain-n1") for i in range(n_recipes))
    return Part(name, "chain", recipes, minutes=1.0, seeds=seeds)


def plan(parts: list[Part], seconds: float, workers: int = 2, step_seconds: float = 0.1) -> list[PlannedPart]:
    """Cells of 10 + 100 steps x `step_seconds`."""

    def steps(part: Part) -> Mapping[str, int]:
        return {recipe.name: 100 for recipe in part.recipes}

    def costs(part: Part) -> Mapping[str, Cost]:
        return {recipe.name: Cost(10.0, step_seconds) for recipe in part.recipes}

    return Planner(workers, lambda: seconds, steps, costs).plan(parts)


def total(found: list[PlannedPart], workers: int = 2) -> float:
    return makespan([s for one in found for s in one.cell_seconds], workers)


def best_schedule(cells: list[float], workers: int) -> float:
    return min(
        max(sum(c for c, w in zip(cells, where, strict=True) if w == worker) for worker in range(workers))
        for where in itertools.product(range(workers), repeat=len(cells))
    )


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0.1, 10), min_size=1, max_size=6), st.integers(1, 3))
def test_makespan_is_that_of_a_schedule_and_near_the_best(cells: list[float], workers: int) -> None:
    best = best_schedule(cells, workers)
    assert best - 1e-9 <= makespan(cells, workers) <= 4 / 3 * best + 1e-9  # Graham (1969)


@settings(max_examples=60, deadline=None)
@given(st.floats(50, 3000), st.integers(1, 4), st.integers(1, 4))
def test_a_plan_fits_and_rests_on_three_seeds_at_least(seconds: float, workers: int, n_parts: int) -> None:
    try:
        found = plan([part(f"p{i}") for i in range(n_parts)], seconds, workers)
    except InputError:
        assert seconds < 200
        return
    assert total(found, workers) <= FILL * seconds
    assert all(one.n_seeds >= 3 for one in found)
    assert [one.name for one in found] == [f"p{i}" for i in range(len(found))]


def test_a_large_budget_brings_ten_seeds_and_no_more() -> None:
    assert [one.n_seeds for one in plan([part("a"), part("b")], 1e6)] == [10, 10]


def test_parts_come_before_further_seeds_and_in_order() -> None:
    found = plan([part("a"), part("b"), part("c")], 250 / FILL)
    assert [(one.name, one.n_seeds) for one in found] == [("a", 5), ("b", 5)] or found[0].n_seeds >= 5
    assert total(found) <= 250


def test_a_small_budget_shortens_the_training_and_says_by_how_much() -> None:
    (found,) = plan([part("a")], 50, step_seconds=0.5)
    assert found.n_seeds == 3
    assert found.share < 1
    assert set(found.steps.values()) == {round(100 * found.share)}


def test_a_budget_that_is_too_small_says_what_is_needed() -> None:
    with pytest.raises(InputError, match=r"3 seeds of a with 2% .* minutes here"):
        plan([part("a")], 20)
