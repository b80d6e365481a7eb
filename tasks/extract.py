"""From a raw completion to the source that is executed: named rules, recorded and re-runnable.

    completion = [special tokens] text [special token, and whatever follows it]      (special_tokens)
    text       = [thoughts] answer                                                   (chat_answer)
    answer     = {prose | block of code}     of which one block is chosen
               | {prose | lines that parse}  where there is no block, or none that defines the entry point
    program    = prefix + body | prefix closed + chosen code, behind what it needs of earlier code

Chosen is the last code that defines the entry point; else what continues the prompt; else the last block, the longest lines.
The raw text is always kept in the run's journal, so that a rule can be changed afterwards without generating again. A rule sees
the completion and `Asked`, never the tests or a verdict. Nothing is rewritten: a rule cuts text or picks a part of it, and says
what it cut.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from mtp_eval.tasks.chat_answer import Answer, with_plain_line_ends, without_thoughts
from mtp_eval.tasks.chosen import Asked as Asked
from mtp_eval.tasks.chosen import Extraction as Extraction
from mtp_eval.tasks.chosen import chosen_block, chosen_lines
from mtp_eval.tasks.errors import UnknownRuleError
from mtp_eval.tasks.needed import needed_statements
from mtp_eval.tasks.python_text import compiles as compiles
from mtp_eval.tasks.python_text import longest_start
from mtp_eval.tasks.python_text import parse as parse
from mtp_eval.tasks.special_tokens import end_at_special_token
from mtp_eval.tasks.statements import defined_names

BYTE_ORDER_MARK = "\ufeff"
INDENTATION = re.compile(r"^[ \t]+", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Rule:
    """One way to get from raw text to a program.

    Args:
        name: what `--extract` takes.
        summary: one line for the list of rules.
        apply: what was asked and the raw completion to the whole source and what was cut.
    """

    name: str
    summary: str
    apply: Callable[[Asked, str], Extraction]


def raw(asked: Asked, completion: str) -> Extraction:
    """Keep prefix and completion as they came."""
    return Extraction(asked.prefix + completion)


def stops(asked: Asked, completion: str) -> Extraction:
    """Cut at the earliest stop string of the protocol, and at the first special token."""
    ended = ended_text(asked, completion)
    stop = earliest_stop(asked, ended.source)
    kept = ended.source[: ended.source.index(stop)] if stop else ended.source
    said = (f"{len(ended.source) - len(kept)} characters from the stop string {stop!r} on",) if stop else ()
    return Extraction(asked.prefix + kept, (*ended.cut, *said))


def longest(asked: Asked, completion: str) -> Extraction:
    """Cut at the first special token, then the last lines until the rest parses.

    Unlike stop strings this keeps `\\n#` comments and helper functions that follow.
    """
    ended = ended_text(asked, completion)
    lines = (asked.prefix + ended.source).split("\n")
    kept = longest_start(lines, at_least=asked.prefix.count("\n"))
    if kept <= asked.prefix.count("\n"):
        return Extraction(asked.prefix + ended.source, ended.cut)
    said = (f"the last {len(lines) - kept} lines",) if kept < len(lines) else ()
    return Extraction("\n".join(lines[:kept]), (*ended.cut, *said))


def fence(asked: Asked, completion: str) -> Extraction:
    """Keep the chosen block of a chat answer, or the lines outside that answer where no block does; without blocks as `stops`."""
    answer, cut = answer_of(asked, completion)
    found = chosen_block(asked, answer.text)
    if found is None:
        kept = stops(asked, answer.text)
        return Extraction(kept.source, (*cut, *kept.cut))
    return Extraction(found.source, (*cut, *found.cut))


def definitions(asked: Asked, completion: str) -> Extraction:
    """Keep the chosen block, or without blocks the chosen lines that parse; of these what the entry point needs.

    EvalPlus cleans completions in this way (with another parser); tabs before code become four spaces, as they do there,
    but only where it does not parse with tabs. Other than there, statements at the top level stay that the entry point
    depends on: settings, loops and calls that fill its tables.
    """
    answer, cut = answer_of(asked, completion)
    text = with_plain_line_ends(answer.text)
    found = chosen_block(asked, text)
    if found is None or not compiles(found.source):
        found = chosen_of_any_lines(asked, text)
    if asked.entry_point is None or asked.entry_point not in defined_names(found.source):
        return Extraction(found.source, (*cut, *found.cut))
    needed = needed_statements(found.source, {asked.entry_point})
    n_cut = len(written_lines(found.source)) - len(written_lines(needed))
    said = (f"{n_cut} line{'s' if n_cut > 1 else ''} that {asked.entry_point} does not need",) if n_cut > 0 else ()
    return Extraction(needed, (*cut, *found.cut, *said))


def written_lines(source: str) -> list[str]:
    """The lines that are not blank."""
    return [line.rstrip() for line in source.split("\n") if line.strip()]


def chosen_of_any_lines(asked: Asked, text: str) -> Extraction:
    """The program in an answer without blocks, or in a block that holds other lines too."""
    if not compiles(asked.prefix + text):
        text = indented_by_spaces(text)
    found = chosen_block(asked, text)
    if found is None:
        return chosen_lines(asked, text)
    if compiles(found.source):
        return found
    in_block = chosen_lines(replace(asked, prefix=""), found.source)
    return Extraction(in_block.source, (*found.cut, *in_block.cut))


def indented_by_spaces(text: str) -> str:
    """The text with four spaces for each tab before the first other character of a line."""
    return INDENTATION.sub(lambda found: found.group().replace("\t", "    "), text)


def ended_text(asked: Asked, completion: str) -> Extraction:
    """The completion up to its first special token; all of it where it is Python as it stands."""
    completion = completion.removeprefix(BYTE_ORDER_MARK)
    if compiles(asked.prefix + completion):
        return Extraction(completion)
    ended = end_at_special_token(asked.prefix, completion)
    said = (f"{len(completion) - len(ended.text)} characters with {' '.join(ended.cut)}",) if ended.cut else ()
    return Extraction(ended.text, said)


def answer_of(asked: Asked, completion: str) -> tuple[Answer, tuple[str, ...]]:
    """The completion without special tokens and thoughts, and what was cut; Python as it stands has neither."""
    if compiles(asked.prefix + completion):
        return Answer(completion, 0), ()
    thoughtless = without_thoughts(completion.removeprefix(BYTE_ORDER_MARK))
    said = (f"{thoughtless.thoughts} characters of thoughts",) if thoughtless.thoughts else ()
    ended = ended_text(asked, thoughtless.text)
    return Answer(ended.source, thoughtless.thoughts), (*said, *ended.cut)


_RULES = (
    Rule("raw", "the completion as it came", raw),
    Rule("stops", "cut at the earliest stop string of the protocol and the first special token", stops),
    Rule("fence", "the block of code that defines the function, thoughts set aside; else as `stops`", fence),
    Rule("longest", "the longest prefix, in whole lines, that parses", longest),
    Rule("definitions", "the block or the lines as in `fence`, then what the entry point needs", definitions),
)


def rules() -> Mapping[str, Rule]:
    """All rules by name."""
    return {rule.name: rule for rule in _RULES}


def rule_named(name: str) -> Rule:
    """The rule of this name.

    Raises:
        UnknownRuleError: with the names there are.
    """
    known = rules()
    if name not in known:
        raise UnknownRuleError(f"unknown extraction rule {name!r}; expected one of {', '.join(known)}")
    return known[name]


def earliest_stop(asked: Asked, text: str) -> str:
    """The stop string that cuts a completion, or empty."""
    found = [(at, stop) for stop in asked.stop if (at := text.find(stop)) >= 0]
    return min(found)[1] if found else ""
