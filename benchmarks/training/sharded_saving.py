"""Host memory of each of several processes while a sharded run writes a checkpoint, above what its part takes."""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

from benchmarks.study import save, study_parser
from benchmarks.training.setups import configuration, machine
from mtp_eval.harness.models.tokenizers import ByteTokenizer
from mtp_eval.harness.training.assemble import new_stepper
from mtp_eval.harness.training.distributed import join_processes
from mtp_eval.harness.training.runtime import resolve_runtime
from mtp_eval.harness.training.state import StepWriter, TrainerState

HERE = "benchmarks.training.sharded_saving"
VOCABULARY = 8192


def memory_bytes(entry: str) -> int:
    """VmRSS, or VmHWM, its peak since `forget_the_peak`."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(entry))


def forget_the_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def measure(width: int, layers: int, out: Path) -> dict[str, float]:
    """MiB of this process: its part of weights and optimizer state, and what saving adds at its peak."""
    config = configuration(
        width=width, layers=layers, heads=8, length=16, batch=8, n_future=4, parallel="fsdp", device="cpu", threads=1
    )
    processes = join_processes("cpu", config.batch_size)
    stepper = new_stepper(config, VOCABULARY, resolve_runtime(config, VOCABULARY), processes)
    for parameter in stepper.model.parameters():  # a step's worth of optimizer state
        parameter.grad = torch.zeros_like(parameter)
    stepper.optimizer.step()
    stepper.optimizer.zero_grad(set_to_none=True)
    n_parameters = sum(parameter.numel() for parameter in stepper.model.parameters())
    part = 3 * 4 * n_parameters / processes.world_size
    writer = StepWriter(out, stepper.model.config, ByteTokenizer(), stepper.parallel, keep=1)
    processes.barrier()
    before = memory_bytes("VmRSS")
    forget_the_peak()
    writer.write(stepper.model, stepper.optimizer, TrainerState(step=1), {})
    added = memory_bytes("VmHWM") - before
    return {"parameters": n_parameters, "part_mib": part / 2**20, "added_mib": added / 2**20, "ratio": 1 + added / part}


def run(n_processes: int, width: int, layers: int) -> list[dict[str, float]]:
    """One measurement a process."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    common = {**os.environ, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "OMP_NUM_THREADS": "1"}
    common["WORLD_SIZE"] = str(n_processes)
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", HERE, "--one", str(width), str(layers), folder]
        started = [
            subprocess.Popen(
                command, env={**common, "RANK": str(i), "LOCAL_RANK": str(i)}, stdout=subprocess.PIPE, text=True
            )
            for i in range(n_processes)
        ]
        return [json.loads(process.communicate()[0].splitlines()[-1]) for process in started]


def main() -> None:
    parser = study_parser(__doc__)
    parser.add_argument("--one", nargs=3, metavar=("WIDTH", "LAYERS", "FOLDER"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        width, layers, folder = arguments.one
        print(json.dumps(measure(int(width), int(layers), Path(folder))))
        torch.distributed.destroy_process_group()
        return
    width, layers = (256, 16) if arguments.quick else (768, 16)
    found = run(4, width, layers)
    print(
        f"d={width}, {layers} layers, n=4, V={VOCABULARY}, {found[0]['parameters'] / 1e6:.0f}M parameters, 4 processes"
    )
    for rank, row in enumerate(found):
        print(f"rank {rank}: part {row['part_mib']:.0f} MiB, saving adds {row['added_mib']:.0f}: {row['ratio']:.2f} x")
    save(arguments.json, {"machine": machine(), "rows": found})


if __name__ == "__main__":
    main()
