"""`mtp-eval sandbox check`, as a user runs it, here and where the host withholds a layer."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mtp_eval.sandbox.pool import Pool
from mtp_eval.sandbox.probes import PROBES, run_probes

CHECK = [sys.executable, "-c", "from mtp_eval.harness.cli import main; main()", "sandbox", "check"]


@pytest.mark.slow
def test_every_probe_holds_and_every_layer_is_on(pool: Pool) -> None:
    assert set(pool.layers.values()) == {"on"}
    results = list(run_probes(pool))
    assert len(results) == len(PROBES)
    assert [result.probe.name for result in results if not result.held] == []


@pytest.mark.slow
def test_the_command_names_isolation_and_layers() -> None:
    done = subprocess.run([*CHECK, "--isolation", "process"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "isolation: process" in done.stdout
    assert "namespaces           off: not part of isolation 'process'" in done.stdout
    assert "FAILED" not in done.stdout


def test_a_host_without_user_namespaces_is_refused_and_named() -> None:
    """A user namespace whose own limit is none stands for hosts that forbid them."""
    if shutil.which("unshare") is None:
        pytest.skip("needs util-linux's unshare")
    script = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"'
    refused = subprocess.run(["unshare", "-r", "sh", "-c", script, "sh", *CHECK], capture_output=True, text=True)
    if "unshare" in refused.stderr and "failed" in refused.stderr:
        pytest.skip(f"user namespaces cannot be made here: {refused.stderr}")
    assert refused.returncode == 4, refused
    assert "Missing: user_namespace" in refused.stderr
    assert "--isolation process" in refused.stderr
    assert refused.stdout == ""


def test_a_device_that_is_a_file_is_named_with_its_remedy(tmp_path: Path) -> None:
    """As after a program that wrote to /dev/null by renaming a file over it."""
    if shutil.which("unshare") is None:
        pytest.skip("needs util-linux's unshare")
    (tmp_path / "file").write_text("")
    script = f'mount --bind {tmp_path}/file /dev/null && exec "$@"'
    done = subprocess.run(["unshare", "-r", "-m", "sh", "-c", script, "sh", *CHECK], capture_output=True, text=True)
    if "unshare" in done.stderr and "failed" in done.stderr:
        pytest.skip(f"user namespaces cannot be made here: {done.stderr}")
    assert done.returncode == 4, done
    assert (
        "/dev/null (it is a file here, not the device; as root: rm /dev/null && mknod -m 666 /dev/null c 1 3)"
        in done.stderr
    )


@pytest.mark.slow
def test_full_isolation_works_inside_a_container() -> None:
    if shutil.which("unshare") is None:
        pytest.skip("needs util-linux's unshare")
    nested = ["unshare", "--map-root-user", "--mount", "--pid", "--fork", "--mount-proc", *CHECK]
    done = subprocess.run(nested, capture_output=True, text=True)
    if "unshare" in done.stderr and "failed" in done.stderr:
        pytest.skip(f"user namespaces cannot be made here: {done.stderr}")
    assert done.returncode == 0, done
    assert "all probes held" in done.stdout
