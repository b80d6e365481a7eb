"""chain, route, countdown and reach: the reference is right by an oracle of this file, and wrong answers are wrong."""

from __future__ import annotations

import itertools
import re

import pytest

from mtp_eval.harness.evaluation.judging import judge_all
from mtp_eval.sandbox import Pool
from mtp_eval.tasks.errors import TaskOptionError
from mtp_eval.tasks.registry import load_task


@pytest.mark.parametrize("protocol", ["n8h2", "n10h3", "n16h4"])
def test_the_answer_of_chain_is_the_way_to_the_goal_without_the_goal(protocol):
    task = load_task(f"chain@{protocol}")
    for problem in task.problems():
        *edges, goal = problem.prompt.split()
        successor = dict(edge.split(">") for edge in edges)
        assert len(successor) == len(set(successor.values())) == int(problem.tags["nodes"])
        walk = problem.reference.split()
        assert len(walk) == int(problem.tags["hops"])
        assert [successor[node] for node in walk] == [*walk[1:], goal[1]]
        assert task.judge_reference(problem).passed
        assert not task.judge(problem, " ".join([goal[1], *walk[1:]])).passed or goal[1] == walk[0]
        assert not task.judge(problem, problem.reference.strip() + " 0").passed


def test_route_is_a_program_that_walks_to_the_goal():
    task = load_task("route", size=20)
    with Pool(workers=1) as pool:
        for problem in task.problems():
            edges = dict(re.findall(r"go\((\d),(\d)\)", problem.prompt))
            goal = re.findall(r"to\((\d)\)", problem.prompt)[0]
            walked = re.findall(r"go\((\d),(\d)\)\n", problem.reference)
            assert len(walked) == 3
            assert all(edges[a] == b for a, b in walked)
            assert [a for a, _ in walked[1:]] + [goal] == [b for _, b in walked]
        problem = next(p for p in task.problems() if len(set(p.reference.split())) == 3)
        lines = problem.reference.splitlines(keepends=True)
        texts = [problem.reference, "".join(reversed(lines)), "".join(lines[1:]), "", problem.reference + lines[0]]
        outcomes = judge_all((task.judge(problem, text) for text in texts), pool)
        assert [outcome.passed for outcome in outcomes] == [True, False, False, False, False]
        loop = f"for a, b in {[tuple(map(int, re.findall(chr(92) + 'd', line))) for line in lines]}:\n    go(a, b)\n"
        assert judge_all([task.judge(problem, loop)], pool)[0].passed, "any program that walks the path is right"


def test_routes_of_lettered_nodes_are_programs_too():
    task = load_task("route@n16h4", size=5)
    with Pool(workers=1) as pool:
        outcomes = judge_all((task.judge_reference(problem) for problem in task.problems()), pool)
    assert all(outcome.passed for outcome in outcomes), outcomes


def test_sizes_hops_and_letters_are_options():
    task = load_task("chain", nodes=5, hops=4, alphabet="abcde", size=20)
    assert task.protocol == "chain@n8h2+changed"
    assert set(re.findall(r"\w", task.problems()[0].prompt)) == set("abcde")
    for options in ({"nodes": 99}, {"hops": 8}, {"nodes": 3, "size": 10}, {"alphabet": "ab"}):
        with pytest.raises(TaskOptionError):
            load_task("chain", **options)


@pytest.mark.parametrize("protocol", ["n3", "n4", "n4s2"])
def test_countdowns_reference_is_right_by_python(protocol):
    task = load_task(f"countdown@{protocol}", size=300)
    for problem in task.problems():
        numbers, target = problem.prompt.strip().split("=")
        there = sorted(map(int, numbers.split()))
        for step in problem.reference.strip().split(","):
            left, value = step.split("=")
            assert eval(left) == int(value)
            for number in map(int, re.findall(r"\d+", left)):
                there.remove(number)
            there.append(int(value))
        assert value == target
        assert task.judge_reference(problem).passed


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ("4*5=20,20+3=23\n", True),
        ("5*4=20,3+20=23", True),
        ("4+4=8,8+15=23", False),
        ("4*5=20", False),
        ("4*5=21,21+2=23", False),
        ("5-4=1,3-1=2", False),
        ("23", False),
        ("", False),
        ("3/4=0,0+5=5", False),
        ("4*5=20,20+3=23,23*0=0", False),
    ],
)
def test_every_right_way_of_countdown_counts_and_no_wrong_one(answer, right):
    from dataclasses import replace

    task = load_task("countdown", size=10)
    problem = replace(task.problems()[0], prompt="3 4 5=23\n")
    assert task.judge(problem, answer).passed is right


def test_reach_asks_for_paths_that_training_does_not_show():
    task = load_task("reach")
    documents = list(itertools.islice(task.training_documents(0), 30_000))
    edges = {
        tuple(document.strip().split(">")[0].split())
        for document in documents
        if len(document.split(">")[1].split()) == 2
    }
    for document in documents:
        (start, end), path = document.split(">")[0].split(), document.split(">")[1].split()
        assert (path[0], path[-1]) == (start, end)
    for problem in task.problems():
        path = problem.reference.split()
        assert len(path) > 2, "no edge is asked for"
        assert set(itertools.pairwise(path)) <= edges, "every edge of it was shown"
        assert task.judge_reference(problem).passed
        assert not task.judge(problem, f"{path[0]} {path[-1]}").passed
        assert not task.judge(problem, " ".join(reversed(path))).passed


def test_no_path_of_reachs_training_leads_from_a_test_pairs_start_to_its_end():
    task = load_task("reach")
    asked = {tuple(problem.prompt.split()[:2]) for problem in task.problems()}
    for document in itertools.islice(task.training_documents(1), 50_000):
        passed = itertools.combinations(document.split(">")[1].split(), 2)
        assert asked.isdisjoint(passed), document


def reachable(numbers: list[int], steps: int) -> set[int]:
    """Every value of one to so many steps, by Python's own arithmetic."""
    found = set()
    for a, b in itertools.permutations(range(len(numbers)), 2):
        rest = [n for place, n in enumerate(numbers) if place not in (a, b)]
        for operation in ("+", "-", "*", "//"):
            if operation == "//" and (numbers[b] == 0 or numbers[a] % numbers[b]):
                continue
            value = eval(f"{numbers[a]}{operation}{numbers[b]}")
            if 0 <= value <= 999:
                found |= {value} | (reachable([*rest, value], steps - 1) if steps > 1 else set())
    return found


@pytest.mark.parametrize(("protocol", "steps", "size"), [("n3", 2, 200), ("n4s2", 2, 100), ("n4", 3, 5)])
def test_countdowns_targets_are_as_many_steps_away_as_the_protocol_says(protocol, steps, size):
    for problem in load_task(f"countdown@{protocol}", size=size).problems():
        numbers, target = problem.prompt.strip().split("=")
        given = [int(number) for number in numbers.split()]
        assert int(target) not in reachable(given, steps - 1)
        assert problem.reference.count(",") == steps - 1
