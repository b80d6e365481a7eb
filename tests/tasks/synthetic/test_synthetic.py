"""Generated tasks: right by an independent oracle, the same from the same seed, and disjoint from their training text."""

from __future__ import annotations

import functools
import itertools
import random
import re
from typing import Any

import pytest

from mtp_eval.tasks.errors import TaskOptionError
from mtp_eval.tasks.problem import Task
from mtp_eval.tasks.registry import load_task
from mtp_eval.tasks.synthetic.story_words import vocabulary

LONG = pytest.param("listops@0shot-long", marks=pytest.mark.slow)
TRAINABLE = [
    "listops",
    LONG,
    "stringops",
    "poly@f3x2",
    "poly@f2x3-m3",
    "induction",
    "induction@meetings-2",
    "stargraph",
    "stargraph@d5l5",
    "stargraph@d2l3",
    "chain",
    "route",
    "countdown",
    "reach",
]


SMALLER: dict[str, Any] = {"poly@f3x2": {"per_m": 150}, "poly@f2x3-m3": {"per_m": 150}}
"""Options that make a task quick to generate."""


@functools.cache
def task_of(name: str) -> Task:
    """A task, made once for all tests here that look at it."""
    return load_task(name, **SMALLER.get(name, {}))


def run_python(source: str, value):
    """The oracle: Python itself."""
    namespace: dict = {}
    exec(source, namespace)
    return namespace["solve"](value)


@pytest.mark.slow
@pytest.mark.parametrize("name", TRAINABLE)
def test_training_text_never_holds_a_test_problem_and_follows_its_seed(name):
    task = task_of(name)
    first = list(itertools.islice(task.training_documents(0), 3000))
    assert first[:1000] == list(itertools.islice(task.training_documents(0), 1000))
    assert first[:50] != list(itertools.islice(task.training_documents(1), 50))
    tests = {problem.prompt + problem.reference for problem in task.problems()}
    assert not tests & set(first)
    if not name.startswith("induction"):  # there a problem is a part of a story
        prompts = [problem.prompt for problem in task.problems()]
        assert not any(document.startswith(prompt) for prompt in prompts[:40] for document in first)


@pytest.mark.slow
@pytest.mark.parametrize("name", TRAINABLE)
def test_a_task_is_the_same_each_time_and_its_hash_says_so(name):
    options = SMALLER.get(name, {})
    a, b = task_of(name), load_task(name, **options)
    assert a.problems() == b.problems()
    assert a.data_sha256 == b.data_sha256
    assert load_task(name, seed=5, **options).data_sha256 != a.data_sha256


@pytest.mark.parametrize("name", ["listops", LONG, "stringops"])
def test_hidden_tests_are_what_python_says(name):
    task = task_of(name)
    for problem in task.problems()[::7]:
        program = task.judge(problem, problem.reference)
        checks = re.findall(r"assert solve\((.*)\) == (.*)", program.tests)
        assert len(checks) >= 5
        for given, expected in checks:
            assert repr(run_python(program.source, eval(given))) == expected


@pytest.mark.parametrize("name", ["listops", "stringops"])
@pytest.mark.parametrize(
    "body", [" return a\n", " return []\n", " return None\n", " return sorted(a)\n", " return ''\n"]
)
def test_simple_bodies_are_wrong_wherever_they_are_not_the_answer(name, body):
    task = task_of(name)
    for problem in task.problems()[::5]:
        program = task.judge(problem, body)
        if 'sort"' in problem.prompt and "sorted" in body and problem.tags["m"] == "1":
            continue
        with pytest.raises(AssertionError):
            exec(program.source + program.tests, {})


def all_outputs(source: str, values: list[Any]) -> list[Any]:
    namespace: dict[str, Any] = {}
    exec(source, namespace)
    return [namespace["solve"](value) for value in values]


def mistaken(body: str, rng: random.Random) -> str:
    """The body with another number, another operator or another variable in one place."""
    lines = body.splitlines()
    place = rng.randrange(len(lines) - 1)
    changes = [
        (r"\d+", lambda found: str(max(1, int(found.group()) + rng.choice((-1, 1))))),
        (r" [-+*<>] ", lambda found: rng.choice((" + ", " - ", " * ", " > ", " < "))),
        (r"\[::-1\]", lambda found: "[:]"),
        (r"(?<=in )[b-z]", lambda found: chr(ord(found.group()) - 1)),
    ]
    pattern, change = rng.choice(changes)
    lines[place] = re.sub(pattern, change, lines[place], count=1)
    return "\n".join(lines) + "\n"


@pytest.mark.slow
def test_programs_with_one_mistake_fail():
    """They are written into the reference's text; 100 random lists say whether one is a mistake."""
    task, rng, wrong = load_task("listops"), random.Random(11), 0
    lists = [[rng.randint(-20, 60) for _ in range(rng.randint(4, 12))] for _ in range(100)]
    for problem in list(task.problems()) * 2:
        body = mistaken(problem.reference, rng)
        program, right = task.judge(problem, body), task.judge(problem, problem.reference)
        try:
            differs = all_outputs(program.source, lists) != all_outputs(right.source, lists)
        except TypeError:
            continue  # a number in place of a list
        if differs:
            wrong += 1
            with pytest.raises(AssertionError):
                exec(program.source + program.tests, {})
    assert wrong > 200


def test_star_graphs_of_the_test_are_all_different():
    meanings = {
        (frozenset(p.prompt.split("|")[0].split()), p.prompt.split("|")[1])
        for p in load_task("stargraph@d2l3").problems()
    }
    assert len(meanings) == 1000
    with pytest.raises(TaskOptionError, match="too few graphs"):
        load_task("stargraph@d2l3", size=20_000)


def test_training_has_the_short_compositions_and_the_test_both_domains():
    task = task_of("listops")
    documents = list(itertools.islice(task.training_documents(3), 600))
    assert {document.count("\n") - 3 for document in documents} == {1, 2, 3}
    assert max(map(len, documents)) < 180
    by_domain = {
        domain: {p.tags["m"] for p in task.problems() if p.tags["domain"] == domain} for domain in ("in", "out")
    }
    assert by_domain == {"in": {"1", "2", "3"}, "out": {"4", "5", "6"}}
    assert task.report_by == "domain"


@pytest.mark.slow
def test_the_long_protocol_asks_for_longer_compositions():
    assert {"7", "10"} <= {p.tags["m"] for p in task_of("listops@0shot-long").problems()}


def test_a_star_graphs_answer_is_the_only_path():
    for name in ("stargraph", "stargraph@d5l5"):
        for problem in task_of(name).problems()[:200]:
            edges_text, _, question = problem.prompt.partition("|")
            edges = edges_text.split(" ")
            came_from = {edge[1]: edge[0] for edge in edges}
            assert len(came_from) == len(edges), "every node but the centre has one edge into it"
            centre, goal = question[0], question[1]
            path = goal
            while path[0] != centre:
                path = came_from[path[0]] + path
            assert problem.reference == path + "\n"


@pytest.mark.parametrize("task", ["induction", "induction@meetings-2"])
def test_induction_asks_for_second_letters_of_names_met_before(task):
    problems = task_of(task).problems()
    trained = set(re.findall(r"[A-Z][a-z]", " ".join(itertools.islice(task_of(task).training_documents(0), 500))))
    for problem in problems:
        name = problem.prompt[-1] + problem.reference
        assert re.fullmatch(r"[A-Z][a-z]", name)
        assert name in problem.prompt[:-1], "met before"
        assert name not in trained or task == "induction@meetings-2", "never in training"
        others = {n for n in re.findall(r"[A-Z][a-z]", problem.prompt[:-1]) if n[0] == name[0]}
        assert others == {name}, "the first letter says who is meant"
        assert problem.max_new_tokens == 1


def test_meetings_are_short_and_their_out_of_domain_stories_are_of_the_other_templates():
    task = task_of("induction@meetings-2")
    texts = {d: " ".join(p.prompt for p in task.problems() if p.tags["domain"] == d) for d in ("in", "out")}
    assert task.report_by == "domain"
    of_the_others = {"wanted", "looked", "told", "gave", "found"}
    assert of_the_others & set(texts["out"].split())
    assert not of_the_others & set(texts["in"].split())
    assert set(re.findall(r"[A-Z]", texts["in"] + texts["out"])) == set("ABCDEFGH")
    assert max(len(p.prompt) for p in task.problems()) < 220, "fits into the presets' context"


def test_poly_with_few_operations_says_so_in_its_name():
    task = load_task("poly@f2x3-m3", per_m=20)
    assert {(p.tags["m"], p.tags["domain"]) for p in task.problems()} == {
        *((f"0{m}", "in") for m in (1, 2, 3)),
        *((f"0{m}", "out") for m in (4, 5, 6)),
    }
    documents = list(itertools.islice(task.training_documents(0), 500))
    assert {len(re.findall(r"\(", document)) for document in documents} == {1, 2, 3}
    assert load_task("poly@f2x3-m3", per_m=20, train_m=(1, 2)).protocol == "poly@f2x3-m3+changed"


@pytest.mark.parametrize("name", ["induction", "induction@meetings-2"])
def test_stories_keep_to_the_vocabulary(name):
    words = vocabulary()
    assert len(words) >= 2500, "a few thousand"
    for story in itertools.islice(task_of(name).training_documents(0), 50):
        assert set(re.findall(r"[a-z]+", re.sub(r"\b[A-Z][a-z]\b", "", story))) <= words | {"i"}


def test_names_of_a_users_corpus_are_replaced(tmp_path):
    corpus = tmp_path / "stories.txt"
    corpus.write_text("Lily met Tom. Lily waved, and Tom ran to Lily.\n\nNo one is named here.\n\nTom sat. Tom slept.")
    task = load_task("induction", corpus=corpus, corpus_names=["Lily", "Tom"])
    assert task.protocol == "induction@stories-2+stories.txt"
    texts = [p.prompt + p.reference for p in task.problems()]
    assert len(texts) == 2 + 1 + 1
    assert not any("Lily" in text or "Tom" in text for text in texts)
    assert re.fullmatch(r"([A-Z][a-z]) met ([A-Z][a-z])\. \1", texts[0])
    with pytest.raises(ValueError, match="no name of"):
        load_task("induction", corpus=corpus, corpus_names=["Zoe"])
