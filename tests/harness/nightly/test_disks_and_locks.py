"""Nights on a disk that takes nothing more, and two nights at once: nothing green is left, and nobody's files are lost."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest
from filelock import FileLock

from tests import forked
from tests.harness.nightly.test_bad_nights import CONFIG, write_samples

MTP_EVAL = (sys.executable, "-m", "mtp_eval.harness")
NIGHT = ("nightly", "nightly.toml", "--night")


def night(name: str) -> subprocess.CompletedProcess[str]:
    """One night."""
    return forked.run(*NIGHT, name)


def limited_night(name: str, file_kib: int) -> subprocess.CompletedProcess[str]:
    """One night in a process that may write files of so many KiB: then the system answers as a full disk does."""
    limited = ["/bin/sh", "-c", f'ulimit -f {file_kib}; exec "$@"', "sh", *MTP_EVAL, *NIGHT, name]
    return subprocess.run(limited, capture_output=True, text=True, encoding="utf-8", check=False)


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which one night was good."""
    place = tmp_path_factory.mktemp("nights")
    (place / "nightly.toml").write_text(CONFIG)
    write_samples(place / "n1.jsonl", right=True)
    assert subprocess.run([*MTP_EVAL, *NIGHT, "a"], cwd=place, capture_output=True, check=False).returncode == 0
    assert "✅" in (place / "nightly/summary.md").read_text("utf-8")
    return place


@pytest.fixture
def a_good_night(evaluated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The `out` folder after that night, and a model that has lost everything."""
    monkeypatch.chdir(shutil.copytree(evaluated, tmp_path / "work"))
    write_samples(Path("n1.jsonl"), right=False)
    return Path("nightly")


@pytest.mark.slow
@pytest.mark.parametrize("blocks", [0, 2, 8])
def test_a_disk_that_is_full_leaves_nothing_green(a_good_night: Path, blocks: int) -> None:
    done = limited_night("b", blocks)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert "make room" in done.stderr
    left = a_good_night / "summary.md"
    assert not left.exists() or "✅" not in left.read_text("utf-8")
    junit = a_good_night / "junit.xml"
    assert not junit.exists() or ElementTree.parse(junit).findall(".//error")
    assert night("b").returncode == 3, "with room again the same command comes to its verdict"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["summary.md", "junit.xml", "report.html"])
def test_a_folder_in_the_place_of_an_output_is_named_before_any_work(a_good_night: Path, name: str) -> None:
    (a_good_night / name).unlink(missing_ok=True)
    (a_good_night / name).mkdir()
    done = night("b")
    assert done.returncode == 2
    assert f"nightly/{name} is a folder" in done.stderr
    for path in (a_good_night / "summary.md", a_good_night / "junit.xml"):
        assert not path.is_file() or "is a folder" in path.read_text("utf-8")
    assert not (a_good_night / "b").exists()


@pytest.mark.slow
def test_a_second_night_at_the_same_time_touches_nothing(a_good_night: Path) -> None:
    before = {path: path.read_bytes() for path in a_good_night.iterdir() if path.is_file()}
    with FileLock(a_good_night / ".lock"):
        second = night("b")
    assert second.returncode == 2
    assert "another nightly" in second.stderr
    assert {path: path.read_bytes() for path in a_good_night.iterdir() if path.is_file()} == before


@pytest.mark.slow
def test_of_two_nights_at_once_one_is_refused_and_the_other_ends_as_alone(a_good_night: Path) -> None:
    with forked.command(*NIGHT, "b") as first:
        while "✅" in (a_good_night / "summary.md").read_text("utf-8") and first.poll() is None:
            time.sleep(0.02)
        second = night("c")
        code = first.wait()
    assert code == 3
    if second.returncode == 2:  # else the first had ended before the second began
        assert "another nightly" in second.stderr
        assert "regression" in (a_good_night / "summary.md").read_text("utf-8")
        assert ElementTree.parse(a_good_night / "junit.xml").findall(".//failure")
    else:
        assert second.returncode == 3


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_behind_standard_output_changes_no_verdict(a_good_night: Path) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run([*MTP_EVAL, *NIGHT, "b"], stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 3, done.stderr.decode()
    assert "regression" in (a_good_night / "summary.md").read_text("utf-8")
