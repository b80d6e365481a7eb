"""Notes under a table: sentences on what was unusual in a run, which a reader must know."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from mtp_eval.results.record import Record
from mtp_eval.sandbox.outcome import Verdict

MANY = 0.5
FENCES = ("```", "~~~")


@dataclass(slots=True)
class _Counts:
    n: int = 0
    cut: int = 0
    context: int = 0
    filtered: int = 0
    empty: int = 0
    syntax: int = 0
    fenced: int = 0
    broken: int = 0
    sensitive: int = 0
    example: str = ""

    def add(self, record: Record) -> None:
        self.n += 1
        completion, outcome = record.completion, record.outcome
        self.cut += completion.prompt_tokens_cut > 0
        self.context += completion.stop_reason == "context"
        self.filtered += completion.stop_reason == "content_filter"
        self.empty += not completion.text.strip()
        self.syntax += outcome.verdict is Verdict.SYNTAX_ERROR
        self.fenced += any(fence in completion.text for fence in FENCES)
        self.broken += not record.judged
        self.sensitive += outcome.timeout_sensitive
        if not self.example and outcome.verdict is Verdict.SYNTAX_ERROR:
            self.example = f"{record.problem_id} sample {record.sample}: {outcome.error}"


def notes(records: Iterable[Record]) -> list[str]:
    """One sentence for each thing that was unusual, by model and task."""
    counted: defaultdict[tuple[str, str], _Counts] = defaultdict(_Counts)
    for record in records:
        counted[(record.model, record.task)].add(record)
    return [f"{model} on {task}: {text}" for (model, task), counts in counted.items() for text in _sentences(counts)]


def _sentences(counts: _Counts) -> list[str]:
    n = counts.n
    found = [
        (counts.broken, f"the sandbox broke on {counts.broken} of {n} programs; they are left out of the scores"),
        (counts.filtered, f"the server's content filter cut {counts.filtered} of {n} completions"),
        (counts.cut, f"{counts.cut} of {n} prompts did not fit into the model's context and lost their beginning"),
        (counts.context, f"{counts.context} of {n} completions were cut where the model's context was full"),
        (counts.syntax == n, f"not one of {n} programs compiles ({counts.example})"),
        (counts.empty > MANY * n, f"{counts.empty} of {n} completions are empty"),
        (
            counts.fenced > MANY * n,
            f"{counts.fenced} of {n} completions carry Markdown fences: see the extraction rules in docs/tasks.md",
        ),
        (
            counts.sensitive,
            f"{counts.sensitive} of {n} verdicts turned when a timed-out program was run alone: raise --timeout",
        ),
    ]
    return [text for applies, text in found if applies]
