"""Tables, and their text in Markdown, CSV, LaTeX and HTML.

A `Table` is columns, rows of entries and notes; `render` turns it into any of the formats, so that every layout
exists in every format. Model and task names come from outside and are escaped in each of them.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape

from mtp_eval.results.errors import OptionError
from mtp_eval.results.tables.escaping import latex_text, markdown_text, no_formula

FORMATS = ("markdown", "csv", "latex", "html")
NOTHING = "–"


@dataclass(frozen=True, slots=True)
class Entry:
    """One cell of a table: its text, whether it is set in bold, and its exact values for the CSV."""

    text: str
    bold: bool = False
    values: tuple[float | None, ...] = ()

    @property
    def has_value(self) -> bool:
        """Whether a figure stands in it."""
        return any(value is not None for value in self.values)


@dataclass(frozen=True, slots=True)
class Column:
    """A column's heading. `numeric` aligns it to the right; `parts` names its exact values in the CSV.

    `setting` marks what a number depends on (task, protocol, data): where it is the same in every row, LaTeX says it once,
    in the caption, since a page of a paper is narrow.
    """

    title: str
    numeric: bool = False
    parts: tuple[str, ...] = ()
    setting: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """Columns, rows and the notes under them. `provenance` says where the numbers came from; every table has one."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Entry, ...], ...]
    provenance: str
    notes: tuple[str, ...] = ()
    title: str = ""
    groups: tuple[tuple[str, int], ...] = ()
    """Headings over several columns: (text, number of columns), from the left; empty for none."""

    legend: str = ""
    """What the marks and brackets mean, in a sentence: the last note, and for LaTeX part of the caption."""
    caption: str = ""
    """For LaTeX: what stands in the caption, instead of the settings that are the same in every row."""
    label: str = ""
    """For LaTeX: what \\ref refers to."""

    @property
    def all_notes(self) -> tuple[str, ...]:
        """The notes and the legend."""
        return (*self.notes, self.legend) if self.legend else self.notes

    def __str__(self) -> str:
        return render(self, "markdown")

    def _repr_markdown_(self) -> str:  # what a notebook shows
        return str(self)


def is_loud(note: str) -> bool:
    """Whether a note says that numbers must not be taken as they stand: its first word is in capitals."""
    return note.split(" ")[0].rstrip(":").isupper() and len(note.split(" ")[0]) > 3


def text_entry(value: object) -> Entry:
    """A plain cell."""
    return Entry(NOTHING if value is None or value == "" else str(value))


def render(table: Table, format: str) -> str:
    """The table as text in one of `FORMATS`.

    Raises:
        OptionError: an unknown format.
    """
    writers = {"markdown": _markdown, "csv": _csv, "latex": _latex, "html": _html}
    return writers[checked_format(format)](table)


def checked_format(format: str) -> str:
    """The format, if it is one of `FORMATS`.

    Raises:
        OptionError: it is not.
    """
    if format not in FORMATS:
        raise OptionError(f"--format {format}: expected one of {', '.join(FORMATS)}")
    return format


def _markdown(table: Table) -> str:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cells) + " |"

    def shown(entry: Entry) -> str:
        text = markdown_text(entry.text)
        return f"**{text}**" if entry.bold else text

    titles = [markdown_text(column.title) for column in table.columns]
    if table.groups:
        spread = [name for name, width in table.groups for _ in range(width)]
        titles = [f"{markdown_text(group)} {title}".strip() for group, title in zip(spread, titles, strict=True)]
    lines = [line(titles), line(["---:" if column.numeric else ":---" for column in table.columns])]
    lines += [line([shown(entry) for entry in row]) for row in table.rows]
    head = [f"**{table.title}**", ""] if table.title else []
    notes = ["> " + " ".join(note.split()) for note in table.all_notes]
    tail = ["", "\n>\n".join(notes)] if notes else []
    return "\n".join([*head, *lines, *tail, "", table.provenance, ""])


def _csv(table: Table) -> str:
    """Exact values, one column per number: a bracketed score becomes three columns.

    Provenance is a column, and what must be known before a number is believed stands there first: a file goes on without notes.
    """
    about = " ".join([*filter(is_loud, table.notes), table.provenance])
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    spread = [name for name, width in table.groups for _ in range(width)] or [""] * len(table.columns)
    titles: list[str] = []
    for group, column in zip(spread, table.columns, strict=True):
        names = column.parts or (column.title,)
        titles += [f"{group} {name}".strip() for name in names]
    writer.writerow(map(no_formula, [*titles, "provenance"]))
    for row in table.rows:
        cells: list[object] = []
        for column, entry in zip(table.columns, row, strict=True):
            if column.parts:
                values = entry.values or (None,) * len(column.parts)
                cells += ["" if value is None else repr(float(value)) for value in values]
            else:
                shown = f"{entry.values[0]:.15g}" if entry.values and entry.values[0] is not None else entry.text
                cells.append("" if shown == NOTHING else no_formula(shown))
        writer.writerow([*cells, no_formula(about)])
    return out.getvalue()


def _settings_in_caption(table: Table) -> tuple[Table, str]:
    """The table without the settings that are the same in every row, and a caption that names them."""
    title = f"{table.title}. " if table.title else ""
    if table.groups or not table.rows:
        return table, title
    same = [c.setting and len({row[i].text for row in table.rows}) == 1 for i, c in enumerate(table.columns)]
    folded = [(c.title, e.text) for c, e, one in zip(table.columns, table.rows[0], same, strict=True) if one]
    parts = [f"{title} {text}" for title, text in folded if text != NOTHING]
    kept = [i for i, one in enumerate(same) if not one]
    columns = tuple(table.columns[i] for i in kept)
    rows = tuple(tuple(row[i] for i in kept) for row in table.rows)
    return replace(table, columns=columns, rows=rows), title + (f"{', '.join(parts)}." if parts else "")


def _latex(table: Table) -> str:
    """A booktabs table; needs \\usepackage{booktabs,graphicx} and, on engines older than 2018, [utf8]{inputenc}."""
    table, stated = _settings_in_caption(table)
    alignment = "".join("r" if column.numeric else "l" for column in table.columns)
    lines = [r"\begin{table}", r"\centering", r"\small", r"\setlength{\tabcolsep}{4pt}"]
    lines += [r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"]  # shrinks what is too wide
    lines += [rf"\begin{{tabular}}{{{alignment}}}", r"\toprule"]
    if table.groups:
        cells, rules, start = [], [], 1
        for name, width in table.groups:
            cells.append(rf"\multicolumn{{{width}}}{{c}}{{{latex_text(name)}}}")
            if name:
                rules.append(rf"\cmidrule(lr){{{start}-{start + width - 1}}}")
            start += width
        lines += [" & ".join(cells) + r" \\", " ".join(rules)]
    lines += [" & ".join(latex_text(column.title) for column in table.columns) + r" \\", r"\midrule"]
    for row in table.rows:
        cells = [rf"\textbf{{{latex_text(e.text)}}}" if e.bold else latex_text(e.text) for e in row]
        # A row that starts with "[" would be read as the optional argument of the line break before it.
        lines.append("{}" * cells[0].startswith("[") + " & ".join(cells) + r" \\")
    lines += [r"\bottomrule", r"\end{tabular}}"]
    lines += [rf"\par\vspace{{2pt}}{{\footnotesize {latex_text(note)}}}" for note in table.notes if is_loud(note)]
    lines += [
        rf"\caption{{{latex_text(table.caption or f'{stated} {table.legend}'.strip())}}}",
        rf"\label{{{table.label}}}" if table.label else "",
    ]
    about = [*(note for note in table.notes if not is_loud(note)), table.provenance]
    about += [table.legend] if table.caption and table.legend else []
    comments = [f"% {' '.join(note.split())}" for note in about]
    return "\n".join(line for line in [*comments, *lines, r"\end{table}"] if line) + "\n"


def _html(table: Table) -> str:
    """A <table> without style of its own; every text is escaped."""

    def cell(tag: str, text: str, numeric: bool, bold: bool = False, title: str = "") -> str:
        content = f"<strong>{escape(text)}</strong>" if bold else escape(text)
        titled = f' data-title="{escape(title)}"' if title else ""
        return f'<{tag} class="number"{titled}>{content}</{tag}>' if numeric else f"<{tag}{titled}>{content}</{tag}>"

    lines = ["<table>"]
    if table.title:
        lines.append(f"<caption>{escape(table.title)}</caption>")
    lines.append("<thead>")
    if table.groups:
        lines.append("<tr>" + "".join(f'<th colspan="{w}">{escape(name)}</th>' for name, w in table.groups) + "</tr>")
    lines.append("<tr>" + "".join(cell("th", column.title, column.numeric) for column in table.columns) + "</tr>")
    lines.append("</thead><tbody>")
    for row in table.rows:
        pairs = zip(table.columns, row, strict=True)
        lines.append(
            "<tr>" + "".join(cell("td", e.text, column.numeric, e.bold, column.title) for column, e in pairs) + "</tr>"
        )
    lines.append("</tbody></table>")
    lines += [f'<p class="note">{escape(note)}</p>' for note in table.all_notes]
    lines.append(f'<p class="provenance">{escape(table.provenance)}</p>')
    # ASCII: what is pasted into a page or read without a word on its encoding means the same
    return ("\n".join(lines) + "\n").encode("ascii", "xmlcharrefreplace").decode("ascii")
