"""Files by names from outside, one safe part of a path each; what is no file is not replaced by one."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mtp_eval.results.files import file_name, write_atomically

NAMES = [
    "../../x",
    "..",
    ".",
    "",
    "/etc/passwd",
    "a/b\\c",
    "C:x",
    "\0",
    "a\nb",
    "-rf",
    ".hidden",
    "\ud800",
    "\u00e4" * 300,
    " ",
    "a" * 300,
]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_one_visible_part_of_a_path(tmp_path: Path, name: str) -> None:
    folder = tmp_path / file_name(name)
    folder.mkdir()
    assert folder.resolve().parent == tmp_path.resolve()
    assert folder.name[0] not in ".-"
    assert len(folder.name.encode()) <= 80


@pytest.mark.parametrize("name", ["n4+humaneval@0shot", "openai_http#model (2)", "a b", "\u00e4"])
def test_ordinary_names_stay_as_they_are(name: str) -> None:
    assert file_name(name) == name


def test_a_pipe_or_a_device_is_written_to_and_stays_what_it_is(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with ThreadPoolExecutor(1) as reader:
        read = reader.submit(pipe.read_bytes)
        write_atomically(pipe, "text")
        assert read.result() == b"text"
    assert pipe.is_fifo()
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]
