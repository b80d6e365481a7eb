"""Step time by n against the FLOPs, beside transformers' LlamaForCausalLM and the CPU's matrix product, interleaved."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from benchmarks.study import save, study_parser
from benchmarks.training.setups import configuration, machine, random_batch, step_flops, stepper
from mtp_eval.harness.training.runtime import measured_matmul_flops

WIDTH: dict[str, Any] = {"width": 256, "layers": 6, "heads": 8}


def ours(n_future: int, precision: str, shape: dict[str, Any], vocab: int) -> tuple[Callable[[], None], float]:
    """A step of this trainer, and its FLOPs."""
    config = configuration(n_future=n_future, precision=precision, device="cpu", **shape)
    run = stepper(config, vocab)
    batch = random_batch(config, vocab, n_future)
    step = 0

    def once() -> None:
        nonlocal step
        run.step(step, batch)
        step += 1

    return once, step_flops(run.model.config, config)


def transformers_llama(precision: str, shape: dict[str, Any], vocab: int) -> Callable[[], None]:
    """The same model, batch, clipping and optimizer around transformers' own forward and loss."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = configuration(n_future=1, precision=precision, device="cpu", **shape)
    reference = stepper(config, vocab)
    about = reference.model.config
    model: Any = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=vocab,
            hidden_size=about.d_model,
            intermediate_size=about.d_ff,
            num_hidden_layers=about.n_layers,
            num_attention_heads=about.n_heads,
            max_position_embeddings=about.context_length,
            tie_word_embeddings=False,
            attn_implementation="sdpa",  # type: ignore[call-arg]  # a keyword of every config, declared by none
        )
    ).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4, betas=(0.9, 0.95), weight_decay=0.1, fused=True)
    inputs = torch.from_numpy(random_batch(config, vocab, 1).tokens)[:, : about.context_length]

    def once() -> None:
        with reference.runtime.autocast():
            loss = model(input_ids=inputs, labels=inputs).loss
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()

    return once


def main() -> None:
    parser = study_parser(__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--vocab", type=int, default=4096, help="ids; default %(default)s")
    parser.add_argument("--length", type=int, default=256, help="tokens a row; default %(default)s")
    parser.add_argument("--batch", type=int, default=4, help="rows; default %(default)s")
    parser.add_argument("--precision", choices=("fp32", "bf16"), help="only this one; default: both, fp32 with --quick")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    vocab = arguments.vocab
    shape = {**WIDTH, "length": arguments.length, "batch": arguments.batch}
    rounds = 3 if arguments.quick else arguments.rounds
    results: list[dict[str, Any]] = []
    precisions = (arguments.precision,) if arguments.precision else ("fp32",) if arguments.quick else ("fp32", "bf16")
    for precision in precisions:
        subjects: dict[str, tuple[Callable[[], None], float | None]] = {}
        for n in (1, 4) if arguments.quick else (1, 2, 4):
            subjects[f"n={n}"] = ours(n, precision, shape, vocab)
        subjects["transformers n=1"] = (transformers_llama(precision, shape, vocab), None)
        for once, _ in subjects.values():
            once()
        wall: dict[str, list[float]] = {name: [] for name in subjects}
        cpu: dict[str, list[float]] = {name: [] for name in subjects}
        rates = []
        for _ in range(rounds):
            dtype = torch.bfloat16 if precision == "bf16" else torch.float32
            rates.append(measured_matmul_flops(dtype, clock=time.process_time))
            for name, (once, _) in subjects.items():
                started, started_cpu = time.perf_counter(), time.process_time()
                once()
                wall[name].append(time.perf_counter() - started)
                cpu[name].append(time.process_time() - started_cpu)
        matmul = max(rates)
        base_flops = subjects["n=1"][1] or 1.0
        print(
            f"{precision}, one thread, d=256 L=6 T={arguments.length} B={arguments.batch} V={vocab}, {rounds} interleaved "
            f"rounds; matmul {matmul / 1e9:.0f} GFLOP/s"
        )
        for name, (_, flops) in subjects.items():
            flops = flops or base_flops
            best, best_cpu = min(wall[name]), min(cpu[name])
            row = {
                "precision": precision,
                "subject": name,
                "wall_seconds": best,
                "cpu_seconds": best_cpu,
                "time_over_n1": statistics.median(a / b for a, b in zip(cpu[name], cpu["n=1"], strict=True)),
                "flops_over_n1": flops / base_flops,
                "share_of_matmul": flops / best_cpu / matmul,
            }
            results.append(row)
            print(
                f"  {name:<17} {best_cpu * 1000:7.0f} ms CPU ({best * 1000:.0f} wall)  {row['time_over_n1']:.2f} x the time of n=1 for "
                f"{row['flops_over_n1']:.2f} x its FLOPs  {row['share_of_matmul']:.0%} of matmul"
            )
    save(arguments.json, {"machine": machine(), "rows": results})


if __name__ == "__main__":
    main()
