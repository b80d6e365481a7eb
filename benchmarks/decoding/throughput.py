"""A whole benchmark's worth of sampling in one call: MBPP's prompts times ten samples, memory by progress, against one by one.

    MTP_EVAL_DATA=FOLDER python -m benchmarks.decoding.throughput --model CKPT [--limit 500] [--samples 10] [--batch 32]

One-by-one generation (the loop most evaluation scripts start with: a batch of one, no drafts, the prompt run for every sample)
is timed on a few of the same requests. Resident memory is read at every tenth of the work.
"""

from __future__ import annotations

import json
import os
import time
from typing import Any

import torch

from benchmarks.decoding import machine
from benchmarks.decoding.prompts import requests
from benchmarks.decoding.quick_model import quick_model
from benchmarks.study import save, study_parser
from mtp_eval.harness.backends.native import NativeBackend
from mtp_eval.harness.decoding.settings import DecodingSettings
from mtp_eval.tasks.problem import Request


def wanted(backend: NativeBackend, task: str, limit: int, samples: int, new_tokens: int) -> list[Request]:
    """Every sample of every problem."""
    if task == "code":
        prompts = [
            (r.problem_id, r.prompt, r.stop) for r in requests(backend.tokenizer, "code", limit, 128, new_tokens)
        ]
    else:
        from mtp_eval.tasks.registry import load_task

        prompts = [(p.problem_id, p.prompt, p.stop) for p in load_task(task).problems()[:limit]]
    return [
        Request(name, sample, prompt, 1000 * i + sample, stop, new_tokens)
        for i, (name, prompt, stop) in enumerate(prompts)
        for sample in range(samples)
    ]


def resident_mib(device: torch.device) -> float:
    """Memory of this process, or on the device."""
    if device.type == "cuda":
        return torch.cuda.memory_reserved() / 2**20
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def main() -> None:
    """Command line."""
    parser = study_parser(__doc__)
    parser.add_argument("--model")
    parser.add_argument("--task", default="mbpp", help='a task, or "code" for held-out standard library files')
    parser.add_argument("--limit", type=int, default=500)
    parser.add_argument("--samples", type=int, default=10)
    parser.add_argument("--new-tokens", type=int, default=128)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--temperature", type=float, default=0.8)
    parser.add_argument("--one-by-one", type=int, default=10, help="requests timed one by one")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", default="auto")
    args = parser.parse_args()
    if args.quick:
        args.task, args.limit, args.samples, args.new_tokens, args.one_by_one = "code", 4, 4, 32, 4
    backend = NativeBackend(args.model, device=args.device, dtype=args.dtype) if args.model else quick_model()
    device = backend.model.embed_tokens.weight.device
    work = wanted(backend, args.task, args.limit, args.samples, args.new_tokens)
    settings = DecodingSettings(temperature=args.temperature, top_p=0.95, batch_size=args.batch)
    alone = DecodingSettings(temperature=args.temperature, top_p=0.95, batch_size=1, decode="autoregressive")
    wall, cpu, tokens = time.perf_counter(), time.process_time(), 0
    for request in work[:: max(1, len(work) // args.one_by_one)][: args.one_by_one]:
        tokens += next(backend.generate([request], alone)).n_tokens
    single = {"wall": tokens / (time.perf_counter() - wall), "cpu": tokens / (time.process_time() - cpu)}
    wall, cpu, tokens, forwards = time.perf_counter(), time.process_time(), 0, 0
    memory: list[float] = []
    for n, completion in enumerate(backend.generate(work, settings), start=1):
        tokens, forwards = tokens + completion.n_tokens, forwards + completion.n_forwards
        if n * 10 // len(work) > len(memory):
            memory.append(round(resident_mib(device)))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    result: dict[str, Any] = {
        "machine": machine.describe(device),
        "model": backend.name,
        "completions": len(work),
        "tokens": tokens,
        "wall_seconds": wall,
        "tokens_per_second": tokens / wall,
        "tokens_per_forward": tokens / forwards,
        "one_by_one_tokens_per_second": single["wall"],
        "ratio": tokens / wall / single["wall"],
        "ratio_cpu": tokens / cpu / single["cpu"],
        "memory_mib_by_tenth": memory,
    }
    print(json.dumps(result, indent=1))
    save(args.json, result)


if __name__ == "__main__":
    main()
