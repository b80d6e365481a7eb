"""A run made in shards by several processes, and merged: through the real command line."""

from __future__ import annotations

import json
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mtp_eval.harness.cli import app
from mtp_eval.results.run import read_run
from tests import forked
from tests.command_line import exit_code_of
from tests.test_end_to_end import make_checkpoint

pytestmark = pytest.mark.slow

OPTIONS = ("--task", "listops,humaneval", "--limit", "9", "--n-samples", "4", "--k", "1,4", "--temperature", "1.0")
SMALL = (
    "--max-new-tokens",
    "12",
    "--shard-size",
    "8",
    "--batch-size",
    "4",
    "--decode",
    "autoregressive",
    "--workers",
    "1",
)


@dataclass(frozen=True)
class Done:
    """What a command did: its exit code, and all that it said."""

    code: int
    stdout: str
    said: str


def mtp_eval(*arguments: str | Path) -> Done:
    """The command, in this process: a fresh one takes seconds to import what it needs."""
    result = CliRunner().invoke(app, list(map(str, arguments)))
    error = "" if isinstance(result.exception, SystemExit) else str(result.exception or "")
    return Done(exit_code_of(result), result.stdout, result.output + error)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, shared_data: Path) -> Path:
    """The same run as a whole and in three shards: whole, part-1 to part-3."""
    os.environ["MTP_EVAL_DATA"] = str(shared_data / "tasks")
    folder = tmp_path_factory.mktemp("shards")
    make_checkpoint(folder / "tiny")
    for name, more in [("whole", ()), *((f"part-{i}", ("--shard", f"{i}/3")) for i in (1, 2, 3))]:
        done = mtp_eval("run", "--model", folder / "tiny", *OPTIONS, *SMALL, *more, "--out", folder / name)
        assert done.code == 0, done.said
    return folder


def parts(made: Path) -> list[Path]:
    return [made / f"part-{index}" for index in (1, 2, 3)]


def test_merged_shards_are_the_run_of_one_process_byte_for_byte(made: Path, tmp_path: Path) -> None:
    merged = mtp_eval("merge", *reversed(parts(made)), "--out", tmp_path / "merged")
    assert merged.code == 0, merged.said
    whole = made / "whole"
    assert (tmp_path / "merged/metrics.json").read_bytes() == (whole / "metrics.json").read_bytes()
    assert (tmp_path / "merged/table.md").read_bytes() == (whole / "table.md").read_bytes()
    texts = [{r.key: r.completion.text for r in read_run(f).records()} for f in (whole, tmp_path / "merged")]
    assert texts[0] == texts[1]
    assert len(texts[0]) == 2 * 9 * 4
    again = mtp_eval("merge", *parts(made), "--out", tmp_path / "merged")
    assert again.code == 0, again.said
    assert (tmp_path / "merged/metrics.json").read_bytes() == (whole / "metrics.json").read_bytes()
    known = json.loads((tmp_path / "merged/run.json").read_text())["merged_from"]
    assert [entry["shard"] for entry in known] == ["1/3", "2/3", "3/3"]
    assert len(read_run(tmp_path / "merged").timing) == 3
    resumed = mtp_eval("run", "--model", made / "tiny", *OPTIONS, *SMALL, "--out", tmp_path / "merged")
    assert resumed.code == 0, resumed.said
    assert resumed.stdout == merged.stdout, "a merged run is a run: the whole command finds nothing left to do"


def test_every_shard_says_that_it_is_one(made: Path) -> None:
    part = parts(made)[1]
    assert not read_run(part).is_complete
    assert not json.loads((part / "metrics.json").read_text())["complete"]
    for command in (
        ("table", part),
        ("compare", part, made / "whole", "--on-common-problems"),
        ("table", part, "--format", "lm-eval"),
    ):
        said = mtp_eval(*command)
        assert "SHARD 2 OF 3" in said.said, command
        assert "INCOMPLETE" not in said.said, "it is done, as a shard"
    assert "incomplete, shard 2/3" in mtp_eval("runs", made).stdout
    assert mtp_eval("report", part, "--out", made / "report.html").code == 0
    assert "SHARD 2 OF 3" in (made / "report.html").read_text()
    scored_again = mtp_eval("score", part, "--out", made / "again")
    assert scored_again.code == 2
    assert "merge" in scored_again.said


def test_missing_doubled_and_foreign_shards_are_named_and_nothing_is_written(made: Path, tmp_path: Path) -> None:
    one, two, three = parts(made)
    out = tmp_path / "merged"
    other = tmp_path / "other"
    done = mtp_eval("run", "--model", made / "tiny", *OPTIONS, *SMALL, "--seed", "1", "--shard", "3/3", "--out", other)
    assert done.code == 0, done.said
    copy = shutil.copytree(two, tmp_path / "copy")
    for folders, said in [
        ((one,), "2 are missing: 2/3, 3/3"),
        ((one, two, copy, three), "given twice: shard 2/3"),
        ((one, two, other), "seed: 0 there, 1 now"),
        ((one, two, made / "whole"), "is a whole run, not a shard"),
        ((one, two, tmp_path / "nothing"), "no run folder"),
    ]:
        merged = mtp_eval("merge", *folders, "--out", out)
        assert merged.code == 2, merged.said
        assert said in merged.said
        assert not out.exists()
    assert "is one of the shards" in mtp_eval("merge", one, two, three, "--out", two).said
    assert (
        "shard: '2/3' there"
        in mtp_eval("run", "--model", made / "tiny", *OPTIONS, *SMALL, "--shard", "1/3", "--out", copy).said
    )


def test_a_shard_that_was_interrupted_says_so_and_is_resumed(made: Path, tmp_path: Path) -> None:
    one, two, three = parts(made)
    cut = shutil.copytree(two, tmp_path / "cut")
    journal = cut / "records.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:5]) + lines[5][:40])
    merged = mtp_eval("merge", one, cut, three, "--out", tmp_path / "merged")
    assert merged.code == 2
    assert "shard 2/3" in merged.said
    assert "is not done: it lacks" in merged.said
    command: list[str | Path] = ["run", "--model", made / "tiny", *OPTIONS, *SMALL, "--shard", "2/3", "--out", cut]
    assert mtp_eval(*command).code == 0
    merged = mtp_eval("merge", one, cut, three, "--out", tmp_path / "merged")
    assert merged.code == 0, merged.said
    assert (tmp_path / "merged/metrics.json").read_bytes() == (made / "whole/metrics.json").read_bytes()


def test_a_killed_shard_goes_on_where_it_was(made: Path, tmp_path: Path) -> None:
    out = tmp_path / "killed"
    command: list[str | Path] = ["run", "--model", made / "tiny", *OPTIONS, *SMALL, "--shard", "1/3", "--out", out]
    journal = out / "records.jsonl"
    with forked.command(*command) as running:
        while running.poll() is None and not (journal.exists() and journal.read_bytes().count(b"\n") > 2):
            time.sleep(0.01)
        running.kill()
    assert mtp_eval(*command).code == 0
    _, two, three = parts(made)
    assert mtp_eval("merge", out, two, three, "--out", tmp_path / "merged").code == 0
    assert (tmp_path / "merged/metrics.json").read_bytes() == (made / "whole/metrics.json").read_bytes()


def test_a_samples_file_is_scored_in_shards(tmp_path: Path, benchmark_data: Path) -> None:
    samples = tmp_path / "samples.jsonl"
    lines = [{"task_id": f"HumanEval/{n}", "completion": f"    return {m}\n"} for n in range(7) for m in range(2)]
    samples.write_text("".join(json.dumps(line) + "\n" for line in lines))
    options = ("--task", "humaneval", "--allow-missing", "--k", "1,2", "--workers", "1")
    for name, more in [("whole", ()), *((f"part-{i}", ("--shard", f"{i}/2")) for i in (1, 2))]:
        done = mtp_eval("score", samples, *options, *more, "--out", tmp_path / name)
        assert done.code == 0, done.said
    assert mtp_eval("merge", tmp_path / "part-1", tmp_path / "part-2", "--out", tmp_path / "merged").code == 0
    assert (tmp_path / "merged/metrics.json").read_bytes() == (tmp_path / "whole/metrics.json").read_bytes()


def test_a_shard_for_which_nothing_is_left_says_what_to_do(tmp_path: Path, benchmark_data: Path) -> None:
    make_checkpoint(tmp_path / "tiny")
    options = ("--model", tmp_path / "tiny", "--task", "humaneval", "--limit", "2", "--max-new-tokens", "2")
    for name, more in [("whole", ()), *((f"part-{i}", ("--shard", f"{i}/2")) for i in (1, 2))]:
        done = mtp_eval("run", *options, "--workers", "1", *more, "--out", tmp_path / name)
        assert done.code == 0, done.said
    assert "--shard-size" in done.said
    merged = mtp_eval("merge", tmp_path / "part-1", tmp_path / "part-2", "--out", tmp_path / "merged")
    assert merged.code == 0, merged.said
    assert (tmp_path / "merged/metrics.json").read_bytes() == (tmp_path / "whole/metrics.json").read_bytes()


@pytest.mark.parametrize("text", ["0/3", "4/3", "3", "a/b", "1/0", "-1/2"])
def test_what_is_no_shard_is_refused(text: str) -> None:
    refused = mtp_eval("run", "--model", "nothing", "--task", "humaneval", "--shard", text)
    assert refused.code == 2
    assert "expected I/N with I from 1 to N" in refused.said
