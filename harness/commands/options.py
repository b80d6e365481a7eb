"""Commands whose options are the fields of a config class, built only when the command is called.

    @command("mtp-eval run --model ckpt --task mbpp", config=lambda: RunConfig)
    def run(given: Given) -> None:
        "Generate completions, execute them, score them."
        config = RunConfig.given(given)

`mtp-eval --help` imports neither pydantic nor rich: a config class is loaded by the command that is called.
"""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from pydantic import BaseModel
    from pydantic.fields import FieldInfo

Given = dict[str, Any]
"""The options that the user gave, by field name."""

DataDir = Annotated[
    Path | None,
    typer.Option(
        metavar="PATH",
        help="Folder of benchmark files.",
        show_default="$MTP_EVAL_DATA",
        exists=True,
        file_okay=False,
    ),
]
"""`--data-dir` of the commands that have no config class."""

METAVARS: dict[object, str] = {int: "N", float: "X", Path: "PATH", str: "TEXT"}
"""What stands for a value in --help where its field names nothing better (`json_schema_extra={"metavar": ...}`)."""


@dataclass(frozen=True)
class Command:
    """A subcommand: its function, examples for --help, and the config class of its options, if it has one."""

    function: Callable[..., None]
    examples: tuple[str, ...]
    config: Callable[[], type[BaseModel]] | None
    arguments: tuple[str, ...]

    @property
    def summary(self) -> str:
        """First line of the function's docstring."""
        return (inspect.getdoc(self.function) or "").partition("\n")[0]

    def add_to(self, app: typer.Typer, name: str) -> None:
        """Register the command with a typer app; from here on its options exist."""
        function = self.function if self.config is None else with_options(self, self.config())
        epilog = "\n\n".join(("Examples:", *self.examples))
        app.command(name, epilog=epilog)(function)


def command(
    *examples: str,
    config: Callable[[], type[BaseModel]] | None = None,
    arguments: tuple[str, ...] = (),
) -> Callable[[Callable[..., None]], Command]:
    """Make a subcommand of a function; with a config class its first parameter receives what the user gave.

    `arguments` are fields that stand without a name on the command line.
    """
    return lambda function: Command(function, examples, config, arguments)


def with_options(made: Command, config: type[BaseModel]) -> Callable[..., None]:
    """The command's function with a parameter for each field of the config class in place of its first one."""
    own = list(inspect.signature(made.function, eval_str=True).parameters.values())[1:]
    fields = config.model_fields
    context = inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
    parameters = [
        context,
        *(parameter(name, fields[name], None, True) for name in made.arguments),
        *(
            parameter(name, fields[name], group, False)
            for group, names in groups(config)
            for name in names
            if name not in made.arguments
        ),
        *(one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in own),
    ]

    def call(context: typer.Context, **values: Any) -> None:
        given = {name: values.pop(name) for name in fields}
        sources = {name: context.get_parameter_source(name) for name in fields}
        made.function(
            {name: value for name, value in given.items() if value is not None and not _is_default(sources[name])},
            **values,
        )

    call.__doc__ = inspect.getdoc(made.function)
    call.__name__ = made.function.__name__
    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    call.__annotations__ = {one.name: one.annotation for one in parameters}
    return call


def _is_default(source: Any) -> bool:
    """click's ParameterSource: DEFAULT and DEFAULT_MAP are not the user's words."""
    return source is not None and source.name.startswith("DEFAULT")


def groups(config: type[BaseModel]) -> Iterator[tuple[str, list[str]]]:
    """The headings of --help with their fields: a class's own fields first, then those of each base under the base's heading."""
    for cls in config.__mro__:
        own = [name for name in inspect.get_annotations(cls) if name in config.model_fields]
        if own:
            yield cls.GROUP, own  # type: ignore[attr-defined]


def parameter(name: str, field: FieldInfo, group: str | None, is_argument: bool) -> inspect.Parameter:
    """A field as a parameter that typer understands: type, range, default and help are the field's."""
    extra: Mapping[str, Any] = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    annotation = command_line_type(field.annotation)
    shared: dict[str, Any] = {
        "help": f"{field.description or ''}{' Required.' if field.is_required() and not is_argument else ''}",
        "metavar": extra.get("metavar") or METAVARS.get(annotation),
        "rich_help_panel": group,
        "show_default": extra.get("default", not field.is_required()),
        **limits(field, annotation),
    }
    info = typer.Argument(**shared) if is_argument else typer.Option(**shared)
    must_be_given = is_argument and field.is_required()
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=inspect.Parameter.empty if must_be_given else _shown(field.get_default()),
        annotation=Annotated[annotation if must_be_given else annotation | None, info],
    )


def _shown(default: Any) -> Any:
    """Defaults of several values as the texts that the command line takes."""
    if isinstance(default, tuple):
        return [f"{value:g}" if isinstance(value, float) else str(value) for value in default]
    return default


def command_line_type(annotation: Any) -> Any:
    """The type of one word on the command line: several values and values of two types are texts, which the class reads."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        options = [part for part in typing.get_args(annotation) if part is not type(None)]
        return command_line_type(options[0]) if len(options) == 1 else str
    if typing.get_origin(annotation) is Annotated:
        return command_line_type(typing.get_args(annotation)[0])
    if typing.get_origin(annotation) is tuple:
        return list[str]
    return annotation


def limits(field: FieldInfo, annotation: Any) -> dict[str, Any]:
    """`ge` and `le` of a number; the class itself tests the others."""
    if annotation not in (int, float):
        return {}
    found = {}
    for rule in field.metadata:
        for attribute, name in (("ge", "min"), ("le", "max")):
            if hasattr(rule, attribute):
                found[name] = getattr(rule, attribute)
    return found
