"""A Ray cluster of two nodes on this machine, started once for all tests of this folder."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

ray = pytest.importorskip("ray", reason="NEEDS RAY: pip install 'mtp-eval[ray]' (the test extra has it)")

OBJECT_STORE_BYTES = 80 << 20


PATIENCE_SECONDS = 400.0
"""Ray gives a node 30 s to come up and a process 60 s to report, which on a busy machine is too little."""
SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_worker_niceness": "0",
    "RAY_agent_register_timeout_ms": f"{1000 * PATIENCE_SECONDS:.0f}",
    "RAY_worker_register_timeout_seconds": f"{PATIENCE_SECONDS:.0f}",
}


def patient(get_node: Callable[..., Any]) -> Callable[..., Any]:
    """Ray's look for a node that is starting, which goes on looking."""

    def look(*arguments: Any) -> Any:
        until = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                return get_node(*arguments)
            except RuntimeError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.5)

    return look


def add_node(cluster: Any) -> Any:
    """One more node of one CPU, once it is there."""
    node = cluster.add_node(wait=False, num_cpus=1, include_dashboard=False, object_store_memory=OBJECT_STORE_BYTES)
    cluster.wait_for_nodes(PATIENCE_SECONDS)
    return node


@pytest.fixture(scope="session")
def nodes() -> Iterator[Any]:
    """The cluster, to which nodes can be added; two nodes of one CPU each are there."""
    from ray._private import services
    from ray.cluster_utils import Cluster

    os.environ |= SETTINGS
    services.get_node = patient(services.get_node)
    started = Cluster()
    for _ in range(2):
        add_node(started)
    ray.init(address=started.address, log_to_driver=False, logging_level=logging.WARNING)
    yield started
    ray.shutdown()
    started.shutdown()
