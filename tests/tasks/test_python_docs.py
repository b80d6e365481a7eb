"""Tasks made of the running Python's documentation, and generated word problems."""

from __future__ import annotations

import inspect
import json
import re
import textwrap
from itertools import islice

import pytest

from mtp_eval.tasks.problem import Judgement
from mtp_eval.tasks.python_docs import docstrings, is_test, paragraphs
from mtp_eval.tasks.registry import load_task

MANY = 3000


def test_docstrings_are_those_that_python_shows() -> None:
    bodies = {one.body: one.summary for one in docstrings()}
    for thing in (textwrap.fill, textwrap.shorten, json.JSONDecoder):
        summary, _, body = inspect.getdoc(thing).partition("\n\n")
        assert bodies.get(body.strip()) == summary or not (10 <= len(summary) <= 90)
    assert inspect.getdoc(textwrap.fill).partition("\n\n")[0] in bodies.values()
    assert len(bodies) == len(docstrings()) > 1000


def test_paragraphs_are_sentences_on_one_line() -> None:
    assert len(set(paragraphs())) == len(paragraphs()) > 1000
    for text in paragraphs():
        assert text == " ".join(text.split())
        assert text[0].isupper()
        assert text.isascii()


@pytest.mark.parametrize("name", ["summaries", "sums"])
def test_nothing_that_is_tested_is_trained_on(name: str) -> None:
    task = load_task(name)
    prompts = {problem.prompt for problem in task.problems()}
    pairs = list(islice(task.training_pairs(0), MANY))
    assert not prompts & {prompt for prompt, _ in pairs}
    assert pairs[:50] != list(islice(task.training_pairs(1), 50))
    assert pairs[:50] == list(islice(load_task(name).training_pairs(0), 50))
    if name == "summaries":
        assert not {p.reference for p in task.problems()} & {answer for _, answer in pairs}
        assert all(is_test(one.body) for one in docstrings() if one.body in prompts)


def test_no_sentence_that_is_asked_for_stands_in_the_training_text() -> None:
    task = load_task("sentences")
    text = "\n".join(set(islice(task.training_documents(0), MANY)))
    asked = [problem.prompt + problem.reference for problem in task.problems()]
    assert not [sentence for sentence in asked if sentence in text]


def test_choices_are_four_different_endings_of_which_one_is_right() -> None:
    task = load_task("sentences@acc_norm")
    places = []
    for problem in task.problems():
        assert len(set(problem.choices)) == 4
        places.append(int(problem.tags["answer"]))
        assert problem.choices[places[-1]] == problem.reference
        lengths = sorted(map(len, problem.choices))
        assert lengths[-1] - lengths[0] <= 40, "the length does not give the answer away"
        nats = [0.0 if choice == problem.reference else -1000.0 for choice in problem.choices]
        assert task.judge(problem, json.dumps(nats)).passed
        assert not task.judge(problem, json.dumps(nats[::-1] if nats[0] != nats[-1] else [0.0, -1.0])).passed
    # each place with chance 1/4: outside 25 to 75 of 200 with probability 4e-5
    assert all(25 <= places.count(place) <= 75 for place in range(4))


def test_sums_are_worked_out_rightly_step_by_step() -> None:
    task = load_task("sums")
    for problem in task.problems():
        numbers = [int(number) for number in re.findall(r"\d+", problem.prompt)]
        value = numbers[0]
        for verb, number in re.findall(r"(finds|buys|gets|gives away|loses|sells) (\d+)", problem.prompt):
            before, value = value, value + int(number) * (1 if verb in ("finds", "buys", "gets") else -1)
            assert f"{before} {'+' if value > before else '-'} {number} = {value}." in problem.reference
        assert value > 0
        judged = [task.judge(problem, text) for text in (f" so {value}.", f" {value + 1}.", "")]
        assert [one.passed for one in judged if isinstance(one, Judgement)] == [True, False, False]
        assert len(numbers) - 1 == int(problem.tags["m"])


def test_white_space_behind_the_prompt_changes_nothing_else() -> None:
    plain, line, spaces = (load_task(f"listops@0shot-steps{pause}") for pause in ("", "-nl", "-spaces"))
    for one, two, three in zip(plain.problems(), line.problems(), spaces.problems(), strict=True):
        assert (two.prompt, three.prompt) == (one.prompt + "\n", one.prompt + "   \n")
        assert (two.reference, two.problem_id, two.tags) == (one.reference, one.problem_id, one.tags)
    assert len({task.data_sha256 for task in (plain, line, spaces)}) == 3 or plain.data_sha256 != line.data_sha256
    assert load_task("stringops@0shot-long-nl").problems()[-1].prompt.endswith('"""\n\n')
