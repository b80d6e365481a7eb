"""Self-speculative against plain decoding, by heads, batch and model, in the form of the paper's Tables S2 and S3.

    python -m benchmarks.decoding.speculative --model CKPT [--model CKPT ...] [--batch 1 8] [--source code text]

Every number of heads decodes the same prompts in turns, `--rounds` times; a speed-up is the median over the rounds of the
ratio of rates within a round, so that a busy machine disturbs it little. Plain decoding is that of the same model and skips
heads 2..n; `--baseline` adds the rate of another model (the matched n = 1 model) as a column. Every completion is compared
with the plain one. Without --model a small model is trained first (half a minute).
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
from mtp_eval.harness.decoding.native import NativeBackend
from mtp_eval.harness.models.backend import DecodingSettings
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
    backend: NativeBackend, wanted: list[Request], batch: int, heads: list[int], rounds: int, args: argparse.Namespace
) -> list[dict[str, Any]]:
    """One row per number of heads, then one for "auto"."""
    base = DecodingSettings(
        batch_size=batch, temperature=args.temperature, top_p=args.top_p, acceptance=args.acceptance
    )
    settings: dict[int | str, DecodingSettings] = {
        k: DecodingSettings(**{**_fields(base), "decode": "self-speculative", "draft_heads": k}) for k in heads
    }
    chosen = backend.resolve(wanted, base)
    settings["auto"] = chosen
    passes: dict[int | str, list[dict[str, Any]]] = {k: [] for k in settings}
    for turn in range(rounds + 1):
        for k, setting in settings.items():
            if turn == 0:
                decode(backend, wanted[: max(batch, 2)], setting)  # allocates, records graphs
            else:
                if backend.model.embed_tokens.weight.device.type == "cuda":
                    decode(backend, wanted[:batch], setting)  # the engine was another: its graphs are recorded anew
                passes[k].append(decode(backend, wanted, setting))
    plain = passes[1]
    rows = []
    for k, runs in passes.items():
        same = sum(runs[0]["texts"][name] == text for name, text in plain[0]["texts"].items())
        rate = statistics.median(run["tokens"] / run["wall"] for run in runs)
        ratios = [run["tokens"] / run["wall"] / (p["tokens"] / p["wall"]) for run, p in zip(runs, plain, strict=True)]
        cpu = [run["tokens"] / run["cpu"] / (p["tokens"] / p["cpu"]) for run, p in zip(runs, plain, strict=True)]
        tpf = runs[0]["tokens_per_forward"]
        rows.append(
            {
                "heads": k if k != "auto" else f"auto ({chosen.draft_heads})",
                "speedup": statistics.median(ratios),
                "speedup_range": (min(ratios), max(ratios)),
                "speedup_cpu": statistics.median(cpu),
                "tokens_per_forward": tpf,
                "break_even": tpf / statistics.median(ratios),  # cost of a forward against a plain one
                "tokens_per_second": rate,
                "acceptance": runs[0]["acceptance"],
                "identical": f"{same}/{len(wanted)}",
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


def markdown(study: dict[str, Any]) -> str:
    """Tables as in the paper: speed-up, with tokens per forward in brackets."""
    about = study["machine"]
    lines = [f"{about['device']}, torch {about['torch']}, {study['dtype']}, load {about['load']}", ""]
    for block in study["blocks"]:
        lines += [
            f"**{block['model']}**, batch {block['batch']}, {block['source']}: {block['n_prompts']} prompts of "
            f"{block['prompt_tokens']} tokens, {block['new_tokens']} new; plain {block['plain_rate']:.0f} tokens/s, "
            f"floor of this machine {block['floor']['tokens_per_second']:.0f} tokens/s"
            + (f", baseline {block['baseline']}" if block.get("baseline") else ""),
            "",
            "| heads | speed-up (tokens per forward) | range over rounds | CPU time | break-even | tokens/s | acceptance | identical |",
            "|---|---|---|---|---|---|---|---|",
        ]
        for row in block["rows"]:
            low, high = row["speedup_range"]
            lines.append(
                f"| {row['heads']} | {row['speedup']:.2f} ({row['tokens_per_forward']:.2f}) | {low:.2f} to {high:.2f} | "
                f"{row['speedup_cpu']:.2f} | {row['break_even']:.2f} | {row['tokens_per_second']:.0f} | "
                f"{' '.join(f'{a:.2f}' for a in row['acceptance'])} | {row['identical']} |"
            )
        lines.append("")
    return "\n".join(lines)


def plot(study: dict[str, Any], path: Path) -> None:
    """Speed-up and tokens per forward by number of heads; skipped where matplotlib is not installed."""
    try:
        import matplotlib

        matplotlib.use("Agg")
        import matplotlib.pyplot as plt
    except ImportError:
        print("no plot: matplotlib is not installed")
        return
    # On a shared CPU the time that the process itself used is the steadier figure.
    measure = "speedup" if "threads" not in study["machine"]["device"] else "speedup_cpu"
    figure, axis = plt.subplots(figsize=(7, 4.5))
    for block in study["blocks"]:
        rows = [row for row in block["rows"] if isinstance(row["heads"], int)]
        label = f"{block['model']}, batch {block['batch']}, {block['source']}"
        (line,) = axis.plot([r["heads"] for r in rows], [r[measure] for r in rows], marker="o", label=label)
        tokens = [r["tokens_per_forward"] for r in rows]
        axis.plot([r["heads"] for r in rows], tokens, linestyle=":", color=line.get_color(), linewidth=1)
    axis.axhline(1, color="grey", linewidth=0.8)
    axis.set_xlabel("heads used")
    what = "rate" if measure == "speedup" else "tokens per CPU second"
    axis.set_ylabel(f"{what} / plain; dotted: tokens per forward")
    axis.legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path, dpi=130)
    plt.close(figure)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
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
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--markdown", type=Path)
    parser.add_argument("--plot", type=Path)
    args = parser.parse_args()
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
                rows = sweep(backend, wanted, batch, [k for k in heads if k <= n], args.rounds, args)
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
                if baseline is not None:
                    plain = DecodingSettings(decode="autoregressive", batch_size=batch)
                    decode(baseline, wanted[:batch], plain)
                    run = decode(baseline, wanted, plain)
                    block["baseline"] = f"{baseline.name} {run['tokens'] / run['wall']:.0f} tokens/s"
                study["blocks"].append(block)
                print(markdown({**study, "blocks": [block]}), flush=True)
    if args.json:
        args.json.write_text(json.dumps(study, indent=1) + "\n", encoding="utf-8")
    if args.markdown:
        args.markdown.write_text(markdown(study), encoding="utf-8")
    if args.plot:
        plot(study, args.plot)


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    main()
