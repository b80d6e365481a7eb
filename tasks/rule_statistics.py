"""Statistics of extraction rules on a set of completions: how many each changes, empties, breaks and leaves parsing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mtp_eval.tasks.chat_answer import has_fence
from mtp_eval.tasks.extract import Asked, compiles, earliest_stop, rules, written_lines


@dataclass(frozen=True, slots=True)
class RuleStatistics:
    """The effect of a rule on a set of raw completions.

    Args:
        rule: its name.
        n: completions.
        n_changed: whose source differs from the raw one, by more than blank lines.
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
    n_fenced = sum(bool(has_fence(text)) for _, text in pairs)
    cut_by = Counter(stop for asked, text in pairs if (stop := earliest_stop(asked, text)))
    found = []
    for rule in rules().values():
        sources = [rule.apply(asked, text).source for asked, text in pairs]
        ok = [compiles(source) for source in sources]
        found.append(
            RuleStatistics(
                rule=rule.name,
                n=len(pairs),
                n_changed=sum(
                    written_lines(source) != written_lines(before)
                    for source, before in zip(sources, whole, strict=True)
                ),
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
