"""From a raw completion to the source that is executed: named rules, recorded and re-runnable.

The raw text is always kept in the run's journal, so that a rule can be changed afterwards without generating again.
A rule sees the completion and `Asked`: the part of the prompt that belongs to the program (HumanEval's signature and
docstring; nothing for MBPP), the entry point and the stop strings. It never sees the tests or a verdict.

Not covered: repairing code. A rule may cut text or pick a part of it; it never rewrites what the model wrote, except
that `definitions` prints what it keeps from the syntax tree's own line ranges.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from mtp_eval.tasks.errors import UnknownRuleError

FENCE = re.compile(
    r"^[ \t]*(```+|~~~+)[^\n`]*\n(.*?)(?:^[ \t]*\1[ \t]*$|\Z)",
    re.DOTALL | re.MULTILINE,
)
SPECIAL = re.compile(r"<\|(?:end_?of_?text|im_end|eot_id|file_sep|file_separator|fim_\w+)\|>|<(?:EOT|eos)>|</s>")
"""Texts of end-of-sequence tokens that a harness decoded instead of stopping at."""


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
class Rule:
    """One way to get from raw text to a program.

    Args:
        name: what `--extract` takes.
        summary: one line for the list of rules.
        apply: what was asked and the raw completion to the whole source.
    """

    name: str
    summary: str
    apply: Callable[[Asked, str], str]


def raw(asked: Asked, completion: str) -> str:
    """Prefix and completion as they came."""
    return asked.prefix + completion


def stops(asked: Asked, completion: str) -> str:
    """Cut at the earliest stop string of the protocol, or at the text of an end-of-sequence token."""
    cuts = [at for stop in asked.stop if (at := completion.find(stop)) >= 0]
    if special := SPECIAL.search(completion):
        cuts.append(special.start())
    return asked.prefix + (completion[: min(cuts)] if cuts else completion)


def fence(asked: Asked, completion: str) -> str:
    """The first Markdown code block; one that defines the function again follows a prefix closed with `pass`."""
    found = FENCE.search(completion)
    if found is None:
        return stops(asked, completion)
    block = found.group(2)
    if (
        asked.prefix
        and asked.entry_point
        and re.search(rf"^def\s+{re.escape(asked.entry_point)}\b", block, re.MULTILINE)
    ):
        return f"{asked.prefix}    pass\n\n{block}"
    return asked.prefix + block


def dedent_end(asked: Asked, completion: str) -> str:
    """Cut where the function body ends: at the first later line that is not indented and does not fit the syntax.

    Unlike stop strings this keeps `\\n#` comments and helper functions that follow.
    """
    lines = (asked.prefix + completion).split("\n")
    for end in range(len(lines), max(asked.prefix.count("\n"), 0), -1):
        source = "\n".join(lines[:end])
        if compiles(source):
            return source
    return asked.prefix + completion


def definitions(asked: Asked, completion: str) -> str:
    """The longest run of lines that parses, then only imports, and definitions that the entry point reaches.

    EvalPlus cleans completions in this way (with another parser). Tabs become four spaces, as they do there.
    """
    text = fence(asked, completion) if FENCE.search(completion) else asked.prefix + completion
    source = longest_valid_lines(text.replace("\t", "    "))
    return reachable_definitions(source, asked.entry_point)


_RULES = (
    Rule("raw", "the completion as it came", raw),
    Rule("stops", "cut at the earliest stop string of the protocol", stops),
    Rule("fence", "the first Markdown code block, else as `stops`", fence),
    Rule("longest", "the longest prefix, in whole lines, that parses", dedent_end),
    Rule("definitions", "longest valid lines, then what the entry point needs (EvalPlus's way)", definitions),
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


def compiles(source: str) -> bool:
    """Whether Python parses the text."""
    try:
        parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def parse(source: str) -> ast.Module:
    """`ast.parse` without the warnings that odd literals give."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(source)


def longest_valid_lines(text: str) -> str:
    """The longest run of consecutive lines that parses; the text itself when it does, empty when nothing does.

    At most 200 lines are searched, as the search parses every run of lines.
    """
    if compiles(text):
        return text
    lines = text.split("\n")[:200]
    best = (0, 0)
    for start in range(len(lines)):
        if len(lines) - start <= best[1] - best[0]:
            break
        for end in range(len(lines), start + best[1] - best[0], -1):
            if compiles("\n".join(lines[start:end])):
                best = (start, end)
                break
    return "\n".join(lines[best[0] : best[1]])


def reachable_definitions(source: str, entry_point: str | None) -> str:
    """Imports, and the functions, classes and assignments that the entry point uses, in their own order and text.

    A source without the entry point is kept whole: dropping everything would hide what went wrong.
    """
    tree = parse(source)
    named = [(node, _binds(node)) for node in tree.body]
    if entry_point is None or not any(entry_point in names for _, names in named):
        return source
    wanted, queue = set[str](), [entry_point]
    while queue:
        name = queue.pop()
        if name in wanted:
            continue
        wanted.add(name)
        for node, names in named:
            if name in names:
                queue += [use.id for use in ast.walk(node) if isinstance(use, ast.Name)]
    lines = source.split("\n")
    kept = []
    for node, names in named:
        if isinstance(node, ast.Import | ast.ImportFrom) or names & wanted:
            decorators = getattr(node, "decorator_list", [])
            first = min([node.lineno, *(d.lineno for d in decorators)])
            kept += lines[first - 1 : node.end_lineno]
    return "\n".join(kept) + "\n"


def _binds(node: ast.stmt) -> set[str]:
    """The names a top-level statement defines; empty for statements that are only run."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        return {use.id for target in targets for use in ast.walk(target) if isinstance(use, ast.Name)}
    return set()


@dataclass(frozen=True, slots=True)
class RuleStatistics:
    """What a rule does to a set of raw completions.

    Args:
        rule: its name.
        n: completions.
        n_changed: whose source differs from the raw one.
        n_emptied: of which nothing is left, though the model wrote something.
        n_broken: that compiled raw and do not any more.
        n_compile: whose source compiles.
        n_fenced: that hold a Markdown fence.
        cut_by: how many each stop string cuts (the earliest one counts).
    """

    rule: str
    n: int
    n_changed: int
    n_emptied: int
    n_broken: int
    n_compile: int
    n_fenced: int
    cut_by: Mapping[str, int]


def statistics(pairs: Sequence[tuple[Asked, str]]) -> list[RuleStatistics]:
    """For every rule, what it does to these raw completions."""
    whole = [asked.prefix + text for asked, text in pairs]
    raw_compiles = [compiles(source) for source in whole]
    n_fenced = sum(bool(FENCE.search(text)) for _, text in pairs)
    cut_by = Counter(stop for asked, text in pairs if (stop := earliest_stop(asked, text)))
    found = []
    for rule in _RULES:
        sources = [rule.apply(asked, text) for asked, text in pairs]
        ok = [compiles(source) for source in sources]
        found.append(
            RuleStatistics(
                rule=rule.name,
                n=len(pairs),
                n_changed=sum(source != before for source, before in zip(sources, whole, strict=True)),
                n_emptied=sum(
                    bool(text.strip()) and source.strip() == asked.prefix.strip()
                    for source, (asked, text) in zip(sources, pairs, strict=True)
                ),
                n_broken=sum(before and not after for before, after in zip(raw_compiles, ok, strict=True)),
                n_compile=sum(ok),
                n_fenced=n_fenced,
                cut_by=dict(cut_by) if rule.name == "stops" else {},
            )
        )
    return found


def earliest_stop(asked: Asked, text: str) -> str:
    """The stop string that cuts a completion, or empty."""
    found = [(at, stop) for stop in asked.stop if (at := text.find(stop)) >= 0]
    return min(found)[1] if found else ""
