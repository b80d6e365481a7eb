"""The command line as a user meets it: what start-up imports, exit codes, one paragraph per error."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from mtp_eval.harness.cli import app
from mtp_eval.harness.evaluation.config import RunConfig

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).with_name("mtp-eval")
HEAVY = ("torch", "pandas", "datasets", "scipy", "matplotlib", "transformers", "pydantic", "rich")


def all_commands() -> Iterator[tuple[str, Any]]:
    """Every subcommand with its full name, found from the app: "run", "tasks check"."""

    def below(name: str, found: Any) -> Iterator[tuple[str, Any]]:
        if not hasattr(found, "commands"):
            yield name, found
            return
        for child in found.list_commands(None):
            yield from below(f"{name} {child}".strip(), found.get_command(None, child))

    return below("", get_command(app))


def run_cli(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if name != "MTP_EVAL_DATA"} | environment
    return subprocess.run([BIN, *arguments], cwd=cwd, env=env, capture_output=True, text=True, check=False)


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['mtp-eval', '--help']\n"
        "from mtp_eval.harness.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip().endswith("[]"), out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "--model", "nowhere", "--task", "humaneval"], "there is no such checkpoint folder"),
        (["run", "--model", "nowhere", "--task", "humanevil"], "did you mean humaneval"),
        (["run", "--task", "humaneval"], "--model"),
        (["run", "--model", "x", "--task", "mbpp", "--k", "ten"], "--k: should be a valid integer"),
        (["run", "--model", "x", "--task", "mbpp", "--k", "5"], "pass@5 needs at least 5"),
        (["score", "nowhere.jsonl", "--task", "humaneval"], "there is no samples file"),
        (["table", "nowhere"], "no run folder"),
        (["train", "listops-n3", "--out", "x"], "listops-n"),
    ],
)
def test_bad_usage_is_one_paragraph_and_exit_code_2(tmp_path: Path, arguments: list[str], message: str) -> None:
    done = run_cli(*arguments, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) <= 3
    assert done.stdout == ""


@pytest.mark.slow
def test_mbpp_without_its_file_says_how_to_get_it(tmp_path: Path) -> None:
    done = run_cli("run", "--model", ".", "--task", "mbpp", cwd=tmp_path, HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1")
    assert done.returncode == 2
    for way in ("--data-dir", "MTP_EVAL_DATA", "google-research-datasets/mbpp"):
        assert way in done.stderr


def test_mbpp_with_a_broken_line_names_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "mbpp.jsonl").write_text('{"task_id": 1}\n{"task_id": 2\n')
    done = run_cli("run", "--model", ".", "--task", "mbpp", "--data-dir", ".", cwd=tmp_path)
    assert done.returncode == 2
    assert "sha256" in done.stderr
    assert "line 2" in done.stderr


def test_every_command_has_help_with_two_examples_and_is_documented() -> None:
    page = (ROOT / "docs" / "cli.md").read_text("utf-8")
    for name, found in all_commands():
        assert found.help, f"{name} has no help"
        assert len(re.findall(r"^mtp-eval ", found.epilog or "", re.MULTILINE)) >= 2, f"{name} has no two examples"
        assert f"mtp-eval {name.split()[0]}" in page, f"docs/cli.md does not mention {name}"


def test_examples_in_help_use_options_that_exist() -> None:
    unknown = []
    for name, found in all_commands():
        for example in re.findall(r"^mtp-eval (.*)", found.epilog, re.MULTILINE):
            words = shlex.split(example)
            if words[: len(name.split())] == name.split():
                options = {option for parameter in found.params for option in parameter.opts + parameter.secondary_opts}
                unknown += [f"{word} in: {example}" for word in words if word.startswith("--") and word not in options]
    assert not unknown, "\n".join(unknown)


def test_a_config_class_is_the_one_place_of_an_option() -> None:
    """Every field is an option with the field's help, and a changed default is what --help shows."""
    options = {parameter.name: parameter for parameter in dict(all_commands())["run"].params}
    for name, field in RunConfig.model_fields.items():
        assert options[name].help.removesuffix(" Required.") == field.description
        if not field.is_required() and field.get_default() is not None:
            shown = field.get_default()
            assert options[name].default == ([f"{v:g}" for v in shown] if isinstance(shown, tuple) else shown)


@pytest.mark.parametrize("way", [["-m", "mtp_eval.harness"], ["-m", "mtp_eval.harness.cli"]])
def test_python_m_is_the_command(way: list[str], tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, *way, "-h"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == run_cli("--help", cwd=tmp_path).stdout


def test_the_version_is_the_installed_one(tmp_path: Path) -> None:
    assert run_cli("--version", cwd=tmp_path).stdout == f"mtp-eval {metadata.version('mtp-eval')}\n"


@pytest.mark.slow
def test_the_shell_completes_commands_and_options(tmp_path: Path) -> None:
    def complete(words: str) -> str:
        environment = {"_MTP_EVAL_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
        return run_cli(cwd=tmp_path, **environment).stdout

    assert complete("mtp-eval ru").split() == ["run", "runs"]
    assert "--n-samples" in complete("mtp-eval run --n").split()
    assert complete("mtp-eval tasks ch").split() == ["check"]


@pytest.mark.slow
def test_a_config_file_takes_single_values_and_errors_name_it(tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text('model = "nowhere"\ntask = "humaneval"\ntop_p = 1.5\n')
    done = run_cli("run", "--config", "run.toml", cwd=tmp_path)
    assert done.returncode == 2
    assert "run.toml: top_p: should be less than or equal to 1, got 1.5 (Nucleus sampling" in done.stderr
    done = run_cli("run", "--config", "run.toml", "--top-p", "0.9", cwd=tmp_path)
    assert "there is no such checkpoint folder" in done.stderr
