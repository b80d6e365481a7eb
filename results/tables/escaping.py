"""Text from outside, escaped for a cell in Markdown, a spreadsheet or LaTeX."""

from __future__ import annotations

import re


def markdown_text(text: str) -> str:
    """Text for a cell of a Markdown table: one line, no HTML, no link, no emphasis, no further cell.

    >>> print(markdown_text("a|b"), markdown_text("<b>"), markdown_text("n_1 __x__ *"), markdown_text("28.5 [20.0, 38.2]"))
    a\\|b \\<b> n_1 \\_\\_x\\_\\_ \\* 28.5 [20.0, 38.2]
    """
    return _MARKDOWN.sub(r"\\\g<0>", " ".join(text.split()))


_MARKDOWN = re.compile(r"""
    [|<`*~]                        # cells, HTML and links, code, emphasis
    | (?<=\])\(                    # a link's address
    | (?<![A-Za-z0-9])_ | _(?![A-Za-z0-9])
    | \\(?=[!-/:-@\[-`{-~]|$)      # a backslash that would itself be an escape
    | &(?=[A-Za-z#])               # an entity
""", re.VERBOSE)  # fmt: skip
"""Characters of a text that Markdown would take for something else; tables and text in brackets stay readable as they are."""


def no_formula(text: str) -> str:
    """The text with an apostrophe before it if a spreadsheet would take it for a formula, as one that begins with "="."""
    text = text.replace("\r", " ")  # csv leaves it unquoted
    if text.lstrip(" ")[:1] not in _BEGINS_A_FORMULA or not text.strip():
        return text
    try:
        float(text)
    except ValueError:
        return f"'{text}"
    return text


_BEGINS_A_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20", "|", "%")


_NEGATIVE = re.compile(r"(?:^|[\s(\[])-\d")

LATEX_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "–": "--",
    "±": r"$\pm$",
    "Δ": r"$\Delta$",
    "−": r"$-$",
    "×": r"$\times$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
}


def latex_text(text: str) -> str:
    """Text for the body of a LaTeX document: special characters escaped, what LaTeX lacks written as U+XXXX.

    >>> print(latex_text("n_1 -- 50 % → 60 %"), latex_text("-1 (-2 %) a-3"))
    n\\_1 -{}- 50 \\% [U+2192] 60 \\% $-$1 ($-$2 \\%) a-3
    """
    parts: list[str] = []
    for place, character in enumerate(text):
        if character in LATEX_SPECIAL:
            parts.append(LATEX_SPECIAL[character])
        elif character == "-" and text[place - 1 : place] == "-":
            parts.append("{}-")  # two hyphens would be set as a dash
        elif character == "-" and _NEGATIVE.match(text, max(place - 1, 0)):
            parts.append("$-$")
        elif character.isprintable() and ord(character) < 0x180:
            parts.append(character)
        else:
            parts.append(" " if character.isspace() else f"[U+{ord(character):04X}]")
    return "".join(parts)
