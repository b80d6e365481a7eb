"""The paper's models as presets (arXiv 2404.19737, Tables S13 and S14); they name no data, the paper's is not public.

Feed-forward width 8/3 of d_model, untied embeddings and 32,000 pieces reproduce the paper's parameter counts to 3 %;
the tokenizer is a BPE trained on the data given, since the paper does not name its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

NO_DATA = "none given"
MIB = 1 << 20

# name: (d_model, n_layers, n_heads); non-embedding parameters, for the synthetic tasks
SYNTHETIC = {
    "1M": (128, 5, 4),
    "3M": (256, 4, 8),
    "10M": (384, 6, 8),
    "30M": (512, 10, 8),
    "100M": (768, 14, 12),
    "300M": (1024, 25, 16),
    "1B": (1536, 36, 24),
}
ARITHMETIC_CONTEXT = {"30M": 1024, "100M": 2048}
# total parameters, for code; with steps and warm-up of the scaling study
CODE = {
    "0.3B": (1024, 18, 16, 10_850, 1000),
    "0.6B": (1280, 27, 20, 10_850, 1000),
    "1.3B": (2048, 24, 16, 10_850, 1000),
    "3B": (2560, 36, 20, 10_850, 1000),
    "6.7B": (4096, 32, 32, 25_000, 2000),
    "13B": (5120, 40, 40, 25_000, 1000),
}

# of 6.7B: the longer runs on code, and those on natural language; steps, tokens a step in MiB, final learning rate over its peak
LONGER = {
    "code-500B": (68_570, 7, 0.03, (1, 4)),
    "code-1T": (136_240, 7, 0.03, (1, 4)),
    "text-200B": (25_000, 8, 0.10, (1, 2, 4)),
    "text-500B": (60_000, 8, 0.10, (1, 2, 4)),
}


def paper_presets() -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield all presets by name: paper-SIZE-nN, paper-KIND-SIZE-nN for synthetic, arithmetic and bytes, paper-6.7B-RUN-nN."""
    for size, length in ARITHMETIC_CONTEXT.items():
        for n in (1, 2, 4):
            yield (
                f"paper-arithmetic-{size}-n{n}",
                _run(SYNTHETIC[size], n, length=length, tokens=MIB // 4, steps=100_000, warmup=2000, rate=1e-4),
            )
    for size, (width, layers, heads) in SYNTHETIC.items():
        for n in (1, 2, 4):
            if layers > n:  # 3M has four layers: four heads would leave no trunk
                yield (
                    f"paper-synthetic-{size}-n{n}",
                    _run(
                        (width, layers, heads), n, length=2048, tokens=MIB // 4, steps=100_000, warmup=2000, rate=1e-4
                    ),
                )
    for size, (width, layers, heads, steps, warmup) in CODE.items():
        for n in (1, 2, 4, *((6, 8) if size == "6.7B" else ())):
            yield (
                f"paper-{size}-n{n}",
                _run((width, layers, heads), n, length=4096, tokens=8 * MIB, steps=steps, warmup=warmup, rate=3e-4),
            )
    for name, (steps, mebitokens, final_ratio, ns) in LONGER.items():
        for n in ns:
            run = _run((4096, 32, 32), n, length=4096, tokens=mebitokens * MIB, steps=steps, warmup=2000, rate=3e-4)
            run["optimizer"]["final_ratio"] = final_ratio
            yield f"paper-6.7B-{name}-n{n}", run
    for n in (1, 8, 16, 32):
        run = _run((4096, 32, 32), n, length=8192, tokens=12 * MIB, steps=25_000, warmup=2000, rate=3e-4)
        run["model"]["head_kind"] = "replicated"  # Table S13: the byte-level models have one unembedding per head
        run["data"]["tokenizer"] = "bytes"
        yield f"paper-bytes-6.7B-n{n}", run


def _run(
    shape: tuple[int, int, int], n_future: int, *, length: int, tokens: int, steps: int, warmup: int, rate: float
) -> dict[str, Any]:
    width, layers, heads = shape
    return {
        "model": {
            "d_model": width,
            "n_layers": layers,
            "n_heads": heads,
            "context_length": length,
            "n_future": n_future,
        },
        "data": {"sources": [NO_DATA], "tokenizer": "bpe:32000"},
        "optimizer": {"learning_rate": rate, "warmup_steps": warmup},
        "steps": steps,
        "batch_size": tokens // length,
        "micro_batch_size": 4,
        "validate_every": 1000,
        "checkpoint_every": 1000,
    }
