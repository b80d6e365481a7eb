"""Plain decoding beside transformers' generate on the same weights, interleaved, with the machine's limits.

    python -m benchmarks.decoding.against_transformers --model CKPT [--hf FOLDER] [--batch 1 8]

CKPT is exported to a Llama folder first where --hf does not name one. Both sides decode the same prompts of one length to the
same number of tokens, greedily, in float32, without an end token; transformers uses its default cache. Rates are medians
over the rounds; the ratio is taken within a round. Needs transformers.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks.decoding import machine
from benchmarks.decoding.prompts import requests
from benchmarks.decoding.quick_model import quick_model
from benchmarks.decoding.speculative import floor
from benchmarks.study import save, study_parser
from mtp_eval.harness.backends.native import NativeBackend
from mtp_eval.harness.decoding.acceptance import Coupled
from mtp_eval.harness.decoding.engine import Engine
from mtp_eval.harness.decoding.jobs import Job
from mtp_eval.harness.decoding.network import Networks
from mtp_eval.harness.decoding.sampling import Sampler
from mtp_eval.harness.decoding.stopping import Stop


def exported(backend: NativeBackend) -> Path:
    """The next-token path as a Llama folder."""
    from mtp_eval.harness.models.convert import huggingface

    folder = Path(tempfile.mkdtemp())
    huggingface.write(folder, backend.config, dict(backend.model.state_dict()), backend.tokenizer)
    return folder


def compare(
    backend: NativeBackend, llama: Any, batch: int, prompt_tokens: int, new_tokens: int, rounds: int
) -> dict[str, Any]:
    """Interleaved rounds of both."""
    wanted = requests(backend.tokenizer, "code", batch, prompt_tokens, new_tokens)
    prompts = [backend.tokenizer.encode(request.prompt)[:prompt_tokens] for request in wanted]
    shortest = min(map(len, prompts))
    prompts = [[backend.tokenizer.bos_id, *prompt[:shortest]] for prompt in prompts]
    stop = Stop(backend.tokenizer.decode, frozenset())
    jobs = [Job(i, tuple(prompt), 0, new_tokens, stop) for i, prompt in enumerate(prompts)]
    engine = Engine(Networks(backend.model).with_heads(1), Coupled(Sampler()), batch, 8 << 30)
    device = backend.model.embed_tokens.weight.device
    ids = torch.tensor(prompts, device=device)
    mask = torch.ones_like(ids)

    def ours() -> list[list[int]]:
        return [decoded.tokens for decoded in sorted(engine.run(jobs), key=lambda decoded: decoded.job.index)]

    def theirs() -> list[list[int]]:
        with torch.inference_mode():
            out = llama.generate(
                ids,
                attention_mask=mask,
                max_new_tokens=new_tokens,
                min_new_tokens=new_tokens,
                do_sample=False,
                eos_token_id=None,
            )
        return out[:, ids.shape[1] :].tolist()

    ours(), theirs()
    rates: dict[str, list[float]] = {"ours": [], "theirs": []}
    cpu: dict[str, list[float]] = {"ours": [], "theirs": []}
    for _ in range(rounds):
        for name, run in (("ours", ours), ("theirs", theirs)):
            machine.synchronize(device)
            wall, used = time.perf_counter(), time.process_time()
            tokens = run()
            machine.synchronize(device)
            rates[name].append(batch * new_tokens / (time.perf_counter() - wall))
            cpu[name].append(batch * new_tokens / (time.process_time() - used))
            if name == "ours":
                mine = tokens
    same = sum(a == b for a, b in zip(mine, tokens, strict=True))
    return {
        "batch": batch,
        "ours": statistics.median(rates["ours"]),
        "theirs": statistics.median(rates["theirs"]),
        "ratio": statistics.median(a / b for a, b in zip(rates["ours"], rates["theirs"], strict=True)),
        "ratio_cpu": statistics.median(a / b for a, b in zip(cpu["ours"], cpu["theirs"], strict=True)),
        "identical": f"{same}/{batch}",
        "prompt_tokens": len(prompts[0]),
        "new_tokens": new_tokens,
    }


def main() -> None:
    """Command line."""
    parser = study_parser(__doc__)
    parser.add_argument("--model", help="checkpoint folder")
    parser.add_argument("--hf", help="the same weights as a Llama folder; default: export them")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--prompt-tokens", type=int, default=64)
    parser.add_argument("--new-tokens", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="auto")
    args = parser.parse_args()
    from transformers import AutoModelForCausalLM

    if args.quick:
        args.new_tokens, args.rounds = 24, 1
    backend = NativeBackend(args.model, device=args.device, dtype="float32") if args.model else quick_model()
    device = backend.model.embed_tokens.weight.device
    llama: Any = AutoModelForCausalLM.from_pretrained(args.hf or exported(backend), dtype=torch.float32)
    llama = llama.to(device).eval()
    bounds = machine.limits(device, torch.float32)
    about = machine.describe(device)
    results = []
    print(f"{backend.name} on {about['device']}, torch {about['torch']}, load {about['load']}\n")
    print(
        "| batch | ours, tokens/s | transformers, tokens/s | ratio | ratio, CPU time | identical | floor of this machine, tokens/s |"
    )
    print("|---|---|---|---|---|---|---|")
    for batch in args.batch:
        row = compare(backend, llama, batch, args.prompt_tokens, args.new_tokens, args.rounds)
        row["floor"] = floor(backend, batch, bounds)
        results.append(row)
        print(
            f"| {batch} | {row['ours']:.0f} | {row['theirs']:.0f} | {row['ratio']:.2f} | {row['ratio_cpu']:.2f} | "
            f"{row['identical']} | {row['floor']['tokens_per_second']:.0f} |",
            flush=True,
        )
    save(args.json, {"machine": about, "limits": bounds, "rows": results})


if __name__ == "__main__":
    main()
