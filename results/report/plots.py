"""Plots of runs: pass@k against k, score against size, drafting against heads, accuracy against m, loss curves.

Shaded bands and bars are 95 % intervals over problems. A plot for which the runs have no data is None. The look
they share is in `results.report.figure`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mtp_eval.results.report.figure import Looks, Plot, finish, legend, make_panels, shortened, style_of
from mtp_eval.results.scores.cells import Cell, natural_key
from mtp_eval.results.scores.estimators import pass_at_k_curve
from mtp_eval.results.scores.intervals import mean_interval
from mtp_eval.results.scores.scored import ScoredRun, cells_of
from mtp_eval.results.tables.costs import heads_used
from mtp_eval.results.tables.standard import size_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_KS = 40


def pass_at_k_plot(runs: Sequence[ScoredRun]) -> Plot | None:
    """pass@k against k, a panel per task and group; None where no problem has two samples."""
    panels: dict[str, list[Cell]] = {}
    for _, cell in cells_of(runs):
        if cell.n.min(initial=10**9) >= 2:
            panels.setdefault(cell.where, []).append(cell)
    if not panels:
        return None
    looks = Looks()
    figure, axes = make_panels(len(panels))
    for ax, (where, cells) in zip(axes, panels.items(), strict=False):
        for cell in cells:
            k_max = int(cell.n.min())
            ks = np.unique(np.geomspace(1, k_max, MOST_KS).round().astype(int))
            scores_PK = pass_at_k_curve(cell.n, cell.c, k_max)[:, ks - 1]
            spans = [mean_interval(scores_PK[:, i]) for i in range(len(ks))]
            low, high = np.array([i.low for i in spans]), np.array([i.high for i in spans])
            look = looks(_series(cell, cells))
            ax.fill_between(ks, 100 * low, 100 * high, color=look["color"], alpha=0.15, linewidth=0)
            every = max(1, len(ks) // 8)
            ax.plot(ks, 100 * scores_PK.mean(axis=0), label=_series(cell, cells), markevery=every, **look)
        ax.set_xscale("log")
        _plain_ticks(ax, max(int(cell.n.min()) for cell in cells))
        finish(ax, where, "k", "pass@k (%)")
    legend(figure)
    return Plot("pass_at_k", "pass@k against k; bands are 95 % intervals over problems.", figure)


def size_plot(runs: Sequence[ScoredRun], k: int = 1) -> Plot | None:
    """Score against parameters, a line per n; None where sizes are unknown or all the same."""
    points: dict[str, dict[int, list[tuple[float, Cell]]]] = {}
    sizes = set()
    for header, cell in cells_of(runs):
        size, n = (header.fact(cell.model, name) for name in ("parameters", "n_future"))
        if size and n and not cell.score(k).reason:
            points.setdefault(cell.where, {}).setdefault(int(n), []).append((float(size), cell))
            sizes.add(round(math.log(float(size)), 2))
    if len(sizes) < 2:
        return None
    figure, axes = make_panels(len(points))
    for ax, (where, by_n) in zip(axes, points.items(), strict=False):
        for place, (n, found) in enumerate(sorted(by_n.items())):
            found.sort(key=lambda point: point[0])
            values = [cell.score(k) for _, cell in found]
            intervals = [mean_interval(value.values) for value in values]
            means = np.array([value.mean for value in values])
            bars = [
                100 * (means - [i.low for i in intervals]),
                100 * (np.array([i.high for i in intervals]) - means),
            ]
            xs = [size * 1.03 ** (place - (len(by_n) - 1) / 2) for size, _ in found]  # side by side, not on top
            ax.errorbar(xs, 100 * means, yerr=np.maximum(bars, 0), label=f"n = {n}", capsize=3, **style_of(place))
        ax.set_xscale("log")
        ticks = sorted({size for found in by_n.values() for size, _ in found})
        ax.set_xticks(ticks, [size_name(size) for size in ticks])
        ax.minorticks_off()
        finish(ax, where, "parameters", f"pass@{k} (%)")
    legend(figure)
    return Plot("score_by_size", f"pass@{k} against the number of parameters; bars are 95 % intervals.", figure)


def heads_plot(runs: Sequence[ScoredRun]) -> Plot | None:
    """Tokens per forward and speed-up against heads used; None where fewer than two numbers of heads were run."""
    found: dict[str, dict[int, Cell]] = {}
    for _, cell in cells_of(runs):
        if cell.n_forwards:
            label = f"{cell.model.rsplit('/', 1)[-1]}, {cell.where}"
            found.setdefault(label, {})[heads_used(cell)] = cell
    found = {label: by_heads for label, by_heads in found.items() if len(by_heads) > 1}
    if not found:
        return None
    figure, (left, right) = make_panels(2)
    most = max(max(by_heads) for by_heads in found.values())
    left.plot([1, most], [1, most], color="0.7", linewidth=1, label="every draft accepted")
    for place, (label, by_heads) in enumerate(found.items()):
        heads = sorted(by_heads)
        left.plot(heads, [by_heads[h].tokens_per_forward for h in heads], label=label, **style_of(place))
        base = by_heads.get(1)
        if base is not None and base.generation_seconds > 0 and all(by_heads[h].generation_seconds > 0 for h in heads):
            rate = base.n_tokens / base.generation_seconds
            right.plot(
                heads,
                [by_heads[h].n_tokens / by_heads[h].generation_seconds / rate for h in heads],
                label=label,
                **style_of(place),
            )
    right.axhline(1.0, color="0.7", linewidth=1)
    for ax, title, unit in ((left, "Tokens per forward", "tokens"), (right, "Speed-up against 1 head", "times")):
        ax.set_xticks(sorted({h for by_heads in found.values() for h in by_heads}))
        finish(ax, title, "heads used", unit)
    legend(figure)
    return Plot("heads", "Tokens per forward and measured speed-up against the number of heads used.", figure)


def m_plot(cells_by_m: Sequence[Cell], domain_of: Mapping[str, str], k: int = 1) -> Plot | None:
    """Accuracy against the number of operations m, with the edge of what was trained on; from cells grouped by "m"."""
    panels: dict[str, dict[str, list[Cell]]] = {}
    for cell in cells_by_m:
        if cell.group and not cell.score(k).reason:
            panels.setdefault(cell.task, {}).setdefault(_heated(cell, cells_by_m), []).append(cell)
    panels = {task: models for task, models in panels.items() if max(map(len, models.values())) > 1}
    if not panels:
        return None
    looks = Looks()
    figure, axes = make_panels(len(panels))
    for ax, (task, models) in zip(axes, panels.items(), strict=False):
        groups = sorted({cell.group for cells in models.values() for cell in cells}, key=natural_key)
        place_of = {group: place for place, group in enumerate(groups)}
        for place, (model, cells) in enumerate(models.items()):
            scores = [cell.score(k) for cell in cells]
            shift = 0.06 * (place - (len(models) - 1) / 2)  # bars side by side, not on top of each other
            xs = [place_of[cell.group] + shift for cell in cells]
            means = np.array([score.mean for score in scores])
            spans = [mean_interval(score.values) for score in scores]
            bars = [100 * (means - [i.low for i in spans]), 100 * (np.array([i.high for i in spans]) - means)]
            ax.errorbar(xs, 100 * means, yerr=np.maximum(bars, 0), label=model, capsize=3, **looks(model))
        inside = [place_of[group] for group in groups if domain_of.get(group, "").startswith("in")]
        if inside and len(inside) < len(groups):
            ax.axvline(max(inside) + 0.5, color="0.3", linewidth=1, linestyle=(0, (2, 2)))
            ax.annotate(
                "out of domain →", (max(inside) + 0.5, 0.98), xycoords=("data", "axes fraction"), xytext=(4, -2),
                textcoords="offset points", fontsize=8, color="0.3", va="top",
            )  # fmt: skip
        ax.set_xticks(range(len(groups)), [group.lstrip("0") or "0" for group in groups])
        finish(ax, task, "m (operations)", f"pass@{k} (%)")
    legend(figure)
    return Plot("accuracy_by_m", f"pass@{k} against m; the dashed line is the edge of the trained domain.", figure)


def loss_plot(curves: Mapping[str, Path]) -> Plot | None:
    """Training and validation loss per head from the metrics.csv of checkpoint folders (label -> folder)."""
    import pandas as pd

    frames = {}
    for label, folder in curves.items():
        path = folder / "metrics.csv"
        if path.is_file():
            frame = pd.read_csv(path)
            if {"step", "split", "loss_head_1"} <= set(frame.columns) and len(frame) > 1:
                frames[label] = frame
    if not frames:
        return None
    heads = sorted(
        {name for frame in frames.values() for name in frame.columns if name.startswith("loss_head_")}, key=natural_key
    )
    figure, axes = make_panels(len(heads), sharey=True)
    for ax, head in zip(axes, heads, strict=False):
        for place, (label, frame) in enumerate(frames.items()):
            if head not in frame.columns:
                continue
            look = style_of(place)
            for split, width in (("train", 1.2), ("validation", 2.0)):
                rows = frame[(frame["split"] == split) & frame[head].notna()]
                if rows.empty:
                    continue
                marks = {"marker": look["marker"], "markersize": 4.5} if split == "validation" else {"alpha": 0.6}
                ax.plot(
                    rows["step"], rows[head], color=look["color"], linestyle=look["linestyle"], linewidth=width,
                    label=f"{label}, {split}", **marks,
                )  # fmt: skip
        finish(ax, f"head {head.removeprefix('loss_head_')}", "step", "loss (nats per token)")
    legend(figure)
    return Plot("loss", "Loss of every model during training, a panel per head; markers are held-out text.", figure)


def score_plot(runs: Sequence[ScoredRun], k: int = 1) -> Plot | None:
    """pass@k of every model with its interval, a panel per task and group; None where no score is defined."""
    panels: dict[str, list[Cell]] = {}
    for _, cell in cells_of(runs):
        if not cell.score(k).reason:
            panels.setdefault(cell.where, []).append(cell)
    if not panels:
        return None
    rows = max(map(len, panels.values()))
    figure, axes = make_panels(len(panels), height=1.2 + 0.32 * rows)
    for ax, (where, cells) in zip(axes, panels.items(), strict=False):
        for place, cell in enumerate(cells):
            score = cell.score(k)
            interval = mean_interval(score.values)
            reach = np.array([[score.mean - interval.low], [interval.high - score.mean]])
            look = {**style_of(place), "linestyle": "none"}
            ax.errorbar([100 * score.mean], [place], xerr=100 * np.maximum(reach, 0), capsize=3, **look)
        ax.set_yticks(range(len(cells)), [shortened(_heated(cell, cells)) for cell in cells])
        ax.set_ylim(len(cells) - 0.5, -0.5)
        finish(ax, where, f"pass@{k} (%)", "")
    return Plot("scores", f"pass@{k} of every model; bars are 95 % intervals over problems.", figure)


def _plain_ticks(ax: Axes, k_max: int) -> None:
    ticks = [tick for tick in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if tick < 0.8 * k_max] + [k_max]
    ax.set_xticks(ticks, [str(tick) for tick in ticks])
    ax.minorticks_off()


def _heated(cell: Cell, cells: Sequence[Cell]) -> str:
    """The model, with its temperature where its task was run at several."""
    heats = {other.temperature for other in cells if (other.model, other.task) == (cell.model, cell.task)}
    return cell.model if len(heats) == 1 or cell.temperature is None else f"{cell.model}, T={cell.temperature:g}"


def _series(cell: Cell, beside: Sequence[Cell]) -> str:
    alone = sum(other.model == cell.model for other in beside) == 1
    return cell.model if alone or cell.temperature is None else f"{cell.model}, T={cell.temperature:g}"
