"""Choose the program in an answer: one block of code, or the lines that parse.

Chosen is the last code that defines the entry point; else what continues the prompt; else the last block, the longest lines.
What it needs of other code comes before it, and the prompt's beginning where it goes on from there.
"""

from __future__ import annotations

import builtins
import re
from collections.abc import Sequence
from dataclasses import dataclass

from mtp_eval.tasks.chat_answer import Block, blocks_of, has_fence, with_fences_apart, with_tags_apart
from mtp_eval.tasks.needed import missing_names, needed_statements
from mtp_eval.tasks.python_text import compiles, future_first, indented_groups, longest_start, valid_runs
from mtp_eval.tasks.statements import defined_names, written_apart, written_names

TILDES = re.compile(r"^[ \t]*~{3,}[ \t]*(\w+)[ \t]*$", re.MULTILINE)
"""An opening fence that Python takes for an expression."""
READS_INPUT = re.compile(r"\binput\(|\bstdin\b|\b(?:open|read|fdopen)\(0\b")


@dataclass(frozen=True, slots=True)
class Asked:
    """The facts of a problem that an extraction rule may know.

    Args:
        prefix: the part of the prompt that the program begins with.
        entry_point: the function that the tests call, where there is one.
        stop: the protocol's stop strings.
    """

    prefix: str = ""
    entry_point: str | None = None
    stop: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Extraction:
    """The result of an extraction rule on a completion.

    Args:
        source: the whole program (or the answer's text).
        cut: what was taken away, each in a few words; empty when nothing was.
    """

    source: str
    cut: tuple[str, ...] = ()


def chosen_block(asked: Asked, text: str) -> Extraction | None:
    """The program in the blocks of an answer, or outside of them where no block answers; None where there is no block."""
    if not has_fence(text) or compiles(asked.prefix + text):
        return None
    blocks = blocks_of(text, lambda code: compiles(code) or compiles(opened(asked.prefix) + code))
    usable = [block for block in blocks if block.may_be_python] or blocks
    if not usable:
        return None
    chosen = best_block(asked, usable)
    if not answers(asked, chosen) and (outside := answer_outside(asked, with_fences_apart(text))):
        return outside
    place = usable.index(chosen)
    earlier, later = ([block.code for block in part] for part in (usable[:place], usable[place + 1 :]))
    said = (f"text around one block of {len(blocks)}",)
    return Extraction(with_prefix(asked, with_what_it_needs(chosen.code, earlier, later)), said)


def best_block(asked: Asked, blocks: Sequence[Block]) -> Block:
    """The last block that defines the entry point, blocks of Python first; else one that can continue the prompt."""
    labelled = [block for block in blocks if block.is_python]
    sure = [block for block in blocks if block.is_python or (not block.language and compiles(block.code))]
    for group in (sure, blocks):
        writing = [block for block in group if asked.entry_point and writes(block, asked.entry_point)]
        if writing:
            return writing[-1]
    if asked.prefix:
        bodies = [b for b in blocks if b.code[:1].isspace() and compiles(opened(asked.prefix) + b.code)]
        if bodies:
            return bodies[0]
    for group in (labelled, blocks):
        defining = [block for block in group if asked.entry_point and defines(block.code, asked.entry_point)]
        if defining:
            return defining[-1]
    parsing = [block for block in labelled or blocks if compiles(block.code)]
    if asked.entry_point is None:
        reading = [block for block in sure if reads_input(block.code)]
        return (reading or parsing or labelled or list(blocks))[-1]
    return (parsing or labelled or list(blocks))[0]


def answers(asked: Asked, block: Block) -> bool:
    """Whether a block is a program for what was asked; otherwise the program may stand outside of the blocks."""
    if asked.entry_point is None:
        return compiles(block.code) and reads_input(block.code)
    return writes(block, asked.entry_point)


def reads_input(code: str) -> bool:
    """Whether a program seems to read its standard input."""
    return READS_INPUT.search(code) is not None


def writes(block: Block, entry_point: str) -> bool:
    """Whether a block defines the entry point with a body: not by an import, a stub or a signature alone.

    A closed block with a syntax error counts: it is what the model answered. A block that was cut off counts if its body began.
    """
    if compiles(block.code):
        return entry_point in written_names(block.code)
    if not defines(block.code, entry_point) or compiles(block.code.rstrip() + " pass"):
        return False
    return block.is_closed or any(entry_point in written_names(run) for run in valid_runs(block.code))


def defines(code: str, entry_point: str) -> bool:
    """Whether code defines a name at its top level; where it does not parse, whether a line begins so."""
    if compiles(code):
        return entry_point in defined_names(code)
    name = re.escape(entry_point)
    beginning = rf"^(?:(?:async[ \t]+)?def[ \t]+{name}[ \t]*[(\[]|class[ \t]+{name}\b|{name}[ \t]*(?::[^=\n]+)?=(?!=))"
    return re.search(beginning, code, re.MULTILINE) is not None


def chosen_lines(asked: Asked, text: str) -> Extraction:
    """The program in the lines of a text that parse, whatever stands around them."""
    anew = asked.entry_point is not None and defines(text, asked.entry_point)
    goes_on = asked.entry_point is None or compiles(asked.prefix + text)
    if (anew or not goes_on) and (written := lines_that_answer(asked, text)):
        return written
    runs = valid_runs(text)
    defining = [n for n, run in enumerate(runs) if asked.entry_point and asked.entry_point in defined_names(run)]
    if anew and defining:  # by an import, or as a stub
        return run_with_its_needs(asked, text, runs, defining[-1])
    runs = valid_runs(asked.prefix + text)
    if asked.entry_point:
        runs = [run for run in runs if asked.entry_point in defined_names(run)] or runs
    kept = max(runs, key=lambda run: run.count("\n"), default="")
    return Extraction(kept, _lines_cut((asked.prefix + text).count("\n") - kept.count("\n")))


def answer_outside(asked: Asked, text: str) -> Extraction | None:
    """The lines that answer, or those at the text's beginning that go on from the prompt; None where there are none."""
    text = TILDES.sub(r"```\1", text)
    if written := lines_that_answer(asked, text):
        return written
    if not asked.prefix or not text.lstrip("\n")[:1].isspace():
        return None
    lines, of_prefix = (opened(asked.prefix) + text).split("\n"), opened(asked.prefix).count("\n")
    kept = longest_start(lines, at_least=of_prefix)
    if not any(line.strip() for line in lines[of_prefix:kept]):
        return None
    return Extraction("\n".join([*lines[:kept], ""]), _lines_cut(len(lines) - kept))


def lines_that_answer(asked: Asked, text: str) -> Extraction | None:
    """The last lines that write the entry point, or read the input where there is none; None where no lines do."""
    if asked.entry_point and asked.entry_point not in text:
        return None
    text = TILDES.sub(r"```\1", text)
    return _lines_that_answer(asked, text) or (
        _lines_that_answer(asked, apart) if (apart := with_tags_apart(text)) != text else None
    )


def _lines_that_answer(asked: Asked, text: str) -> Extraction | None:
    runs = valid_runs(text)
    if asked.entry_point is None:
        answering = [number for number, run in enumerate(runs) if reads_input(run)]
    else:
        answering = [number for number, run in enumerate(runs) if asked.entry_point in written_names(run)]
    if answering:
        return run_with_its_needs(asked, text, runs, answering[-1])
    indented = [code for code in indented_groups(text) if asked.entry_point in written_names(code)]
    if not indented:
        return None
    return Extraction(with_prefix(asked, indented[-1]), _lines_cut(text.count("\n") + 1 - indented[-1].count("\n")))


def run_with_its_needs(asked: Asked, text: str, runs: Sequence[str], place: int) -> Extraction:
    """One run of lines, behind what it needs of the others."""
    kept = with_what_it_needs(runs[place], runs[:place], runs[place + 1 :])
    return Extraction(with_prefix(asked, kept), _lines_cut(text.count("\n") - kept.count("\n")))


def _lines_cut(n: int) -> tuple[str, ...]:
    return (f"{n} line{'s that are' if n > 1 else ' that is'} no part of the program",) if n > 0 else ()


def with_what_it_needs(code: str, earlier: Sequence[str], later: Sequence[str]) -> str:
    """Code behind what it uses of other code and does not bring itself: of earlier code all, of later code imports and definitions.

    What stands only in an example behind the answer, such as a global variable, is no part of it.
    """
    if not compiles(code):
        return code
    for before in reversed(earlier):
        if compiles(before) and (missing := missing_names(code) & defined_names(before)):
            code = needed_statements(before, missing, imports=False) + code
    for behind in later:
        if missing := (missing_names(code) - set(dir(builtins))) & written_apart(behind):
            code = needed_statements(behind, missing, imports=False) + code
    return code


def with_prefix(asked: Asked, code: str) -> str:
    """The prefix continued by the code; where the code defines the function anew, the prefix is closed first."""
    if asked.entry_point and asked.prefix and defines(code, asked.entry_point):
        future, rest = future_first(code) if "__future__" in code and compiles(code) else ("", code)
        return f"{future}{closed(asked.prefix)}\n{rest}"
    return opened(asked.prefix) + code if code[:1].isspace() else asked.prefix + code


def opened(prefix: str) -> str:
    """The prefix, ended with a line break, so that the first line of a body can follow."""
    return prefix if not prefix or prefix.endswith("\n") else prefix + "\n"


def closed(prefix: str) -> str:
    """The prefix as a program of its own: with a body where its last function has none."""
    prefix = opened(prefix)
    if compiles(prefix):
        return prefix
    last = next((line for line in reversed(prefix.split("\n")) if line.strip()), "")
    margin = last[: len(last) - len(last.lstrip())]
    candidates = (f"{prefix}{margin}pass\n", f"{prefix}{margin}    pass\n", f"{prefix}    pass\n")
    return next((candidate for candidate in candidates if compiles(candidate)), "")
