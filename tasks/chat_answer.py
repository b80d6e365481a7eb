"""The parts of a chat answer: thoughts, prose, and blocks of code, by CommonMark's rules as far as answers keep to them.

    answer   = [thoughts] {prose | block}
    thoughts = <think> ... </think>, or everything before a </think> whose beginning stood in the prompt
    block    = fence line, code lines, fence line of the same kind; or up to the end of the text
             | code lines, fence line: where the text before the first, bare fence line is Python (its beginning stood in the prompt)

Departures from CommonMark, each for answers that models give: a fence may follow text on its line; it may be indented by any
amount; HTML does not hide it; and a Python block continues past a fence line if it parses only that way (a fence inside a
docstring).
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

PYTHON = re.compile(r"i?py(?:thon)?[\d.]*")
"""Languages of Python, with a version or without."""
UNSAID = frozenset(("", "code", "text", "txt", "plaintext", "plain", "none"))
"""Languages that say nothing about whether a block is a program."""
TAGS = (
    "think|thinking|thought|thoughts|thought_process|reasoning|reasoning_content|reasoning_process|inner_monologue|reflection"
    "|scratchpad|analysis|seed:think|longcat_think|antthinking"
)
TOKENS = (
    (r"\[THINK\]", r"\[/THINK\]"),
    ("◁think▷", "◁/think▷"),
    (r"<\|begin_of_thought\|>", r"<\|end_of_thought\|>"),
    (r"<\|START_THINKING\|>", r"<\|END_THINKING\|>"),
    (r"<\|inner_prefix\|>", r"<\|inner_suffix\|>"),
    (r"<\|channel>thought\b", r"<channel\|>"),
    (r"<\|think\|>", r"<\|end\|>(?=<\|begin\|>assistant<\|content\|>)"),
)
"""Special tokens around thoughts, of models that have no tags for them."""
TOKENS_OPEN, TOKENS_CLOSE = ("|".join(tokens) for tokens in zip(*TOKENS, strict=True))
UNQUOTED = r"""(?<!["'`])"""
OPENING = re.compile(
    rf"^[ \t]*<(?P<tag>{TAGS})(?:\s[^<>\n]*)?>|{UNQUOTED}(?:{TOKENS_OPEN})",
    re.MULTILINE | re.IGNORECASE,
)
CLOSING = rf"(?:</(?:{TAGS})>|{TOKENS_CLOSE})"
LONE_CLOSING = re.compile(
    rf"^[ \t]*{CLOSING}|{CLOSING}[ \t]*$|{UNQUOTED}(?:{TOKENS_CLOSE})", re.MULTILINE | re.IGNORECASE
)
ANY_CLOSING = re.compile(CLOSING, re.IGNORECASE)
FENCE_LINE = re.compile(r"^[ \t>]*(?P<mark>`{3,}|~{3,})[ \t]*(?P<info>[^`\n]*)$")
MARKDOWN = frozenset(("markdown", "md"))
"""Languages whose blocks are answers themselves."""
LIST_ITEM = re.compile(r"^[ \t>]*(?:[-*+]|\d{1,9}[.)])[ \t>]*$")
AT_LINE_END = re.compile(r"(?P<mark>`{3,}|~{3,})(?P<info>[\w+.{}-]*)[ \t]*$")
NOT_A_MARK = re.compile(r"[^\s`~>]")
CODE_LINE = re.compile(
    r"^(?![ \t]*#).*(?:[=(\[]|^[ \t]*(?:return|import|from|raise|yield|pass|for|while|if|try|with)\b)", re.MULTILINE
)
"""A line of code that is not prose which Python parses: `# Solution`, `Answer`, `Note: nothing`."""
TAGS_BEFORE = re.compile(r"^[ \t]*(?:<\w[^<>\n]*>)+(?=(?:async|def|class|import|from)\b|@)", re.MULTILINE)
TAGS_AT_END = re.compile(r"(?<!>)(?:</\w[^<>\n]*>)+[ \t]*$", re.MULTILINE)
"""From the first tag of a chain on, so that a chain of thousands is read once."""

MOST_TRIES = 100
"""Fence lines of an answer that are tried as the end of a block that does not parse, so that no text takes minutes."""


@dataclass(frozen=True, slots=True)
class Block:
    """One block of code.

    Args:
        language: the first word behind the opening fence, in small letters, without braces.
        code: what stands between the fences, moved to the margin as far as the fence was indented.
        is_closed: whether a fence ends it; otherwise the text or its list does, or another block that begins.
    """

    language: str
    code: str
    is_closed: bool = True

    @property
    def is_python(self) -> bool:
        """Whether the fence says so."""
        return PYTHON.fullmatch(self.language) is not None

    @property
    def may_be_python(self) -> bool:
        """Whether the fence does not say otherwise."""
        return self.is_python or self.language in UNSAID


@dataclass(frozen=True, slots=True)
class Answer:
    """A completion without its thoughts.

    Args:
        text: the rest, with line ends as `\\n`.
        thoughts: how many characters were set aside.
    """

    text: str
    thoughts: int


def with_plain_line_ends(text: str) -> str:
    """The text with `\\n` for the line ends of Windows and of old Macs, as Python reads it."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def without_thoughts(completion: str) -> Answer:
    """Set aside what a reasoning model thinks before it answers.

    A thought that never ends takes all the rest with it: what it holds are drafts.
    """
    text = with_plain_line_ends(completion)
    whole = len(text)
    while opening := OPENING.search(text):
        closing = ANY_CLOSING.search(text, opening.end())
        text = text[: opening.start()] + (text[closing.end() :] if closing else "")
    closings = list(LONE_CLOSING.finditer(text))
    if closings:
        text = text[closings[-1].end() :]
    return Answer(text.removeprefix("\n") if len(text) < whole else text, whole - len(text))


def with_fences_apart(text: str) -> str:
    """The text with a line break before each fence that follows text on its line."""
    return "\n".join(_fences_on_their_own_lines(text.split("\n")))


def with_tags_apart(text: str) -> str:
    """The text with tags of HTML or XML that stand before a statement's first word, or end a line, on lines of their own."""
    return TAGS_AT_END.sub(r"\n\g<0>", TAGS_BEFORE.sub(r"\g<0>\n", text))


def has_fence(text: str) -> bool:
    """Whether a text has a line that opens or closes a block of code."""
    return any(FENCE_LINE.match(line) or _behind_text(line) for line in text.split("\n"))


def blocks_of(text: str, is_program: Callable[[str], bool]) -> list[Block]:
    """The blocks of code in an answer, in order.

    Args:
        text: the answer without thoughts, with line ends as `\\n`.
        is_program: whether Python parses a block's code, in the place where it would stand.
    """
    lines = _fences_on_their_own_lines(text.split("\n"))
    found = list[Block]()
    first = next((number for number, line in enumerate(lines) if FENCE_LINE.match(line)), None)
    if first is not None and not _match(lines[first])["info"].strip():
        before = "\n".join(lines[:first])
        if CODE_LINE.search(before) and is_program(before):
            found, lines = [Block("python", before + "\n")], lines[first + 1 :]
    return found + _fenced(lines, is_program)


def _behind_text(line: str) -> dict[str, str] | None:
    """The text, mark and info of a line on which a fence follows text; None for other lines. Linear in the line's length."""
    found = AT_LINE_END.search(line) if "```" in line or "~~~" in line else None
    if found is None or not NOT_A_MARK.search(line, 0, found.start()):
        return None
    return {"text": line[: found.start()], **found.groupdict()}


def _match(line: str) -> dict[str, str]:
    found = FENCE_LINE.match(line)
    return found.groupdict() if found else {"mark": "", "info": ""}


def _fenced(lines: list[str], is_program: Callable[[str], bool]) -> list[Block]:
    """What CommonMark's parser finds; a Python block goes on over fence lines where only then it parses."""
    found, tries = list[Block](), itertools.count()
    while lines:
        for first, block in _fences(lines):
            if block.language in MARKDOWN:
                found += blocks_of(block.code, is_program)
                continue
            other = _other_end(lines, first, block, is_program, tries) if block.may_be_python else None
            if other is not None:
                block, behind = other
                found.append(block)
                lines = lines[behind:]
                break  # what follows is parsed anew
            found.append(block)
        else:
            return found
    return found


def _other_end(
    lines: Sequence[str], first: int, block: Block, is_program: Callable[[str], bool], tries: Iterator[int]
) -> tuple[Block, int] | None:
    """A block that does not parse, with the end that was meant, and the line from which to go on; None where there is none."""
    if block.code.strip() and is_program(block.code):
        return None
    return _longer(lines, first, block, is_program, tries) or _until_next_opening(lines, first, block)


def _until_next_opening(lines: Sequence[str], first: int, block: Block) -> tuple[Block, int] | None:
    """The block up to a fence line with a language inside it: the model had begun again, or closed with an opening fence."""
    mark = _match(lines[first])["mark"]
    for at in range(first + 1, min(first + 2 + block.code.rstrip("\n").count("\n"), len(lines))):
        inside = _match(lines[at])
        if mark and inside["mark"] == mark and inside["info"].strip():
            return Block(block.language, _without_margin(lines[first + 1 : at], lines[first]), is_closed=False), at
    return None


def _fences(lines: Sequence[str]) -> Iterator[tuple[int, Block]]:
    """The fenced blocks that CommonMark's parser finds, with their opening lines."""
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark").disable(
        ["code", "html_block", "reference", "heading", "lheading", "hr", "inline"]
    )
    for token in parser.parse("\n".join(lines)):
        if token.type == "fence" and token.map is not None:
            words = re.split(r"[\s:,]+", token.info.strip().strip("{}").lstrip(".").lower())
            first, behind = token.map
            is_closed = behind - 1 > first and _closes(lines[behind - 1], token.markup)
            yield first, Block(words[0], token.content.removeprefix("\ufeff"), is_closed)


def _longer(
    lines: Sequence[str], first: int, block: Block, is_program: Callable[[str], bool], tries: Iterator[int]
) -> tuple[Block, int] | None:
    """The block up to the first later fence line with which it parses, and the line behind it; None where it never does."""
    mark = _match(lines[first])["mark"]
    for closing in range(first + 1, len(lines)):
        if _closes(lines[closing], mark):
            if next(tries) >= MOST_TRIES:
                return None
            code = _without_margin(lines[first + 1 : closing], lines[first])
            if code.strip() and is_program(code):
                return Block(block.language, code), closing + 1
    return None


def _closes(line: str, mark: str) -> bool:
    found = _match(line)
    return found["mark"].startswith(mark) and not found["info"].strip()


def _without_margin(lines: Sequence[str], opening: str) -> str:
    """Lines of a block without the indentation or quote marks of its opening fence."""
    margin = opening[: len(opening) - len(opening.lstrip(" \t>"))]
    return "".join(f"{line.removeprefix(margin)}\n" for line in lines)


def _fences_on_their_own_lines(lines: Sequence[str]) -> list[str]:
    """Break lines on which a fence follows text: an opening one with its language, or one that closes an open block."""
    found, mark = list[str](), ""
    for line in lines:
        alone, after = FENCE_LINE.match(line), _behind_text(line)
        if alone:
            if not mark and len(line[: len(line) - len(line.lstrip())].expandtabs(4)) >= 4:
                found.append("")  # a paragraph would go on over a fence as far inside as this
            mark = "" if mark and _closes(line, mark) else mark or alone["mark"]
        elif after and after["text"].count(after["mark"]) % 2 == 0:
            opens = not mark
            if opens and LIST_ITEM.match(after["text"]):
                mark = after["mark"]  # CommonMark knows how far inside the item's lines are
            elif opens or (after["mark"].startswith(mark) and not after["info"]):
                found.append(after["text"].rstrip() if opens else after["text"])
                line = after["mark"] + after["info"]
                mark = after["mark"] if opens else ""
        found.append(line)
    return found
