"""`mtp-eval tasks`, `tasks check` and `tasks extract`: list the tasks, test them on this machine, compare extraction rules."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mtp_eval.harness.commands.lazy import group
from mtp_eval.harness.commands.options import DataDir, Given, command
from mtp_eval.harness.commands.sandbox import execution_options

if TYPE_CHECKING:
    from mtp_eval.harness.evaluation.task_check import Finding


def names_here(data_dir: Path | None) -> list[str]:
    """The tasks that can be loaded without a network; the others are named on standard error."""
    from mtp_eval.harness.progress import say
    from mtp_eval.tasks.registry import here, plugin_names, task_infos

    found = {info.name: here(info, data_dir) for info in task_infos()}
    for name, where in found.items():
        if where not in ("here", "generated"):
            say(f"{name} is not checked: {where}")
    return [*(name for name, where in found.items() if where in ("here", "generated")), *plugin_names()]


def preset_findings(task_name: str) -> Iterator[Finding]:
    """Whether the presets that are trained on a task can be asked all of its problems."""
    from mtp_eval.harness.evaluation.task_check import Finding
    from mtp_eval.harness.training.preset_fit import preset_fits

    for preset, protocol, found in preset_fits(task_name):
        yield Finding(f"fits preset {preset}", not found.misfits, f"{found} ({protocol})")


@command("mtp-eval tasks check", "mtp-eval tasks check humaneval mbpp --timeout 10", config=execution_options)
def check(
    given: Given,
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="TASK...", help="Names of tasks.", show_default="all whose data are here"),
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Run references and cheats through the sandbox; exit code 1 if a check fails."""
    from mtp_eval.harness.errors import MtpEvalError
    from mtp_eval.harness.evaluation.task_check import check_task
    from mtp_eval.tasks.known_issues import known_issues
    from mtp_eval.tasks.registry import load_task

    loaded = [load_task(name, data_dir=data_dir) for name in names or names_here(data_dir)]
    failed: list[str] = []
    with execution_options().given(given).open() as pool:
        for task in loaded:
            print(task.protocol)
            for finding in chain(check_task(task, pool), preset_findings(task.name)):
                print(f"    {'ok    ' if finding.holds else 'FAILED'}  {finding.check}: {finding.seen}", flush=True)
                if not finding.holds and task.name not in failed:
                    failed.append(task.name)
            for problem_id, issue in known_issues(task.name).items():
                print(f"    known   {problem_id}: {issue.reason}")
    if failed:
        raise MtpEvalError(f"{len(failed)} tasks do not hold here: {', '.join(failed)}")


@command(
    "mtp-eval tasks extract runs/mine",
    "mtp-eval tasks extract runs/mine --cuts definitions",
    config=execution_options,
)
def extract(
    given: Given,
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A finished run's folder.")],
    data_dir: DataDir = None,
    execute: Annotated[bool, typer.Option(help="Also run the programs, for the score under each rule.")] = True,
    cuts: Annotated[
        str | None, typer.Option(metavar="RULE", help="List what this rule cuts from each completion.")
    ] = None,
) -> None:
    """Show what each extraction rule makes of a run's raw completions, and the score under it."""
    from mtp_eval.harness.evaluation.extraction import cut_lines, report_rules, rule_table
    from mtp_eval.results.run import read_run

    if cuts is not None:
        for line in cut_lines(run, data_dir, cuts):
            print(line)
        return
    options = execution_options().given(given)
    read_run(run)  # a wrong folder stops before the sandbox is made
    if not execute:
        print(rule_table(list(report_rules(run, data_dir, None))))
        return
    with options.open() as pool:
        print(rule_table(list(report_rules(run, data_dir, pool))))


tasks = group({"Commands": {"check": lambda: check, "extract": lambda: extract}})


@tasks.callback()
def _tasks(context: typer.Context, data_dir: DataDir = None) -> None:
    """List tasks with protocols, sizes, licences and sources; `check` tests them."""
    if context.invoked_subcommand is None:
        list_tasks(data_dir)


def list_tasks(data_dir: Path | None) -> None:
    """One block a task: tab-separated on the first line, its protocols indented below."""
    from mtp_eval.tasks.registry import here, plugin_names, task_infos

    for name in plugin_names():
        print(f"{name}\tof an installed plug-in")
    for info in task_infos():
        about = f"{info.summary}\t{info.source.licence}\t{info.source.origin}\t{here(info, data_dir)}"
        print(f"{info.name}\t{info.size:,} problems\t{about}")
        print(f"    {'  '.join(f'{info.name}@{protocol}' for protocol in info.protocols)}")
