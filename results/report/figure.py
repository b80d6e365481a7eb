"""Parts that all plots share: files, palette, panels, legend.

Figures are matplotlib objects without global state, saved as PNG and SVG with the same bytes for the same data. Lines are
told apart three times over, by colour (Okabe and Ito's palette, made for the colour-blind), marker and dash pattern, so
that print in grey loses nothing.
"""

from __future__ import annotations

import io
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mtp_eval.results.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C6D31")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1, 1.5)), (0, (5, 1.5, 1, 1.5)), (0, (8, 2)), (0, (3, 1, 1, 1, 1, 1)))


@dataclass(frozen=True)
class Plot:
    """A figure with the name of its files and a caption."""

    name: str
    caption: str
    figure: Figure

    def __post_init__(self) -> None:
        # The layout moves a little with every drawing; settle it once, so that every file shows the same picture.
        self.figure.draw_without_rendering()
        self.figure.set_layout_engine("none")

    def svg(self) -> str:
        """The figure as SVG, without a date, so that equal data give equal bytes."""
        import matplotlib as mpl
        from matplotlib.backends.backend_svg import FigureCanvasSVG

        out = io.StringIO()
        with mpl.rc_context({"svg.hashsalt": self.name, "svg.fonttype": "path"}):  # savefig would draw it twice
            FigureCanvasSVG(self.figure).print_svg(out, metadata={"Date": None, "Creator": "mtp-eval"})  # type: ignore[no-untyped-call]
        return out.getvalue()

    def inline_svg(self) -> str:
        """The figure as an element of a page: no background of its own, no comments, its height left to the page."""
        import matplotlib as mpl

        out = io.StringIO()
        with mpl.rc_context({"svg.hashsalt": self.name, "svg.fonttype": "path"}):
            self.figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
        text = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>", "", out.getvalue(), flags=re.DOTALL)
        text = text[text.index("<svg") :]
        return re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)

    def png(self, dots_per_inch: int = 160) -> bytes:
        """The figure as PNG."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        out = io.BytesIO()
        usual = self.figure.dpi
        self.figure.dpi = dots_per_inch
        try:
            FigureCanvasAgg(self.figure).print_png(out, metadata={"Software": "mtp-eval"})  # type: ignore[no-untyped-call]
        finally:
            self.figure.dpi = usual
        return out.getvalue()

    def save(self, folder: Path) -> list[Path]:
        """Write NAME.png and NAME.svg."""
        folder.mkdir(parents=True, exist_ok=True)
        paths = [folder / f"{self.name}.png", folder / f"{self.name}.svg"]
        write_atomically(paths[0], self.png())
        write_atomically(paths[1], self.svg())
        return paths


def style_of(place: int) -> dict[str, Any]:
    """Colour, marker and dashes of the place-th line; no two of the first 40 look alike."""
    return {
        "color": COLOURS[place % len(COLOURS)],
        "marker": MARKERS[place % len(MARKERS)],
        "linestyle": DASHES[place % len(DASHES)],
        "markersize": 4.5,
        "linewidth": 1.6,
    }


class Looks:
    """Gives each label its own line style, the same in every panel."""

    def __init__(self) -> None:
        self.labels: list[str] = []

    def __call__(self, label: str) -> dict[str, Any]:
        """The style of this label, a new one the first time."""
        if label not in self.labels:
            self.labels.append(label)
        return style_of(self.labels.index(label))


def make_panels(count: int, sharey: bool = False, height: float = 3.9) -> tuple[Figure, list[Axes]]:
    """A figure with so many panels of such a height in inches, at most three in a row."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = min(3, count)
    rows = math.ceil(count / columns)
    width = 6.4 if count == 1 else 4.4 * columns
    figure = Figure(figsize=(width, height * rows), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(rows, columns, squeeze=False, sharey=sharey)
    axes = list(grid.flat)
    for ax in axes[count:]:
        ax.set_visible(False)
    return figure, axes[:count]


def finish(ax: Axes, title: str, x: str, y: str) -> None:
    """Title, axis labels and grid of one panel."""
    ax.set_title(_safe(title), fontsize=10)
    ax.set_xlabel(x)
    ax.set_ylabel(y)
    ax.grid(True, color="0.9", linewidth=0.8)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)


def legend(figure: Figure) -> None:
    """One legend under all panels, where it hides no data; a series that is in several panels is named once."""
    named: dict[str, Any] = {}
    for ax in figure.axes:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            named.setdefault(_safe(label), handle)
    if named:
        columns = max(1, min(len(named), int(figure.get_figwidth() // 2.2)))
        figure.legend(
            list(named.values()), list(named), loc="outside lower center", ncols=columns, fontsize=8, frameon=False,
            handlelength=3.5,
        )  # fmt: skip


def shortened(text: str, most: int = 28) -> str:
    """A label that leaves room for the plot."""
    return _safe(text if len(text) <= most else f"{text[: most // 2]}…{text[-most // 2 + 1 :]}")


def _safe(text: str) -> str:
    """Matplotlib reads dollar signs as mathematics and cannot draw control characters."""
    return "".join(c if c.isprintable() else " " for c in text).replace("$", r"\$")
