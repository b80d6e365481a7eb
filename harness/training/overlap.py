"""Overlap of training text with benchmarks: shared runs of n tokens (n-gram decontamination).

A token here is a word, a number or a punctuation mark; layout does not count. A document overlaps a problem when they
share at least one run of n tokens. Runs that more than a tenth of a benchmark's problems share (few-shot examples,
boilerplate) are left out. What this does not find: paraphrases, translations, renamed variables.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

TOKEN = re.compile(r"\w+|[^\w\s]")
DEFAULT_N = 13
"""As in GPT-3's report (arXiv 2005.14165, appendix C)."""
COMMON_SHARE = 0.1

Gram = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Hit:
    """One document that shares runs with one problem. `share` is the part of the problem's runs that it holds."""

    document: str
    problem: str
    runs: int
    share: float


class OverlapIndex:
    """Runs of n tokens of every problem, ready for documents to be looked up."""

    def __init__(self, problems: Mapping[str, str], n: int = DEFAULT_N):
        """`problems` maps a problem's name to all its text: prompt, reference, tests."""
        self.n = n
        self.owners: dict[Gram, list[str]] = defaultdict(list)
        self.n_runs: Counter[str] = Counter()
        for name, text in problems.items():
            for gram in set(grams(text, n)):
                self.owners[gram].append(name)
        common = max(2, COMMON_SHARE * len(problems))
        for gram in [gram for gram, names in self.owners.items() if len(names) > common]:
            del self.owners[gram]
        for names in self.owners.values():
            self.n_runs.update(names)

    def hits(self, document: str, text: str) -> list[Hit]:
        """The problems that `text` overlaps, the worst first."""
        found: Counter[str] = Counter()
        for gram in set(grams(text, self.n)):
            found.update(self.owners.get(gram, ()))
        return [Hit(document, problem, runs, runs / self.n_runs[problem]) for problem, runs in found.most_common()]


def grams(text: str, n: int) -> Iterator[Gram]:
    """All runs of n tokens."""
    tokens = TOKEN.findall(text)
    return zip(*(tokens[i:] for i in range(n)), strict=False)


def summarise(hits: Iterable[Hit]) -> dict[str, tuple[int, int, float]]:
    """Totals by task (what stands before the problem's first "/"): problems hit, documents hit, largest share."""
    by_task: dict[str, list[Hit]] = defaultdict(list)
    for hit in hits:
        by_task[hit.problem.partition("/")[0]].append(hit)
    return {
        task: (len({h.problem for h in found}), len({h.document for h in found}), max(h.share for h in found))
        for task, found in sorted(by_task.items())
    }
