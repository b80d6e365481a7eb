"""What the pages say exists, exists: links, folders, commands, options and presets."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.main import get_command

from mtp_eval.harness.cli import app
from mtp_eval.harness.errors import InputError
from mtp_eval.harness.training.config_files import named_config
from tests.claims_page import PAGE as CLAIMS_PAGE
from tests.claims_page import page as claims_page
from tests.readme_tree import PACKAGES, comment_of, with_trees

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
PAGES = [README, ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
PAGE_NAMES = [page.relative_to(ROOT).as_posix() for page in PAGES]


@pytest.mark.parametrize("page", PAGES, ids=PAGE_NAMES)
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text("utf-8"))
    broken = [target for target in targets if "://" not in target and not (page.parent / target).exists()]
    assert not broken


def test_the_readme_lists_every_folder_and_module_with_its_purpose() -> None:
    text = README.read_text("utf-8")
    for path in [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]:
        assert comment_of(path), f"{path.relative_to(ROOT)} has no docstring"
        assert not comment_of(path).endswith(","), (
            f"the first line of {path.relative_to(ROOT)}'s docstring is not a sentence"
        )
        name = f"{path.parent.name}/" if path.stem == "__init__" else path.stem
        assert re.search(rf"^ *{re.escape(name)} +\S", text, re.MULTILINE), (
            f"README.md does not list {name}: run `make fix`"
        )
    assert with_trees(text) == text, "the README's tree is not that of the folders: run `make fix`"


def test_the_page_of_claims_is_that_of_the_studies_and_of_what_they_left() -> None:
    assert CLAIMS_PAGE.read_text("utf-8") == claims_page(), "docs/claims.md is not that of the studies: run `make fix`"


def commands_in(text: str) -> list[list[str]]:
    """The words of each `mtp-eval ...` in shell blocks and inline code, up to a pipe or a comment; `...` is left out."""
    blocks = re.findall(r"```(?:sh|bash|console|yaml|cron)?\n(.*?)```", text, re.DOTALL)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    lines += [code.replace("\n", " ") for code in re.findall(r"`(mtp-eval [^`]+)`", text)]
    matches = [re.search(r"(?:^|[/\s])mtp-eval\s+(\S.*)", line) for line in lines]
    found = [re.split(r"\s[|#&>]|;", match.group(1))[0] for match in matches if match]
    return [shlex.split(re.sub(r"\.\.\.|…", "", words)) for words in found]


def complaint(words: Sequence[str]) -> str | None:
    """What the command line would say to `mtp-eval WORDS`; capitals stand for anything, and nothing runs.

    Commands are looked up, options must exist, and values must be of the option's type and among its choices.
    """
    command: Any = get_command(app)
    rest = list(words)
    while rest and hasattr(command, "commands") and not rest[0].startswith("-"):
        name = rest.pop(0)
        if name not in command.commands:
            return f"no command {name!r} in: mtp-eval {' '.join(words)}"
        command = command.get_command(None, name)
    if any(word.isupper() or "…" in word for word in rest):  # placeholders have no type
        options = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
        strange = [word for word in rest if word.startswith("--") and word.split("=")[0] not in options]
        return f"no option {strange[0]} in: mtp-eval {' '.join(words)}" if strange else None
    try:
        command.make_context("mtp-eval", rest, resilient_parsing=not rest)
    except typer.Exit:
        return None  # --help and --version answer at once
    except Exception as error:
        return f"{error} in: mtp-eval {' '.join(words)}"
    return None


@pytest.mark.parametrize("page", PAGES, ids=PAGE_NAMES)
def test_documented_commands_and_options_exist(page: Path) -> None:
    complaints = [complaint(words) for words in commands_in(page.read_text("utf-8"))]
    assert not any(complaints), "\n".join(filter(None, complaints))


@pytest.mark.parametrize(
    "page",
    [
        "`mtp-eval nosuch thing`",
        "`mtp-eval tasks nosuch`",
        "`mtp-eval run --nosuch 3`",
        "```sh\nmtp-eval run --model ckpt --task mbpp --seed many   # a comment\n```",
        "```sh\nmtp-eval train a b c\n```",
        "```sh\nMTP_EVAL_DATA=x .venv/bin/mtp-eval score S --nosuch\n```",
        "```sh\nmtp-eval run \\\n  --nosuch\n```",
    ],
)
def test_a_wrong_command_on_a_page_is_noticed(page: str) -> None:
    assert any(map(complaint, commands_in(page)))


def made_configs(commands: Sequence[Sequence[str]]) -> list[str]:
    """Make the training config of each `train PRESET`, its --set options included; the presets' names."""
    trained = [
        words
        for words in commands
        if words[:1] == ["train"] and words[1:] and re.fullmatch(r"[a-z][\w.-]*(?<!\.toml)", words[1])
    ]
    for words in trained:
        named_config(words[1], [value for option, value in pairwise(words) if option == "--set" and "=" in value])
    return [words[1] for words in trained]


def test_documented_trainings_are_of_presets_and_keys_that_exist() -> None:
    help_lines = [example for command in leaves(get_command(app)) for example in (command.epilog or "").splitlines()]
    texts = [page.read_text("utf-8") for page in PAGES] + ["```sh\n" + "\n".join(help_lines) + "\n```"]
    assert all(made_configs(commands_in(text)) for text in (texts[0], texts[-1]))
    for text in texts:
        made_configs(commands_in(text))


@pytest.mark.parametrize("wrong", ["train code-tiny --out x", "train listops-n4 --out x --set model.nosuch=1"])
def test_a_training_that_does_not_exist_is_noticed(wrong: str) -> None:
    with pytest.raises(InputError):
        made_configs([shlex.split(wrong)])


def leaves(command: Any) -> list[Any]:
    """Every command that is no group."""
    if not hasattr(command, "commands"):
        return [command]
    return [leaf for name in command.list_commands(None) for leaf in leaves(command.get_command(None, name))]


def test_right_commands_on_a_page_are_not_complained_of() -> None:
    page = (
        "`mtp-eval tasks` and `mtp-eval run --help`\n```sh\nmtp-eval train listops-n4 --out x > log\nls --nosuch\n```\n"
    )
    assert len(commands_in(page)) == 3
    assert not any(map(complaint, commands_in(page)))
