"""Two processes over gloo train to the weights of one."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest
from safetensors.torch import load_file

from mtp_eval.harness.errors import InputError
from mtp_eval.harness.models.checkpoint import checkpoint_info
from mtp_eval.harness.models.initialize import new_model
from mtp_eval.harness.training.command import train_checkpoint
from mtp_eval.harness.training.loop import train
from tests.harness.training.tiny_runs import distributed, documents, tiny

PROGRAM = """
import sys
from pathlib import Path
import torch
sys.path.insert(0, {root!r})
from tests.harness.training.tiny_runs import distributed
from mtp_eval.harness.training.command import train_checkpoint
for mode in ("ddp", "fsdp"):
    train_checkpoint(distributed(mode, {text!r}), Path({out!r}) / mode, mode)
torch.distributed.destroy_process_group()
"""


@pytest.mark.slow
def test_two_processes_match_one(tmp_path: Path) -> None:
    text = tmp_path / "text.jsonl"
    text.write_text("".join(json.dumps({"text": d.text}) + "\n" for d in islice(documents(), 400)))
    train_checkpoint(distributed("ddp", str(text), cache="one"), tmp_path / "one", "one")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    program = PROGRAM.format(root=str(Path(__file__).parents[3]), text=str(text), out=str(tmp_path))
    common = {**os.environ, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program], env={**common, "WORLD_SIZE": "2", "RANK": rank, "LOCAL_RANK": rank}
        )
        for rank in ("0", "1")
    ]
    try:
        assert [process.wait(240) for process in processes] == [0, 0]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    one = load_file(tmp_path / "one" / "model.safetensors")
    start = new_model(checkpoint_info(tmp_path / "one").config, seed=0).state_dict()
    assert min(float((one[name] - start[name]).abs().max()) for name in one) > 1e-4, "every tensor has moved"
    for mode in ("ddp", "fsdp"):
        two = load_file(tmp_path / mode / "model.safetensors")
        assert one.keys() == two.keys()
        assert max(float((one[name] - two[name]).abs().max()) for name in one) < 1e-6, mode


def test_a_batch_that_cannot_be_shared_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WORLD_SIZE", "3")
    with pytest.raises(InputError, match="batch_size=4 cannot be shared by 3"):
        train(tiny(), documents(), tmp_path / "out")
