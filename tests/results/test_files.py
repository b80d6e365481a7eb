"""Files by names from outside, one safe part of a path each; what is no file is not replaced by one."""

from __future__ import annotations

import os
import subprocess
import sys
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


def test_a_link_stays_and_what_it_leads_to_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_text("old")
    (tmp_path / "nearer").symlink_to("folder/file")
    (tmp_path / "link").symlink_to(tmp_path / "nearer")
    write_atomically(tmp_path / "link", "text")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "folder" / "file").read_text() == "text"
    (tmp_path / "open").symlink_to("folder/new")
    write_atomically(tmp_path / "open", "text")
    assert (tmp_path / "folder" / "new").read_text() == "text"
    assert sorted(path.name for path in (tmp_path / "folder").iterdir()) == ["file", "new"]


def test_links_in_a_circle_end(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    write_atomically(tmp_path / "a", "text")
    assert [path.read_text() for path in tmp_path.iterdir() if path.is_file()] == ["text", "text"]


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
@pytest.mark.parametrize("mode", ["wb", "ab"])
def test_standard_output_takes_the_text_wherever_it_goes(tmp_path: Path, name: str, mode: str) -> None:
    before = Path(name).is_symlink()
    (tmp_path / "out").write_text("before\n")
    script = (
        "from pathlib import Path\nfrom mtp_eval.results.files import write_atomically\n"
        f"write_atomically(Path({name!r}), 'text\\n')\nprint('after')"
    )
    with open(tmp_path / "out", mode) as out:
        subprocess.run([sys.executable, "-c", script], stdout=out, check=True)
    assert (tmp_path / "out").read_text() == ("before\n" if mode == "ab" else "") + "text\nafter\n"
    assert Path(name).is_symlink() == before
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "text\nafter\n"
