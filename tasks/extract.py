"""From a raw completion to the text that is executed: named rules, recorded and re-runnable.

The raw text is always kept in the run's journal, so that a rule can be changed afterwards without generating again.
A rule sees the problem and the completion and nothing else: not the tests, and never the verdict.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mtp_eval.tasks.problem import Problem

FENCE = re.compile(r"^[ \t]*(?:```|~~~)[^\n`]*\n(.*?)(?:^[ \t]*(?:```|~~~)[ \t]*$|\Z)", re.DOTALL | re.MULTILINE)


class UnknownRuleError(ValueError):
    """An extraction rule that does not exist."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One way to get from raw text to a program.

    Args:
        name: what `--extract` takes.
        summary: one line for the list of rules.
        apply: (problem, raw completion) to the text that joins the program.
    """

    name: str
    summary: str
    apply: Callable[[Problem, str], str]


def raw(problem: Problem, completion: str) -> str:
    """The completion as it came."""
    return completion


def stops(problem: Problem, completion: str) -> str:
    """Cut at the earliest of the protocol's stop strings; for samples of a harness that did not cut."""
    cuts = [at for stop in problem.stop if (at := completion.find(stop)) >= 0]
    return completion[: min(cuts)] if cuts else completion


def fence(problem: Problem, completion: str) -> str:
    """The first Markdown code block if there is one, else the completion as it came."""
    found = FENCE.search(completion)
    return found.group(1) if found else completion


_RULES = (
    Rule("raw", "the completion as it came", raw),
    Rule("stops", "cut at the earliest stop string of the protocol", stops),
    Rule("fence", "the first Markdown code block, if there is one", fence),
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


def extract_text(rule: str, problem: Problem, completion: str) -> str:
    """Apply the rule of this name."""
    return rule_named(rule).apply(problem, completion)
