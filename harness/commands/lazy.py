"""A group of subcommands of which only the one that is called is built, so that `mtp-eval --help` answers at once.

app = typer.Typer(cls=lazy_group({"Measure": {"run": lambda: run}}), ...)
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import typer
from typer.core import TyperGroup

from mtp_eval.harness.commands.options import Command

Loader = Callable[[], Command | typer.Typer]
"""Finds a command or a group of them when it is asked for."""

CONTEXT = {"help_option_names": ["-h", "--help"]}
"""Settings of every command."""


def lazy_group(headings: Mapping[str, Mapping[str, Loader]]) -> type[TyperGroup]:
    """The class of a group with these commands, shown under these headings in --help."""
    loaders = {name: load for commands in headings.values() for name, load in commands.items()}

    class LazyGroup(TyperGroup):
        def __init__(self, **attributes: Any):
            super().__init__(**attributes)
            self.commands.update(dict.fromkeys(loaders))  # type: ignore[arg-type]  # names, for suggestions

        def get_command(self, ctx: Any, cmd_name: str) -> Any:
            if cmd_name in loaders and self.commands.get(cmd_name) is None:
                self.commands[cmd_name] = build(cmd_name, loaders[cmd_name]())
            return super().get_command(ctx, cmd_name)

        def format_commands(self, ctx: Any, formatter: Any) -> None:
            for heading, commands in headings.items():
                with formatter.section(heading):
                    formatter.write_dl([(name, summary(load())) for name, load in commands.items()])

    return LazyGroup


def build(name: str, found: Command | typer.Typer) -> Any:
    """The click command of one of ours."""
    if isinstance(found, typer.Typer):
        built: Any = typer.main.get_command(found)
    else:
        app = typer.Typer(add_completion=False, context_settings=CONTEXT, pretty_exceptions_enable=False)
        found.add_to(app, name)
        built = typer.main.get_command(app)
    built.name = name
    return built


def summary(found: Command | typer.Typer) -> str:
    """The line that stands for a command in its group's --help."""
    if isinstance(found, Command):
        return found.summary
    callback = found.registered_callback
    help_text = callback.callback.__doc__ if callback and callback.callback else ""
    return inspect.cleandoc(help_text or "").partition("\n")[0]


def group(headings: Mapping[str, Mapping[str, Loader]], *, add_completion: bool = False) -> typer.Typer:
    """A typer app whose commands are built when they are called; it needs a callback with a docstring."""
    return typer.Typer(
        cls=lazy_group(headings),
        invoke_without_command=True,
        add_completion=add_completion,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings=CONTEXT,
    )
