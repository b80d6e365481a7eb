"""Multiple choice by likelihood: the choice that head 1 finds likeliest is the model's answer.

Protocols: `sum` takes the log-probability of a whole choice ("acc" in lm-evaluation-harness), `acc_norm` divides it by the
choice's length in characters, without the space before it, as that harness's acc_norm does. Both can be computed from one
record, which keeps the figures of every choice.

The data are local JSON lines, or named data sets through `datasets`. A local row has `prompt`, `choices` (a list of
texts that continue the prompt as they are) and `answer` (an index from 0).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mtp_eval.tasks.base import choose_protocol
from mtp_eval.tasks.errors import DataError
from mtp_eval.tasks.problem import Judgement, Problem, Task
from mtp_eval.tasks.sources import load_file, read_checked

PROTOCOLS = ("sum", "acc_norm")
Row = Mapping[str, Any]
Question = tuple[str, list[str], int]
"""Prompt, choices, index of the right one."""


def arc(row: Row) -> Question:
    """ARC: labels are letters or digits."""
    labels, texts = row["choices"]["label"], row["choices"]["text"]
    return f"Question: {row['question']}\nAnswer:", [f" {text}" for text in texts], labels.index(row["answerKey"])


def hellaswag(row: Row) -> Question:
    """HellaSwag: the activity's label, the context, and four endings."""
    context = f"{row['activity_label']}: {row['ctx_a']} {row['ctx_b'].capitalize()}"
    return clean(context), [f" {clean(ending)}" for ending in row["endings"]], int(row["label"])


def piqa(row: Row) -> Question:
    """PIQA: two solutions to a goal."""
    return f"Question: {row['goal']}\nAnswer:", [f" {row['sol1']}", f" {row['sol2']}"], int(row["label"])


def siqa(row: Row) -> Question:
    """Social IQa: three answers; labels count from 1."""
    prompt = f"Q: {row['context']} {row['question']}\nA:"
    return prompt, [f" {row[f'answer{letter}']}" for letter in "ABC"], int(row["label"]) - 1


def copa(row: Row) -> Question:
    """COPA: the premise, "because" or "therefore", and two clauses that begin small."""
    premise = row["premise"].strip().removesuffix(".")
    connector = {"cause": "because", "effect": "therefore"}[row["question"]]
    choices = [f" {row[name][0].lower()}{row[name][1:]}" for name in ("choice1", "choice2")]
    return f"{premise} {connector}", choices, int(row["label"])


def clean(text: str) -> str:
    """HellaSwag's text without the marks of the site it was taken from."""
    return re.sub(r"\[.*?\]", "", text.strip().replace(" [title]", ". ")).replace("  ", " ")


READERS: Mapping[str, Callable[[Row], Question]] = {
    "arc-challenge": arc,
    "hellaswag": hellaswag,
    "piqa": piqa,
    "siqa": siqa,
    "copa": copa,
}
"""How the published rows of each set become questions."""


class ChoiceTask(Task):
    """A task whose problems have choices, and the number of the right one as the tag "answer".

    Args:
        name: as registered.
        protocol: one of `PROTOCOLS`.
        problems: with choices.
        data_sha256: as in `Task`.
    """

    needs = "likelihood"

    def __init__(
        self,
        name: str,
        protocol: str,
        problems: Sequence[Problem],
        *,
        data_sha256: str | None = None,
        extract: str | None = None,
    ):
        self._by_length = protocol == "acc_norm"
        super().__init__(name, protocol, problems, data_sha256=data_sha256, extract=extract)

    def judge_program(self, problem: Problem, source: str) -> Judgement:
        """Judge a JSON list with one log-probability in nats for each choice."""
        try:
            nats = [float(value) for value in json.loads(source)]
        except (ValueError, TypeError):
            nats = []
        if len(nats) != len(problem.choices):
            return Judgement(False, "", f"expected {len(problem.choices)} log-probabilities, got {source[:40]!r}")
        lengths = [max(len(choice.removeprefix(" ")), 1) if self._by_length else 1 for choice in problem.choices]
        scores = [value / length for value, length in zip(nats, lengths, strict=True)]
        best = scores.index(max(scores))
        right = best == int(problem.tags["answer"])
        return Judgement(right, str(best), "" if right else f"chose {best}, the answer is {problem.tags['answer']}")

    def judge_reference(self, problem: Problem) -> Judgement:
        """Judge likelihoods that leave no doubt: a reference is a choice here, not a completion."""
        right = int(problem.tags["answer"])
        nats = [0.0 if number == right else -1000.0 for number in range(len(problem.choices))]
        return self.judge_program(problem, json.dumps(nats))


class MultipleChoiceTask(ChoiceTask):
    """One set of questions under one way of comparing choices.

    Args:
        name: a key of `READERS`, or of the user's own file.
        protocol: one of `PROTOCOLS`.
        file: local questions as (prompt, choices, answer) rows.
        data_dir: a folder where NAME.jsonl may lie, with the hub's rows or with local ones.
    """

    def __init__(
        self,
        name: str,
        protocol: str | None = None,
        *,
        file: Path | None = None,
        data_dir: Path | None = None,
        extract: str | None = None,
    ):
        chosen = choose_protocol(name, protocol, PROTOCOLS)
        questions = load(name, file, data_dir)
        problems = [
            Problem(
                problem_id=f"{name}/{number}",
                prompt=prompt,
                reference=choices[answer],
                choices=tuple(choices),
                tags={"answer": str(answer)},
            )
            for number, (prompt, choices, answer) in enumerate(questions)
        ]
        sha256 = hashlib.sha256(json.dumps(questions).encode()).hexdigest()
        super().__init__(name, chosen, problems, data_sha256=sha256, extract=extract)


def load(name: str, file: Path | None, data_dir: Path | None) -> list[Question]:
    """Questions of a local file, of NAME.jsonl in a data folder, or of the hub.

    Raises:
        DataError: nothing there, or a row that is no question.
    """
    if file is None and name not in READERS:
        raise DataError(f"{name}: no such question set; expected one of {', '.join(READERS)} or a local file")
    loaded = read_checked(file) if file else load_file(f"{name}.jsonl", data_dir)
    return [to_question(name, row, loaded.where, number) for number, row in enumerate(loaded.rows, start=1)]


def to_question(name: str, row: Row, where: str, number: int) -> Question:
    """A local row as it is, a published one through its set's reader.

    Raises:
        DataError: a field is missing or the answer is no index of a choice.
    """
    try:
        if "prompt" in row and "choices" in row:
            question = (str(row["prompt"]), [str(choice) for choice in row["choices"]], int(row["answer"]))
        else:
            question = READERS[name](row)
        if not 0 <= question[2] < len(question[1]):
            raise ValueError(f"answer {question[2]} of {len(question[1])} choices")
    except (KeyError, ValueError, TypeError, IndexError, AttributeError) as error:
        raise DataError(
            f"{where}, row {number}: expected the fields prompt, choices (a list) and answer (an index), or those of "
            f"{name} as published; {type(error).__name__}: {error}"
        ) from None
    return question
