"""From a raw completion to the source that is executed: named rules, recorded and re-runnable.

    completion = [special tokens] text [special token, and whatever follows it]      (special_tokens)
    text       = [thoughts] answer                                                   (chat_answer)
    answer     = {prose | block of code}     of which one block is chosen
               | {prose | lines that parse}  where there is no block
    program    = prefix + body | prefix closed + chosen code, behind what it needs of earlier code

Chosen is the last code that defines the entry point; else what continues the prompt; else the last block, the longest lines.
The raw text is always kept in the run's journal, so that a rule can be changed afterwards without generating again. A rule sees
the completion and `Asked`, never the tests or a verdict. Nothing is rewritten: a rule cuts text or picks a part of it, and says
what it cut.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from mtp_eval.tasks.chat_answer import Answer, Block, blocks_of, has_fence, without_thoughts
from mtp_eval.tasks.errors import UnknownRuleError
from mtp_eval.tasks.python_text import compiles as compiles
from mtp_eval.tasks.python_text import (
    defined_names,
    future_first,
    indented_groups,
    longest_start,
    missing_names,
    needed_statements,
    valid_runs,
    written_names,
)
from mtp_eval.tasks.python_text import parse as parse
from mtp_eval.tasks.special_tokens import end_at_special_token

BYTE_ORDER_MARK = "\ufeff"


@dataclass(frozen=True, slots=True)
class Asked:
    """What a rule may know of a problem.

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
    """What a rule made of a completion.

    Args:
        source: the whole program (or the answer's text).
        cut: what was taken away, each in a few words; empty when nothing was.
    """

    source: str
    cut: tuple[str, ...] = ()


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
    """Keep the chosen block of a chat answer, else as `stops`."""
    answer, cut = answer_of(asked, completion)
    found = chosen_block(asked, answer.text)
    if found is None:
        kept = stops(asked, answer.text)
        return Extraction(kept.source, (*cut, *kept.cut))
    return Extraction(found.source, (*cut, *found.cut))


def definitions(asked: Asked, completion: str) -> Extraction:
    """Keep the chosen block, or without blocks the chosen lines that parse; of these what the entry point needs.

    EvalPlus cleans completions in this way (with another parser); tabs become four spaces, as they do there. Other than
    there, statements at the top level stay that the entry point depends on: settings, and loops that fill its tables.
    """
    answer, cut = answer_of(asked, completion)
    text = answer.text.replace("\t", "    ")
    found = chosen_block(asked, text)
    if found is None:
        found = chosen_lines(asked, text)
    elif not compiles(found.source):
        in_block = chosen_lines(replace(asked, prefix=""), found.source)
        found = Extraction(in_block.source, (*found.cut, *in_block.cut))
    if asked.entry_point is None or asked.entry_point not in defined_names(found.source):
        return Extraction(found.source, (*cut, *found.cut))
    needed = needed_statements(found.source, {asked.entry_point})
    n_cut = found.source.count("\n") - needed.count("\n")
    said = (f"{n_cut} lines that {asked.entry_point} does not need",) if n_cut > 1 else ()
    return Extraction(needed, (*cut, *found.cut, *said))


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


def chosen_block(asked: Asked, text: str) -> Extraction | None:
    """The program in the blocks of an answer; None where it has none."""
    if not has_fence(text) or compiles(asked.prefix + text):
        return None
    blocks = blocks_of(text, lambda code: compiles(code) or compiles(opened(asked.prefix) + code))
    usable = [block for block in blocks if block.may_be_python] or blocks
    if not usable:
        return None
    chosen = best_block(asked, usable)
    earlier = [block.code for block in usable[: usable.index(chosen)]]
    said = (f"text around one block of {len(blocks)}",)
    return Extraction(with_prefix(asked, with_what_it_needs(chosen.code, earlier)), said)


def best_block(asked: Asked, blocks: Sequence[Block]) -> Block:
    """The last block that writes the entry point, those first whose fence says Python; else what can go on from the prompt."""
    labelled = [block for block in blocks if block.is_python]
    for group in (labelled, blocks):
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
        reading = [block for block in parsing if "input(" in block.code or "stdin" in block.code]
        return (reading or parsing or labelled or list(blocks))[-1]
    return (parsing or labelled or list(blocks))[0]


def writes(block: Block, entry_point: str) -> bool:
    """Whether a block is an answer: it defines the name, not by an import, a stub or a signature, and is not cut off before.

    A closed block with a syntax error is one: it is what the model says.
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
    starts = (f"def {entry_point}(", f"async def {entry_point}(", f"class {entry_point}", f"{entry_point} =")
    return any(line.startswith(starts) for line in code.split("\n"))


def chosen_lines(asked: Asked, text: str) -> Extraction:
    """The program in the lines of a text that parse, whatever stands around them."""
    lines = text.count("\n") + 1
    if asked.entry_point and defines(text, asked.entry_point):  # the function is written anew
        runs = valid_runs(text)
        defining = numbers_of(runs, asked.entry_point)
        if defining:
            kept = with_what_it_needs(runs[defining[-1]], runs[: defining[-1]])
            return Extraction(with_prefix(asked, kept), _lines_cut(lines - kept.count("\n") - 1))
    if asked.entry_point and asked.entry_point in text and not compiles(asked.prefix + text):
        indented = [code for code in indented_groups(text) if asked.entry_point in written_names(code)]
        if indented:
            return Extraction(with_prefix(asked, indented[-1]), _lines_cut(lines - indented[-1].count("\n")))
    runs = valid_runs(asked.prefix + text)
    if asked.entry_point:
        runs = [run for run in runs if asked.entry_point in defined_names(run)] or runs
    kept = max(runs, key=lambda run: run.count("\n"), default="")
    return Extraction(kept, _lines_cut((asked.prefix + text).count("\n") - kept.count("\n")))


def numbers_of(runs: Sequence[str], entry_point: str) -> list[int]:
    """Which runs write the entry point; where none does, which ones define it at all."""
    writing = [number for number, run in enumerate(runs) if entry_point in written_names(run)]
    return writing or [number for number, run in enumerate(runs) if entry_point in defined_names(run)]


def _lines_cut(n: int) -> tuple[str, ...]:
    return (f"{n} lines that are no part of the program",) if n > 0 else ()


def with_what_it_needs(code: str, earlier: Sequence[str]) -> str:
    """Code behind the definitions of earlier code that it uses and does not bring itself."""
    if not compiles(code):
        return code
    for before in reversed(earlier):
        if compiles(before) and (missing := missing_names(code) & defined_names(before)):
            code = needed_statements(before, missing, imports=False) + code
    return code


def with_prefix(asked: Asked, code: str) -> str:
    """The prefix with code that goes on from it, or, where the code defines the function anew, closed before it."""
    if asked.entry_point and asked.prefix and defines(code, asked.entry_point):
        future, rest = future_first(code) if "__future__" in code and compiles(code) else ("", code)
        return f"{future}{closed(asked.prefix)}\n{rest}"
    return opened(asked.prefix) + code if code[:1].isspace() else asked.prefix + code


def opened(prefix: str) -> str:
    """The prefix with a line end, behind which the first line of a body can stand."""
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
