"""A Ray cluster of two nodes on this machine, started once for all tests of this folder."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from typing import Any

import pytest

ray = pytest.importorskip("ray", reason="NEEDS RAY: pip install 'mtp-eval[ray]' (the test extra has it)")

OBJECT_STORE_BYTES = 80 << 20


STARTS = 5
"""Ray gives a node 30 s to come up, which on a busy machine can be too little."""


def started_cluster() -> Any:
    """A cluster of two nodes of one CPU each."""
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 1, "include_dashboard": False, "object_store_memory": OBJECT_STORE_BYTES}
    for left in reversed(range(STARTS)):
        cluster = Cluster()
        try:
            cluster.add_node(**head)
            cluster.add_node(num_cpus=1, object_store_memory=OBJECT_STORE_BYTES)
            return cluster
        except Exception:
            cluster.shutdown()
            if not left:
                raise
    raise AssertionError("unreachable")


@pytest.fixture(scope="session")
def nodes() -> Iterator[Any]:
    """The cluster, to which nodes can be added."""
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0"}
    started = started_cluster()
    ray.init(address=started.address, log_to_driver=False, logging_level=logging.WARNING)
    yield started
    ray.shutdown()
    started.shutdown()
