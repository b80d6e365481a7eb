"""A Ray cluster of two nodes on this machine, started once for all tests of this folder."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from typing import Any

import pytest

from tests.extras import needs

needs("ray", "ray")

OBJECT_STORE_BYTES = 80 << 20


STARTS = 4
"""Ray gives the processes of a node 15 to 30 s to come up, which on a very busy machine is too little."""
SETTINGS = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0"}


def add_node(cluster: Any) -> Any:
    """One more node of one CPU, once it is there."""
    for _ in range(STARTS):
        try:
            return cluster.add_node(num_cpus=1, include_dashboard=False, object_store_memory=OBJECT_STORE_BYTES)
        except Exception as error:  # Ray raises it as it is
            said = str(error).splitlines()[0]
    pytest.skip(f"NEEDS RAY: no node came up in {STARTS} tries, since the machine is too busy: {said}")


@pytest.fixture(scope="session")
def nodes() -> Iterator[Any]:
    """The cluster, to which nodes can be added; two nodes of one CPU each are there."""
    import ray
    from ray.cluster_utils import Cluster

    os.environ |= SETTINGS
    started = Cluster()
    for _ in range(2):
        add_node(started)
    ray.init(address=started.address, log_to_driver=False, logging_level=logging.WARNING)
    yield started
    ray.shutdown()
    started.shutdown()
