"""Self-speculative against plain decoding, by heads, batch and model, in the form of the paper's Tables S2 and S3.

    python -m benchmarks.decoding.speculative --model CKPT [--model CKPT ...] [--batch 1 8] [--source code text]

Every number of heads decodes the same prompts in turns, `--rounds` times; a speed-up is the median over the rounds of the
ratio of rates within a round, so that a busy machine disturbs it little. Plain decoding is that of the same model and skips
heads 2..n; `--baseline` decodes with another model (the matched n = 1 model) in the same rounds. Every completion is compared
with the plain one. "Break-even" is what a forward costs in plain ones, without prompts: the tokens per forward from which drafting
gains; "limit" is what it would be if weights were read, or products computed, as fast as this machine can. Without --model a small
model is trained first (half a minute).
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks.decoding import machine
from benchmarks.decoding.prompts import requests
from benchmarks.decoding.quick_model import quick_model
from benchmarks.decoding.speculative_report import markdown, plot
from benchmarks.study import save, study_parser
from mtp_eval.harness.backends.native import NativeBackend
from mtp_eval.harness.decoding.acceptance import Coupled
from mtp_eval.harness.decoding.draft_heads import measure
from mtp_eval.harness.decoding.sampling import Sampler
from mtp_eval.harness.decoding.settings import DecodingSettings
from mtp_eval.harness.models.size import model_size
from mtp_eval.tasks.problem import Completion, Request


def decode(backend: NativeBackend, wanted: list[Request], settings: DecodingSettings) -> dict[str, Any]:
    """One pass over the prompts: time, tokens, forwards, texts."""
    machine.synchronize(backend.model.embed_tokens.weight.device)
    wall, cpu = time.perf_counter(), time.process_time()
    done: list[Completion] = list(backend.generate(wanted, settings))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    tokens, forwards = sum(c.n_tokens for c in done), sum(c.n_forwards for c in done)
    heads = range(len(done[0].n_drafted))
    drafted, accepted = (
        [sum(getattr(c, name)[j] for c in done) for j in heads] for name in ("n_drafted", "n_accepted")
    )
    return {
        "wall": wall,
        "cpu": cpu,
        "tokens": tokens,
        "tokens_per_forward": tokens / forwards,
        "acceptance": [round(a / max(d, 1), 3) for a, d in zip(accepted, drafted, strict=True)],
        "texts": {c.problem_id: c.text for c in done},
    }


def sweep(
    backend: NativeBackend,
    wanted: list[Request],
    batch: int,
    heads: list[int],
    baseline: NativeBackend | None,
    args: argparse.Namespace,
) -> list[dict[str, Any]]:
    """One row per number of heads, one for "auto", one for the baseline."""
    base = DecodingSettings(
        batch_size=batch, temperature=args.temperature, top_p=args.top_p, acceptance=args.acceptance
    )
    settings: dict[int | str, DecodingSettings] = {
        k: DecodingSettings(**{**_fields(base), "decode": "self-speculative", "draft_heads": k}) for k in heads
    }
    chosen = backend.choose_decoding(wanted, base)
    settings["auto"] = chosen
    if baseline is not None:
        settings["baseline"] = DecodingSettings(**{**_fields(base), "decode": "autoregressive"})
    passes: dict[int | str, list[dict[str, Any]]] = {k: [] for k in settings}
    for turn in range(args.rounds + 1):
        for k, setting in settings.items():
            model = baseline if k == "baseline" and baseline is not None else backend
            if turn == 0:
                decode(model, wanted[: max(batch, 2)], setting)  # allocates, records graphs
            else:
                if backend.model.embed_tokens.weight.device.type == "cuda":
                    decode(model, wanted[:batch], setting)  # the engine was another: its graphs are recorded anew
                passes[k].append(decode(model, wanted, setting))
    plain = passes[1]
    rows = []
    for k, runs in passes.items():
        same = sum(runs[0]["texts"][name] == text for name, text in plain[0]["texts"].items())
        rate = statistics.median(run["tokens"] / run["wall"] for run in runs)
        ratios = [run["tokens"] / run["wall"] / (p["tokens"] / p["wall"]) for run, p in zip(runs, plain, strict=True)]
        cpu = [run["tokens"] / run["cpu"] / (p["tokens"] / p["cpu"]) for run, p in zip(runs, plain, strict=True)]
        tpf = runs[0]["tokens_per_forward"]
        names = {"auto": f"auto ({chosen.draft_heads})"}
        if baseline is not None:
            names["baseline"] = baseline.name
        rows.append(
            {
                "heads": names.get(str(k), k),
                "speedup": statistics.median(ratios),
                "speedup_range": (min(ratios), max(ratios)),
                "speedup_cpu": statistics.median(cpu),
                "tokens_per_forward": tpf,
                "tokens_per_second": rate,
                "acceptance": runs[0]["acceptance"],
                "identical": f"{same}/{len(wanted)}" if k != "baseline" else "–",
            }
        )
    return rows


def _fields(settings: DecodingSettings) -> dict[str, Any]:
    return {name: getattr(settings, name) for name in settings.__dataclass_fields__}


def floor(backend: NativeBackend, batch: int, bounds: dict[str, float]) -> dict[str, float]:
    """Least seconds of a plain forward on this machine: weights read once, or arithmetic, whichever is longer."""
    size = model_size(backend.config)
    read = size.n_parameters_next_token * backend.model.embed_tokens.weight.itemsize / bounds["bytes_per_second"]
    work = batch * size.decode_flops_per_token / bounds["flops_per_second"]
    return {"read_seconds": read, "arithmetic_seconds": work, "tokens_per_second": batch / max(read, work)}


def break_even(backend: NativeBackend, wanted: list[Request], batch: int, heads: list[int]) -> dict[int, float]:
    """Cost of a forward with so many heads in plain ones, timed in turns at the same places."""
    networks = {k: backend.network(k) for k in sorted({1, *heads})}
    jobs = backend.jobs(wanted[:batch])[0]
    plans = [measure(networks, Coupled(Sampler()), jobs, forwards=1e6)[0] for _ in range(3)]
    return {k: statistics.median(plan.cost[k] for plan in plans) for k in networks}


def limit(backend: NativeBackend, batch: int, heads: int, bounds: dict[str, float]) -> float:
    """The least that a forward with so many heads could cost in plain ones on this machine: weights read, products done."""
    size = model_size(backend.config)
    n = backend.config.n_future
    head = (size.n_parameters - size.n_parameters_next_token) / max(n - 1, 1)
    itemsize = backend.model.embed_tokens.weight.itemsize

    def seconds(k: int) -> float:
        read = (size.n_parameters_next_token + (k - 1) * head) * itemsize / bounds["bytes_per_second"]
        work = batch * (k * size.decode_flops_per_token + (k - 1) * 2 * head) / bounds["flops_per_second"]
        return max(read, work)

    return seconds(heads) / seconds(1)


def main() -> None:
    """Command line."""
    parser = study_parser(__doc__)
    parser.add_argument("--model", action="append", default=[], help="checkpoint folder; repeat for several")
    parser.add_argument("--baseline", help="checkpoint of the matched n = 1 model")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--heads", type=int, nargs="+", help="default: 1 to n (1, 2, 3, 4, 6, 8, ... for larger n)")
    parser.add_argument("--source", nargs="+", default=["code"], choices=["code", "text", "listops"])
    parser.add_argument("--n-prompts", type=int, default=16)
    parser.add_argument("--prompt-tokens", type=int, default=128)
    parser.add_argument("--new-tokens", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--temperature", type=float, default=0.0)
    parser.add_argument("--top-p", type=float, default=1.0)
    parser.add_argument("--acceptance", default="coupled", choices=["coupled", "rejection"])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--markdown", type=Path)
    parser.add_argument("--plot", type=Path)
    parser.add_argument(
        "--replot", type=Path, nargs="+", help="draw the plot of studies written with --json, run nothing"
    )
    args = parser.parse_args()
    if args.replot:
        studies = [json.loads(file.read_text("utf-8")) for file in args.replot]
        plot({**studies[0], "blocks": [block for study in studies for block in study["blocks"]]}, args.plot)
        return
    if args.quick:
        args.n_prompts, args.new_tokens, args.prompt_tokens, args.rounds, args.batch = 4, 48, 64, 1, [1, 4]
    backends = [NativeBackend(path, device=args.device, dtype=args.dtype) for path in args.model] or [quick_model()]
    baseline = NativeBackend(args.baseline, device=args.device, dtype=args.dtype) if args.baseline else None
    weight = backends[0].model.embed_tokens.weight
    bounds = machine.limits(weight.device, weight.dtype)
    study: dict[str, Any] = {
        "machine": machine.describe(weight.device),
        "limits": bounds,
        "dtype": str(weight.dtype).removeprefix("torch."),
        "settings": {k: str(v) for k, v in vars(args).items()},
        "blocks": [],
    }
    for backend in backends:
        n = backend.config.n_future
        heads = args.heads or [k for k in range(1, n + 1) if k <= 4 or k % 2 == 0]
        for source in args.source:
            for batch in args.batch:
                n_prompts = max(args.n_prompts, batch)
                wanted = requests(backend.tokenizer, source, n_prompts, args.prompt_tokens, args.new_tokens)
                rows = sweep(backend, wanted, batch, [k for k in heads if k <= n], baseline, args)
                costs = break_even(backend, wanted, batch, [k for k in heads if k <= n])
                for row in rows:
                    if isinstance(row["heads"], int):
                        row["break_even"] = costs[row["heads"]]
                        row["limit"] = limit(backend, batch, row["heads"], bounds)
                block = {
                    "model": backend.name,
                    "batch": batch,
                    "source": source,
                    "n_prompts": n_prompts,
                    "prompt_tokens": args.prompt_tokens,
                    "new_tokens": args.new_tokens,
                    "plain_rate": rows[0]["tokens_per_second"],
                    "floor": floor(backend, batch, bounds),
                    "rows": rows,
                }
                study["blocks"].append(block)
                print(markdown({**study, "blocks": [block]}), flush=True)
    save(args.json, study)
    if args.markdown:
        args.markdown.write_text(markdown(study), encoding="utf-8")
    if args.plot:
        plot(study, args.plot)


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    main()
