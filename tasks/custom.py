"""Tasks of the user's own: a TOML file that names a JSONL file, a prompt template and the tests. No Python needed.

    name = "squares"
    protocol = "0shot"
    data = "squares.jsonl"              # beside the TOML file
    id = "{id}"
    prompt = "# {text}\\ndef {function}("
    reference = "{solution}"
    prefix = "def {function}("          # what stands before the completion in the program; empty by default
    tests = "{asserts}"                 # trusted Python; or answer = "{number}" for an exact match
    entry_point = "{function}"
    stop = ["\\ndef ", "\\nclass "]
    extract = "stops"
    max_new_tokens = 256
    interpreter = "auto"                # or "program": the tests run in the program's own interpreter; "outside": never
    licence = "CC0"
    sha256 = "..."                      # of the data file; optional, refused when it differs

Fields of a row stand in braces; a list becomes one line for each of its items. Double braces are literal ones.
"""

from __future__ import annotations

import re
import string
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mtp_eval.tasks.errors import DataError
from mtp_eval.tasks.exact_match import ExactMatchTask
from mtp_eval.tasks.problem import TRUSTED_TESTS, Problem, Program, Task
from mtp_eval.tasks.sources import Loaded, read_checked

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
REQUIRED = ("name", "data", "id", "prompt")
OPTIONAL = {
    "protocol": "custom",
    "reference": "",
    "prefix": "",
    "tests": "",
    "answer": "",
    "entry_point": "",
    "extract": "stops",
    "interpreter": "auto",
    "licence": "",
    "report_by": "",
    "sha256": "",
}
INTERPRETERS = {"auto": None, "program": True, "outside": False}
"""Where tests run: as `Program.same_interpreter` has it."""
LISTS = ("stop", "tags")
NUMBERS = ("max_new_tokens", "timeout_seconds")


class CustomTask(Task):
    """A task of a TOML file whose completions are executed."""

    caution = TRUSTED_TESTS

    def __init__(self, config: Mapping[str, Any], loaded: Loaded, extract: str | None = None):
        self.report_by = config["report_by"] or None
        self._rows = {fill(config["id"], row): row for row in loaded.rows}
        self._config = config
        super().__init__(
            config["name"],
            config["protocol"],
            problems_of(config, loaded),
            data_sha256=loaded.sha256,
            extract=extract or config["extract"],
        )

    def prefix(self, problem: Problem) -> str:
        """The filled template of the prefix."""
        return fill(self._config["prefix"], self._rows[problem.problem_id])

    def judge_program(self, problem: Problem, source: str) -> Program:
        """Judge by the filled tests."""
        return Program(
            problem_id=problem.problem_id,
            source=source,
            tests=fill(self._config["tests"], self._rows[problem.problem_id]),
            same_interpreter=INTERPRETERS[self._config["interpreter"]],
            entry_point=problem.entry_point,
            timeout_seconds=self._config.get("timeout_seconds"),
        )


class CustomAnswerTask(ExactMatchTask):
    """A task of a TOML file whose answer is compared as text."""

    def __init__(self, config: Mapping[str, Any], loaded: Loaded, extract: str | None = None):
        self.report_by = config["report_by"] or None
        config = {**config, "reference": config["answer"]}
        super().__init__(
            config["name"],
            config["protocol"],
            problems_of(config, loaded),
            data_sha256=loaded.sha256,
            extract=extract or config["extract"],
        )


def load_custom(file: Path, *, extract: str | None = None) -> Task:
    """The task that a TOML file describes.

    Raises:
        DataError: the file or its data cannot be read, a key is missing or unknown, or a template names no field.
    """
    config = read_config(file)
    data = file.parent / config["data"]
    if not data.is_file():
        raise DataError(f"{file}: data = {config['data']!r} names {data}, which is not there")
    loaded = read_checked(data, expected=config["sha256"] or None)
    made_by = CustomTask if config["tests"] else CustomAnswerTask
    try:
        task = made_by(config, loaded, extract)
        for problem in task.problems():
            task.judge_reference(problem)
        return task
    except KeyError as error:
        fields = ", ".join(loaded.rows[0]) if loaded.rows else "none"
        raise DataError(
            f"{file}: a template names the field {error}, which a row lacks; the first row has {fields}"
        ) from None


def read_config(file: Path) -> dict[str, Any]:
    """The TOML file with defaults filled in.

    Raises:
        DataError: it cannot be read, or a key is missing, unknown or of the wrong type.
    """
    try:
        given = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise DataError(f"{file}: cannot be read as TOML: {error}") from None
    known = {*REQUIRED, *OPTIONAL, *LISTS, *NUMBERS}
    if unknown := sorted(set(given) - known):
        raise DataError(f"{file}: unknown key {', '.join(unknown)}; the keys are {', '.join(sorted(known))}")
    if missing := [key for key in REQUIRED if not isinstance(given.get(key), str)]:
        raise DataError(f"{file}: expected the text key {', '.join(missing)}; docs/tasks.md shows a whole file")
    config = {**OPTIONAL, **given}
    if bad := [key for key in OPTIONAL if not isinstance(config[key], str)]:
        raise DataError(f"{file}: {', '.join(bad)} must be text")
    if config["interpreter"] not in INTERPRETERS:
        raise DataError(f"{file}: interpreter = {config['interpreter']!r}; expected one of {', '.join(INTERPRETERS)}")
    if not NAME.fullmatch(config["name"]):
        raise DataError(
            f"{file}: name = {config['name']!r} becomes part of folder names: use letters, digits, points, dashes and _"
        )
    if bool(config["tests"]) == bool(config["answer"]):
        raise DataError(f"{file}: give either tests (completions are executed) or answer (they are compared), not both")
    return config


def problems_of(config: Mapping[str, Any], loaded: Loaded) -> list[Problem]:
    """One problem a row."""
    return [
        Problem(
            problem_id=fill(config["id"], row),
            prompt=fill(config["prompt"], row),
            reference=fill(config["reference"], row),
            stop=tuple(config.get("stop", ())),
            max_new_tokens=config.get("max_new_tokens"),
            entry_point=fill(config["entry_point"], row) or None,
            tags={tag: str(row[tag]) for tag in config.get("tags", ())},
        )
        for row in loaded.rows
    ]


def fill(template: str, row: Mapping[str, Any]) -> str:
    """The template with the row's fields; only plain names in braces, so that a file cannot reach attributes.

    Raises:
        KeyError: a name that the row lacks.
    """
    text = ""
    for literal, name, _, _ in string.Formatter().parse(template):
        text += literal
        if name is not None:
            value = row[name]
            text += "\n".join(map(str, value)) if isinstance(value, list) else str(value)
    return text
