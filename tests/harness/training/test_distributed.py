"""Several processes over gloo train to the weights of one."""

from __future__ import annotations

import json
import os
import shutil
import socket
from collections.abc import Callable
from contextlib import ExitStack
from itertools import islice
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from mtp_eval.harness.errors import InputError
from mtp_eval.harness.models.checkpoint import checkpoint_info
from mtp_eval.harness.models.initialize import new_model
from mtp_eval.harness.models.weights_file import write_weights
from mtp_eval.harness.training.command import train_checkpoint
from mtp_eval.harness.training.loop import train
from tests.forked import Forked
from tests.harness.training.tiny_runs import count_collectives, distributed, documents, tiny, tiny_model, train_in_group


def in_processes(n_processes: int, function: Callable[..., None], *arguments: object) -> str:
    """Run a function as torchrun would a program, in so many processes; returns what they print."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    common = {**os.environ, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(n_processes)}
    with ExitStack() as stack:
        processes = [
            stack.enter_context(Forked(function, *arguments, environment={**common, "RANK": rank, "LOCAL_RANK": rank}))
            for rank in map(str, range(n_processes))
        ]
        codes = [process.wait() for process in processes]
        assert codes == [0] * n_processes, "".join(process.errors for process in processes)
        return "".join(process.output for process in processes)


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("text") / "text.jsonl"
    path.write_text("".join(json.dumps({"text": d.text}) + "\n" for d in islice(documents(), 400)))
    return str(path)


@pytest.fixture(scope="module")
def one(text: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tensor]:
    """The weights that one process trains in six steps."""
    return alone(text, tmp_path_factory.mktemp("one"), registers=False)


@pytest.fixture(scope="module")
def one_with_registers(text: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tensor]:
    """The same for a model with one head and registers."""
    return alone(text, tmp_path_factory.mktemp("registers"), registers=True)


def alone(text: str, out: Path, *, registers: bool) -> dict[str, Tensor]:
    """Train in this process."""
    train_checkpoint(distributed("ddp", text, cache="one", registers=registers), out, "one")
    weights = load_file(out / "model.safetensors")
    start = new_model(checkpoint_info(out).config, seed=0).state_dict()
    assert min(float((weights[name] - start[name]).abs().max()) for name in weights) > 1e-4, "every tensor has moved"
    return weights


def furthest(out: Path, weights: dict[str, Tensor]) -> float:
    """The largest difference of any weight."""
    found = load_file(out / "model.safetensors")
    assert found.keys() == weights.keys()
    return max(float((weights[name] - found[name]).abs().max()) for name in weights)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["ddp", "fsdp"])
def test_two_processes_match_one(mode: str, text: str, one: dict[str, Tensor], tmp_path: Path) -> None:
    in_processes(2, train_in_group, mode, text, tmp_path, 6, False)
    assert furthest(tmp_path, one) < 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["ddp", "fsdp"])
def test_registers_in_two_processes_match_one(
    mode: str, text: str, one_with_registers: dict[str, Tensor], tmp_path: Path
) -> None:
    in_processes(2, train_in_group, mode, text, tmp_path, 3, False, True)
    in_processes(2, train_in_group, mode, text, tmp_path, 6, True, True)
    assert furthest(tmp_path, one_with_registers) < 1e-6


@pytest.mark.slow
def test_a_sharded_checkpoint_is_resumed_by_any_number_of_processes(
    text: str, one: dict[str, Tensor], tmp_path: Path
) -> None:
    in_processes(4, train_in_group, "fsdp", text, tmp_path / "four", 3, False)
    (step,) = (tmp_path / "four/steps").iterdir()
    assert len([path for path in (step / "optimizer").iterdir() if path.suffix == ".distcp"]) == 4
    for n_processes in (2, 1):
        shutil.copytree(tmp_path / "four", tmp_path / str(n_processes))
        in_processes(n_processes, train_in_group, "fsdp", text, tmp_path / str(n_processes), 6, True)
        assert furthest(tmp_path / str(n_processes), one) < 1e-6, n_processes


@pytest.mark.slow
def test_what_goes_between_processes_does_not_grow_with_the_chunks() -> None:
    """Eight chunks a head, four heads on eight layers, two micro-batches: gradients are summed once."""
    counts = json.loads(in_processes(2, count_collectives))
    assert counts["chunks"] == 8
    assert counts["all_gathers"] / counts["micro_batches"] <= 40, counts
    assert counts["reduce_scatters"] <= 20, counts


def test_weights_written_one_at_a_time_are_the_same_bytes(tmp_path: Path) -> None:
    model = new_model(tiny_model(), seed=0)
    state = {"zz": torch.ones(3, dtype=torch.bfloat16), **model.state_dict(), "wide": torch.ones(2, 2).double()}
    save_file(state, tmp_path / "library")
    write_weights(tmp_path / "ours", state, state.__getitem__)
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "library").read_bytes()


def test_a_batch_that_cannot_be_shared_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WORLD_SIZE", "3")
    with pytest.raises(InputError, match="batch_size=4 cannot be shared by 3"):
        train(tiny(), documents(), tmp_path / "out")
