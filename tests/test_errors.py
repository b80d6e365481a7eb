"""Bad input, whichever command and option it meets, is one paragraph on stderr and exit code 2, before work starts.

Every subcommand is found from the app, and every option of it is given a missing path, an unknown name, a place that cannot be written
or a bad number, by its type. A new command without an entry in `COMMANDS`, or a new option that accepts nonsense, fails here.
"""

from __future__ import annotations

import inspect
import json
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
import torch

from mtp_eval.harness import cli
from mtp_eval.harness.models.checkpoint import save_checkpoint
from mtp_eval.harness.models.config import ModelConfig
from mtp_eval.harness.models.tokenizers import ByteTokenizer
from mtp_eval.harness.models.transformer import MTPModel
from tests.made_runs import MakeRun
from tests.test_cli import all_commands

COMMANDS = {
    "run": "run --model ckpt --task listops --limit 1 --max-new-tokens 2",
    "score": "score samples.jsonl --task humaneval --allow-missing --k 1",
    "nightly": "nightly nightly.toml",
    "demo": "demo",
    "study": "study planning",
    "speed": "speed --model ckpt --domain listops --prompts 1 --new-tokens 2 --batch-size 1 --temperature 0",
    "table": "table made",
    "compare": "compare made other",
    "report": "report made",
    "runs": "runs .",
    "merge": "merge made",  # which is no shard, but is looked at after the options
    "train": "train listops-n1 --out new --set steps=1",
    "presets": "presets",
    "convert": "convert ckpt new",
    "models": "models .",
    "tasks": "tasks",
    "tasks check": "tasks check listops",
    "tasks extract": "tasks extract made",
    "data": "data",
    "data check": "data check corpus.txt --task listops",
    "sandbox": "sandbox",
    "sandbox check": "sandbox check",
}
"""A right invocation of every command, to which one wrong option is added."""
OUTPUTS = ("out", "target", "plots", "human_eval_output", "tensorboard")
FREE_TEXT = {
    ("report", "title"), ("nightly", "night"), ("runs", "model"), ("runs", "task"), ("data check", "text_field"),
    ("train", "set_"), ("score", "label"), ("score", "protocol"), ("table", "caption"), ("table", "label"), ("nightly", "notify"),
}  # fmt: skip
"""Options that any text is right for: a title, a new name, a pattern that fits nothing; `--set` has cases of its own."""
UNWRITABLE = ("/proc/nosuch/x", "samples.jsonl/x")


def parameters(name: str, command: Any) -> Iterator[tuple[str, Any, Any]]:
    """Name, click parameter and Python type of everything a command takes."""
    signature = inspect.signature(command.callback, eval_str=True)
    for parameter in command.params:
        if parameter.name in signature.parameters and parameter.name not in ("version",):
            annotation = typing.get_args(signature.parameters[parameter.name].annotation)[0]
            parts = [part for part in typing.get_args(annotation) if part is not type(None)]
            if typing.get_origin(annotation) is list or type(None) in typing.get_args(annotation):
                annotation = parts[0]
            yield parameter.name, parameter, annotation


def bad_values(command: str, name: str, parameter: Any, kind: Any) -> list[str]:
    """What the parameter must refuse."""
    if name in OUTPUTS:
        return list(UNWRITABLE)
    if typing.get_origin(kind) is Literal:
        return ["nosuch"]
    if kind in (int, float):
        return ["many", *(["-1"] if name != "seed" else []), *(["nan"] if kind is float else [])]
    if kind is Path:
        return ["nosuch/folder"]
    return [] if kind is bool or (command, name) in FREE_TEXT else ["nosuch"]


def cases() -> Iterator[Any]:
    for command, found in groups_and_commands():
        for name, parameter, kind in parameters(command, found):
            for value in bad_values(command, name, parameter, kind):
                yield pytest.param(command, name, parameter, value, id=f"{command}-{name}-{value}")


def groups_and_commands() -> Iterator[tuple[str, Any]]:
    from typer.main import get_command

    top: Any = get_command(cli.app)
    yield from ((name, top.get_command(None, name)) for name in ("tasks", "data", "sandbox"))
    yield from all_commands()


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    config = ModelConfig(vocab_size=264, d_model=32, n_layers=3, n_heads=2, d_ff=64, context_length=256, n_future=1)
    folder = tmp_path_factory.mktemp("models") / "ckpt"
    save_checkpoint(folder, MTPModel(config), ByteTokenizer(), {})
    return folder


@pytest.fixture
def here(
    tmp_path: Path, checkpoint: Path, make_run: MakeRun, benchmark_data: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A folder with one right input of each kind."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (tmp_path / "ckpt").symlink_to(checkpoint)
    (tmp_path / "made").symlink_to(make_run("made-run", {"m": {"toy/1": [True]}}))
    make_run("other", {"m": {"toy/1": [False]}})
    row = {"task_id": "HumanEval/0", "completion": "    return False\n"}
    (tmp_path / "samples.jsonl").write_text(json.dumps(row) + "\n")
    (tmp_path / "corpus.txt").write_text("def f(x):\n    return x\n")
    (tmp_path / "nightly.toml").write_text('task = "listops"\n[models]\na = "ckpt"\n')
    return tmp_path


def refusal(arguments: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> str:
    """What the command says as it refuses; what it starts to work on is an error of this test."""
    monkeypatch.setattr("sys.argv", ["mtp-eval", *arguments])
    for work in ("evaluation.evaluate.check_references", "training.command.train_model"):
        module, _, function = work.rpartition(".")
        monkeypatch.setattr(f"mtp_eval.harness.{module}.{function}", working)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    said = capsys.readouterr()
    assert ended.value.code == 2, said
    assert said.err.strip(), "nothing was said"
    assert "\n\n" not in said.err.strip(), f"more than one paragraph: {said.err}"
    assert said.out == ""
    return said.err


def working(*_: object, **__: object) -> None:
    raise AssertionError("work has started before the input was refused")


def test_every_command_has_a_right_invocation_here() -> None:
    assert {name for name, _ in groups_and_commands()} == set(COMMANDS)


@pytest.mark.parametrize(("command", "name", "parameter", "value"), list(cases()))
def test_a_bad_value_is_refused_before_work_starts(
    command: str,
    name: str,
    parameter: Any,
    value: str,
    here: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    words = COMMANDS[command].split()
    if parameter.param_type_name == "option":
        words += [parameter.opts[0], value]
    else:  # in place of the right one
        position = len(command.split()) + [p.name for p in dict(groups_and_commands())[command].params
                                           if p.param_type_name == "argument"].index(name)  # fmt: skip
        words[position : position + 1] = [value]
    refusal(words, capsys, monkeypatch)


OTHERS = {
    "score --human-eval-output that cannot be written": "score samples.jsonl --task humaneval --allow-missing --human-eval-output /proc/x",
    "an empty problem file": "score samples.jsonl --task humaneval --problem-file empty.jsonl",
    "score with k 0": "score samples.jsonl --task humaneval --allow-missing --k 0",
    "a folder as a table's file": "table made --out .",
    "a folder as a page": "report made --out .",
    "a file as a folder of plots": "report made --out p.html --plots samples.jsonl",
    "a checkpoint in a file": "train listops-n1 --out samples.jsonl",
    "resume where nothing is": "train listops-n1 --out nothing --resume",
    "resume in a checkpoint that is none": "train listops-n1 --out made --resume",
    "two budgets": "train listops-n1 --out new --set steps=2 --set tokens=5",
    "a key that is none": "train listops-n1 --out new --set stepps=2",
    "no key": "train listops-n1 --out new --set steps",
    "training on no such task": "train listops-n1 --out new --set data.sources=[\"task:nosuch\"]",
    "training without overlap with no such task": "train listops-n1 --out new --set data.decontaminate=[\"nosuch\"]",
    "speculation with one head": "run --model ckpt --task listops --limit 1 --decode self-speculative",
    "the same model twice": "run --model ckpt --model ckpt --task listops",
    "the same task twice": "run --model ckpt --task listops,listops",
    "the same run twice in a table": "table made made",
    "the same run twice in a report": "report made made",
    "the same run twice in a comparison": "compare made made-run",
    "no run at all": "compare",
    "a margin over seeds": "compare made other --margin 3 --pool-seeds",
    "an alpha that is none": "compare made other --alpha 1",
    "no model": "run --model= --task listops",
    "no task": "run --model ckpt --task ,",
    "no such model in a run": "compare made::nosuch made",
    "no such task to look for": "data check corpus.txt --task nosuch",
    "no such training text": "data check nosuch.txt",
    "a line of two kinds": "score mixed.jsonl --task humaneval --allow-missing",
    "a config file that is a folder": "run --config . --model ckpt --task listops",
    "a config file that is no TOML": "run --config samples.jsonl",
    "an unknown key": "run --config wrong.toml",
    "a nightly config that is no TOML": "nightly samples.jsonl",
    "an unknown extraction rule": "score samples.jsonl --task humaneval --allow-missing --extract nosuch",
    "an unknown part": "score samples.jsonl --task mbpp --split nosuch",
    "a night in a place that cannot be written": "nightly unwritable.toml",
    "an unknown command": "rnu",
    "an unknown option": "run --modle x",
    "a day that is none": "runs . --since yesterday",
    "a limit that is none": "run --model ckpt --task listops --limit 1.5",
}  # fmt: skip


@pytest.mark.parametrize("case", OTHERS)
def test_nonsense_is_refused_before_work_starts(
    case: str, here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "empty.jsonl").write_text("")
    (here / "unwritable.toml").write_text('task = "listops"\nout = "/proc/nosuch"\n[models]\na = "ckpt"\n')
    (here / "wrong.toml").write_text("modle = 'x'\n")
    rows = [{"task_id": "HumanEval/0", "completion": "x"}, {"task_id": "HumanEval/1", "solution": "y"}]
    (here / "mixed.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    refusal(OTHERS[case].split(), capsys, monkeypatch)


@pytest.mark.parametrize(
    "command",
    ["tasks", "data check corpus.txt --task humaneval", "run --model ckpt --task humaneval", "tasks check humaneval"],
)
def test_a_missing_folder_of_benchmarks_is_named(
    command: str, here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MTP_EVAL_DATA", "/nonexistent")
    assert "/nonexistent" in refusal(command.split(), capsys, monkeypatch)


def test_a_cache_that_cannot_be_written_is_named(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MTP_EVAL_CACHE", "/proc/nosuch")
    (here / "c.txt").write_text("def f(x):\n    return x\n" * 100)
    said = refusal(
        ["train", "code-tiny-n1", "--out", "new", "--set", 'data.sources=["c.txt"]', "--set", "steps=1"],
        capsys,
        monkeypatch,
    )
    assert "/proc/nosuch" in said
