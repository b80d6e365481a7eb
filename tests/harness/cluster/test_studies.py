"""A study on a Ray cluster leaves what one machine would, also when a node is lost; folders that nodes do not share are refused."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import deque
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from mtp_eval.harness.cluster.ray_cluster import Cluster
from mtp_eval.harness.errors import InputError, MtpEvalError
from mtp_eval.harness.studies import cluster_workers
from mtp_eval.harness.studies.cell_host import CellHost
from mtp_eval.harness.studies.cells import Cell
from mtp_eval.harness.studies.cluster_workers import ClusterWorkers, Missing
from mtp_eval.harness.studies.conduct import conduct
from mtp_eval.harness.studies.config import StudyConfig
from tests.harness.cluster.conftest import add_node
from tests.harness.cluster.test_ray import wait_until_alive
from tests.harness.studies.tiny_study import MODELS, STUDY

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
TABLES = ("results.json", "table.csv", "report.md", "tiny.svg")


SMALL = replace(STUDY, parts=(replace(STUDY.parts[0], recipes=MODELS),))


def test_a_study_on_nodes_of_which_one_is_lost_is_that_of_one_machine(
    nodes: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster_workers, "LOSS_SECONDS", 5.0)  # there is no network between that could be lost
    monkeypatch.chdir(tmp_path)  # nodes have other working folders
    conduct(SMALL, StudyConfig(seeds=3, jobs=2), Path("here"))
    third = add_node(nodes)

    def kill() -> None:
        while not list(tmp_path.glob("there/models/*/metrics.csv")):
            time.sleep(0.05)
        nodes.remove_node(third, allow_graceful=False)

    killer = threading.Thread(target=kill)
    killer.start()
    with caplog.at_level(logging.WARNING):
        conduct(SMALL, StudyConfig(seeds=3, jobs=2, cluster="auto"), Path("there"))
    killer.join()
    assert "go on elsewhere" in caplog.text
    for name in TABLES:
        assert Path("there", name).read_bytes() == Path("here", name).read_bytes(), name
    assert json.loads(Path("there/study.json").read_text())["jobs"] == 3, "one a CPU"
    assert len(list(Path("there/logs").glob("*/worker-0.log"))) == 3, "a folder of logs for each node"
    wait_until_alive(2)


def test_a_cell_that_loses_three_nodes_ends_the_study(monkeypatch: pytest.MonkeyPatch) -> None:
    """And one of a lost node waits, while others are made, until nothing of that node can write into its folder."""
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    first, second = (Cell("p", name, "chain-n1", {}, 10, 0, "chain", "m", "r") for name in ("first", "second"))
    missing = Missing(deque([(0, first), (1, second)]))
    for _ in range(2):
        taken = missing.next()
        assert taken == (0, first)
        missing.lost(*taken)
        now += 59.0
        assert missing.next() != (0, first)
        now += 2.0
    assert missing.next() == (0, first)
    assert missing.next() is None
    with pytest.raises(MtpEvalError, match="3 nodes were lost while they made first, seed 0"):
        missing.lost(0, first)


def test_a_cell_that_fails_on_a_node_ends_the_study_with_its_reason(nodes: Any, tmp_path: Path) -> None:
    cells = [
        Cell("p", f"r{i}", "no-such-preset", {}, 10, i, "chain", str(tmp_path / f"m{i}"), str(tmp_path / f"r{i}"))
        for i in range(6)
    ]
    with (
        ClusterWorkers(Cluster("auto"), tmp_path, "cpu", None) as workers,
        pytest.raises(InputError, match="there is no preset 'no-such-preset'"),
    ):
        list(workers.do("cell", cells))


def test_a_folder_that_a_node_does_not_see_is_refused(tmp_path: Path) -> None:
    host = CellHost(metadata.version("mtp-eval"))
    for name, content in (("missing", ""), ("other", "of another folder of the same name")):
        (tmp_path / "other").write_text(content)
        with pytest.raises(InputError, match="on a file system that all nodes of the cluster share"):
            host.open(1, str(tmp_path / "logs"), "cpu", (str(tmp_path / name), "what the study wrote"), {})
    host.close()
    with pytest.raises(InputError, match="install one version on all nodes"):
        CellHost("0.0.0").open(1, "", "cpu", ("", ""), {})
