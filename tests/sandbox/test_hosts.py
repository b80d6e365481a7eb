"""Hosts that are not as usual: the sandbox works there, or says what is the matter."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from mtp_eval.sandbox.errors import SandboxOptionError
from mtp_eval.sandbox.outcome import Verdict
from mtp_eval.sandbox.pool import Pool
from mtp_eval.sandbox.program import Program

ROOT = Path(__file__).parents[2]
CHECK = "from mtp_eval.harness.cli import main; main()"
QUICK_POOLS = """
from mtp_eval.sandbox.pool import Pool
for _ in range(12):
    with Pool(workers=2, timeout_seconds=1.0): pass
"""


def run(code: str, *arguments: str, python: Path = Path(sys.executable), **options: object) -> tuple[int, str, str]:
    paths = [str(ROOT / "build/types"), *(path for path in sys.path if "packages" in path), str(ROOT)]
    done = subprocess.run(
        [python, "-c", code, *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        **options,  # type: ignore[call-overload]
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("umask", [0o077, 0o027, 0o777])
def test_every_probe_holds_under_any_umask(umask: int) -> None:
    code, out, err = run(CHECK, "sandbox", "check", umask=umask)
    assert (code, "all probes held" in out) == (0, True), out + err


@pytest.mark.slow
@pytest.mark.parametrize("limit", [12, 32, 40])
def test_few_open_files_are_enough_or_named_with_the_remedy(limit: int) -> None:
    source = f"""
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, ({limit}, {limit}))
from mtp_eval.sandbox import Pool, Program
with Pool(workers=4, timeout_seconds=5.0) as pool:
    print([str(o.verdict) for o in pool.run([Program("p", f"def f(): return {{n}}", "assert f() >= 0") for n in range(9)])])
"""
    code, out, err = run(source)
    if limit < 32:
        assert code == 1
        assert f"open files for 4 workers, got {limit}. Raise it (ulimit -n 256)" in err
    else:
        assert (code, out.count("passed")) == (0, 9), err


def test_too_many_workers_for_the_open_files_name_how_many_can_be() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 256), hard))
    try:
        with pytest.raises(SandboxOptionError, match=r"for 200 workers, got 256\. Raise it .* or use \d+ workers"):
            Pool(workers=200)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.slow
def test_pools_that_open_and_close_in_quick_succession_print_nothing() -> None:
    assert run(QUICK_POOLS) == (0, "", "")


@pytest.fixture(scope="module", params=["/tmp", "/home"])
def python_elsewhere(request: pytest.FixtureRequest) -> Iterator[Path]:
    """This Python again, in another place."""
    place = Path(request.param, f"mtp-eval-python-{os.getpid()}")
    try:
        place.mkdir()
    except OSError as error:
        pytest.skip(f"{place}: {error}")
    try:
        yield _copy_of_python(place)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _copy_of_python(place: Path) -> Path:
    prefix, version = Path(sys.base_prefix), f"python{sys.version_info.major}.{sys.version_info.minor}"
    ignored = shutil.ignore_patterns("site-packages", "test", "idlelib", "ensurepip", "*.a")
    shutil.copytree(sysconfig.get_path("stdlib"), place / "lib" / version, ignore=ignored)
    for library in prefix.glob("lib/libpython*.so*"):
        shutil.copy(library, place / "lib")
    (place / "bin").mkdir()
    python = place / "bin" / version
    shutil.copy(os.path.realpath(sys.executable), python)
    code, out, _ = run("import sys; print(sys.base_prefix)", python=python)
    if code != 0 or out.strip() != str(place):
        pytest.skip("this Python cannot be moved")
    return python


@pytest.mark.slow
@pytest.mark.parametrize("isolation", ["full", "process"])
def test_a_python_under_tmp_or_home_is_no_breach_and_finds_its_library(python_elsewhere: Path, isolation: str) -> None:
    code, out, err = run(CHECK, "sandbox", "check", "--isolation", isolation, python=python_elsewhere)
    assert (code, "all probes held" in out) == (0, True), out + err
    source = """
from mtp_eval.sandbox import Pool, Program
source = "import os, json.tool, sqlite3, decimal, xml.dom.minidom, encodings.idna, numpy\\ndef f(): return os.listdir('.')"
with Pool(workers=1, isolation=ISOLATION, timeout_seconds=30) as pool: print(*pool.run([Program("p", source, "assert f() == []")]))
"""
    code, out, err = run(f"ISOLATION = {isolation!r}{source}", python=python_elsewhere)
    assert "Verdict.PASSED" in out, out + err


ARGPARSE = """
import argparse, sys
parser = argparse.ArgumentParser()
parser.add_argument("n", nargs="?", type=int, default=7)
parser.add_argument("--verbose", action="store_true")
options = parser.parse_args()
def f(): return options.n, options.verbose, len(sys.argv)
"""


@pytest.mark.parametrize("isolation", ["full", "process"])
def test_a_program_that_reads_its_arguments_finds_none(isolation: str) -> None:
    printing: Sequence[Program] = (
        Program("calls", ARGPARSE, "assert f() == (7, False, 1)"),
        Program("prints", f"{ARGPARSE}print(*f())", stdin_cases=(("", "7 False 1"),)),
    )
    with Pool(workers=1, isolation=isolation) as pool:
        assert [outcome.verdict for outcome in pool.run(printing)] == [Verdict.PASSED] * 2
