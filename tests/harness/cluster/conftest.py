"""A Ray cluster of two nodes on this machine, started once for all tests of this folder."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from typing import Any

import pytest

ray = pytest.importorskip("ray", reason="NEEDS RAY: pip install 'mtp-eval[ray]' (the test extra has it)")

OBJECT_STORE_BYTES = 80 << 20


@pytest.fixture(scope="session")
def nodes() -> Iterator[Any]:
    """The cluster, to which nodes can be added; two nodes of one CPU each are there."""
    from ray.cluster_utils import Cluster

    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0"}
    head = {"num_cpus": 1, "include_dashboard": False, "object_store_memory": OBJECT_STORE_BYTES}
    started = Cluster(initialize_head=True, head_node_args=head)
    started.add_node(num_cpus=1, object_store_memory=OBJECT_STORE_BYTES)
    ray.init(address=started.address, log_to_driver=False, logging_level=logging.WARNING)
    yield started
    ray.shutdown()
    started.shutdown()
