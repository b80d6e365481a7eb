"""Panels that studies share: a measure against n, seed by seed, and learning curves, as the paper draws them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import TYPE_CHECKING

import numpy as np

from mtp_eval.harness.studies.definition import Measure, Part, Recipe, Results
from mtp_eval.harness.studies.measures import pass_at_1
from mtp_eval.results.curves import read_curve
from mtp_eval.results.report.figure import finish, style_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes


LONG_LABELS = 50
"""Characters under one panel, at so many labels of the longest one's length, that would run into each other."""


def by_recipe(ax: Axes, results: Results, part: Part, measure: Measure, x: str) -> None:
    """Every seed as a point, the mean with its 95 % interval, cut to what is possible, beside it."""
    for place, recipe in enumerate(part.recipes):
        values, spread = results.values(recipe.name, measure), results.spread(recipe.name, measure)
        if spread is None:
            continue
        colour = style_of(place)["color"]
        ax.plot([place - 0.1] * len(values), list(values.values()), "o", color=colour, alpha=0.45, markersize=4)
        low, high = measure.interval(spread)
        reach = np.array([[spread.difference - low], [high - spread.difference]])
        shown = None if np.isnan(reach).any() else reach
        ax.errorbar([place + 0.1], [spread.difference], yerr=shown, fmt="s", color=colour, markersize=5, capsize=3)
    labels = [recipe.label for recipe in part.recipes]
    ax.set_xticks(range(len(labels)), labels)
    if len(labels) * max(map(len, labels)) > LONG_LABELS:
        ax.set_xticks(range(len(labels)), labels, rotation=30, ha="right", rotation_mode="anchor")
    ax.set_xlim(-0.5, len(part.recipes) - 0.5)
    least, most = measure.bounds
    if np.isfinite(most):
        ax.set_ylim(least - 3, most + 3)
    finish(ax, part.name, x, measure.name)


def curves(ax: Axes, results: Results, part: Part, guess: float | None = None) -> None:
    """Share of held-out answers that are right against the step: thin lines for seeds, thick ones for their mean."""
    for place, recipe in enumerate(part.recipes):
        look, at_step = style_of(place), defaultdict[int, list[float]](list)
        for result in results.of(recipe.name).values():
            points = list(read_curve(result.model_folder, "answers_right"))
            ax.plot(
                [step for step, _ in points],
                [100 * v for _, v in points],
                color=look["color"],
                alpha=0.25,
                linewidth=0.7,
            )
            for step, value in points:
                at_step[step].append(value)
        steps = sorted(at_step)
        ax.plot(steps, [100 * fmean(at_step[s]) for s in steps], label=recipe.label, markevery=4, **look)
    if guess is not None:
        ax.axhline(100 * guess, color="0.6", linewidth=0.8, linestyle=(0, (1, 2)))
    ax.set_ylim(-3, 103)
    finish(ax, f"{part.name}, during training", "step", "held-out answers right (%)")


def against_groups(ax: Axes, results: Results, part: Part, groups: Sequence[str], x: str, edge: int) -> None:
    """Mean over seeds by group of problems, with a band, and a line after the groups that training had."""
    for place, recipe in enumerate(part.recipes):
        of_groups = [pass_at_1(group) for group in groups]
        spreads = [(i, measure, results.spread(recipe.name, measure)) for i, measure in enumerate(of_groups)]
        found = [(i, spread, measure.interval(spread)) for i, measure, spread in spreads if spread is not None]
        look, xs = style_of(place), [i for i, _, _ in found]
        ax.plot(xs, [spread.difference for _, spread, _ in found], label=recipe.label, **look)
        lows, highs = ([interval[k] for _, _, interval in found] for k in range(2))
        ax.fill_between(xs, lows, highs, color=look["color"], alpha=0.12, linewidth=0)
    ax.axvline(edge - 0.5, color="0.3", linewidth=1, linestyle=(0, (2, 2)))
    ax.set_xticks(range(len(groups)), [group.lstrip("0") for group in groups])
    ax.set_ylim(-3, 103)
    finish(ax, part.name, x, "pass@1 (%)")


def against_sizes(ax: Axes, results: Results, parts: Sequence[Part], measure: Measure, title: str) -> None:
    """Mean over seeds against the size, a part each, one line a recipe, with 95 % intervals, as in the paper's Figure 3."""
    lines = {recipe.label: [part.recipes[place] for part in parts] for place, recipe in enumerate(parts[0].recipes)}
    lines_of_recipes(ax, results, lines, measure)
    ax.set_xticks(range(len(parts)), [part.name.partition(" ")[2] for part in parts])
    finish(ax, title, "size", measure.name)


def lines_of_recipes(ax: Axes, results: Results, lines: Mapping[str, Sequence[Recipe]], measure: Measure) -> None:
    """Mean over seeds with 95 % intervals, one line a group of recipes.

    Args:
        lines: recipes by the label of their line, each in the order of the places on the axis.
    """
    for place, (label, recipes) in enumerate(lines.items()):
        spreads = [results.spread(recipe.name, measure) for recipe in recipes]
        found = [(i, spread) for i, spread in enumerate(spreads) if spread is not None]
        xs, means = [i + 0.06 * (place - 1) for i, _ in found], [spread.difference for _, spread in found]
        edges = [measure.interval(spread) for _, spread in found]
        reach = np.array([[abs(mean - edge[k]) for mean, edge in zip(means, edges, strict=True)] for k in range(2)])
        shown = None if np.isnan(reach).any() else reach
        ax.errorbar(xs, means, yerr=shown, label=label, capsize=3, **style_of(place))


def watched(parts: Sequence[Part]) -> list[Part]:
    """The parts whose curves were kept."""
    return [part for part in parts if part.watch is not None]
