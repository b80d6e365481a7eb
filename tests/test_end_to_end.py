"""The main job through the real command line: a small checkpoint, the real sandbox, interruptions and bad input.

The run that the others are compared with is `mtp-eval` itself; the others are forked (see tests/forked.py).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from mtp_eval.harness.models.checkpoint import save_checkpoint
from mtp_eval.harness.models.config import ModelConfig
from mtp_eval.harness.models.tokenizers import ByteTokenizer
from mtp_eval.harness.models.transformer import MTPModel
from tests import forked

pytestmark = pytest.mark.slow

BIN = Path(sys.executable).with_name("mtp-eval")
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}
TASKS = ("--task", "listops", "--task", "humaneval")
OPTIONS = ("--limit", "24", "--n-samples", "4", "--k", "1,4", "--temperature", "1.0", "--max-new-tokens", "24")
N_RECORDS = 2 * 24 * 4


def make_checkpoint(folder: Path, seed: int = 0, n_future: int = 2) -> Path:
    """Random weights: what matters here is the path, not the score."""
    torch.manual_seed(seed)
    config = ModelConfig(
        vocab_size=264, d_model=32, n_layers=3, n_heads=2, d_ff=64, context_length=256, n_future=n_future
    )
    save_checkpoint(folder, MTPModel(config), ByteTokenizer(), {})
    return folder


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("checkpoint") / "tiny")


@pytest.fixture(scope="module")
def small_shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A config file with shards of 16, so that an interruption falls between and inside them."""
    file = tmp_path_factory.mktemp("config") / "run.toml"
    file.write_text("shard_size = 16\nbatch_size = 8\n")
    return file


def command(checkpoint: Path, config: Path, out: Path, *more: str) -> list[str]:
    """What stands after `mtp-eval`."""
    return ["run", "--model", str(checkpoint), *TASKS, *OPTIONS, "--config", str(config), "--out", str(out), *more]


def run_to_end(arguments: list[str]) -> subprocess.CompletedProcess[str]:
    done = forked.run(*arguments, environment=ENVIRONMENT)
    assert done.returncode == 0, done.stderr
    return done


def records(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "records.jsonl").read_text("ascii").splitlines()]


def completions(folder: Path) -> dict[tuple[object, ...], object]:
    return {(r["task"], r["problem_id"], r["sample"]): (r["completion"], r["verdict"]) for r in records(folder)}


@pytest.fixture(scope="module")
def uninterrupted(checkpoint: Path, small_shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "whole"
    arguments = [str(BIN), *command(checkpoint, small_shards, out)]
    done = subprocess.run(arguments, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return out


@contextmanager
def started(arguments: list[str], out: Path, n_lines: int) -> Iterator[forked.Forked]:
    """The command, once it has written so many lines of its journal."""
    with forked.command(*arguments, environment=ENVIRONMENT, new_session=True) as process:
        journal = out / "records.jsonl"
        while not journal.exists() or journal.read_bytes().count(b"\n") < n_lines:
            assert process.poll() is None, f"ended before it could be interrupted: {process.errors}"
            time.sleep(0.005)
        yield process


def test_a_run_leaves_what_the_design_promises(uninterrupted: Path) -> None:
    assert len(records(uninterrupted)) == N_RECORDS
    metrics = json.loads((uninterrupted / "metrics.json").read_text())
    assert metrics["complete"] is True
    assert {cell["task"] for cell in metrics["cells"]} == {"listops", "humaneval"}
    header = json.loads((uninterrupted / "run.json").read_text())
    assert header["isolation"]["name"] == "full"
    assert header["config"]["inputs"]["models"]["tiny"] == header["models"]["tiny"]["sha256"]
    for name in ("table.md", "table.csv", "timing.json"):
        assert (uninterrupted / name).stat().st_size > 0
    seen = records(uninterrupted)[0]
    assert {
        "prompt_sha256",
        "completion",
        "program",
        "n_tokens",
        "n_forwards",
        "verdict",
        "cpu_seconds",
        "peak_bytes",
    } <= seen.keys()


def test_killed_in_the_middle_and_continued_gives_the_same_run(
    checkpoint: Path, small_shards: Path, uninterrupted: Path, tmp_path: Path
) -> None:
    out = tmp_path / "killed"
    arguments = command(checkpoint, small_shards, out)
    for n_lines in (5, 70, 130):
        with started(arguments, out, n_lines) as process:
            process.kill()
    with (out / "records.jsonl").open("ab") as journal:
        journal.write(b'{"model": "tiny", "task": "listo')  # a line torn by the kill
    run_to_end(arguments)
    assert completions(out) == completions(uninterrupted)
    assert max(Counter((r["task"], r["problem_id"], r["sample"]) for r in records(out)).values()) == 1
    assert (out / "metrics.json").read_bytes() == (uninterrupted / "metrics.json").read_bytes()


def test_ctrl_c_journals_what_was_generated_and_the_same_command_continues(
    checkpoint: Path, small_shards: Path, uninterrupted: Path, tmp_path: Path
) -> None:
    out = tmp_path / "interrupted"
    arguments = command(checkpoint, small_shards, out)
    with started(arguments, out, 20) as process:
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: the workers get it too
        code, stderr = process.wait(), process.errors
    assert code == 130, stderr
    assert "the same command continues" in stderr
    assert "Traceback" not in stderr
    assert 20 <= len(records(out)) < N_RECORDS
    run_to_end(arguments)
    assert (out / "metrics.json").read_bytes() == (uninterrupted / "metrics.json").read_bytes()


def test_repeating_a_finished_run_prints_the_same_table_and_adds_nothing(
    checkpoint: Path, small_shards: Path, uninterrupted: Path
) -> None:
    before = (uninterrupted / "records.jsonl").read_bytes()
    done = run_to_end(command(checkpoint, small_shards, uninterrupted, "--workers", "1"))
    assert done.stdout.strip() == (uninterrupted / "table.md").read_text().strip()
    assert (uninterrupted / "records.jsonl").read_bytes() == before


def failure(arguments: list[str], code: int) -> str:
    done = forked.run(*arguments, environment=ENVIRONMENT)
    assert done.returncode == code, (done.returncode, done.stderr)
    assert "Traceback" not in done.stderr
    return done.stderr


def test_another_config_is_refused_with_the_difference(
    checkpoint: Path, small_shards: Path, uninterrupted: Path
) -> None:
    stderr = failure(command(checkpoint, small_shards, uninterrupted, "--seed", "7"), 2)
    assert "seed: 0 there, 7 now" in stderr


def test_other_weights_under_the_same_name_are_refused(small_shards: Path, uninterrupted: Path, tmp_path: Path) -> None:
    other = make_checkpoint(tmp_path / "tiny", seed=1)
    assert "inputs.models.tiny" in failure(command(other, small_shards, uninterrupted), 2)


@pytest.mark.parametrize("file", ["model.safetensors", "config.json", "training.json"])
def test_a_damaged_checkpoint_is_one_clear_error(small_shards: Path, tmp_path: Path, file: str) -> None:
    broken = make_checkpoint(tmp_path / "tiny")
    (broken / file).write_bytes((broken / file).read_bytes()[:-7])
    stderr = failure(command(broken, small_shards, tmp_path / "out"), 2)
    assert "tiny" in stderr
    assert len(stderr.strip().splitlines()) <= 3


def test_a_checkpoint_without_weights_is_one_clear_error(small_shards: Path, tmp_path: Path) -> None:
    broken = make_checkpoint(tmp_path / "tiny")
    (broken / "model.safetensors").unlink()
    assert "model.safetensors missing" in failure(command(broken, small_shards, tmp_path / "out"), 2)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_a_full_disk_keeps_what_was_written_and_the_run_continues_elsewhere(
    checkpoint: Path, small_shards: Path, uninterrupted: Path, tmp_path: Path
) -> None:
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(small)], check=True)
    try:
        arguments = command(checkpoint, small_shards, small / "run")
        stderr = failure(arguments, 1)
        assert "no space left" in stderr
        assert "same command" in stderr
        kept = completions(small / "run")
        assert kept
        assert kept.items() <= completions(uninterrupted).items()
        subprocess.run(["mount", "-o", "remount,size=8m", str(small)], check=True)
        run_to_end(arguments)
        assert (small / "run" / "metrics.json").read_bytes() == (uninterrupted / "metrics.json").read_bytes()
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_isolation_that_cannot_be_had_is_exit_code_4(checkpoint: Path, small_shards: Path, tmp_path: Path) -> None:
    """Inside a process that may not make user namespaces, full isolation is refused by name."""
    code = (
        "import ctypes, os, sys\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        "assert libc.unshare(0x10000000) == 0\n"
        "open('/proc/sys/user/max_user_namespaces', 'w').write('0')\n"
        "os.execv(sys.argv[1], sys.argv[1:])\n"
    )
    probe = subprocess.run([sys.executable, "-c", code, "/bin/true"], capture_output=True, check=False)
    if probe.returncode:
        pytest.skip("this host does not let a test forbid user namespaces")
    arguments = [sys.executable, "-c", code, str(BIN), *command(checkpoint, small_shards, tmp_path / "out")]
    done = subprocess.run(arguments, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 4, done.stderr
    assert "Traceback" not in done.stderr
    assert "namespace" in done.stderr
