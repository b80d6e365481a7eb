"""The tables and the plot of `benchmarks.decoding.speculative`."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def markdown(study: dict[str, Any]) -> str:
    """Tables as in the paper: speed-up, with tokens per forward in brackets."""
    about = study["machine"]
    lines = [f"{about['device']}, torch {about['torch']}, {study['dtype']}, load {about['load']}", ""]
    for block in study["blocks"]:
        lines += [
            f"**{block['model']}**, batch {block['batch']}, {block['source']}: {block['n_prompts']} prompts of "
            f"{block['prompt_tokens']} tokens, {block['new_tokens']} new; plain {block['plain_rate']:.0f} tokens/s, "
            f"floor of this machine {block['floor']['tokens_per_second']:.0f} tokens/s",
            "",
            "| heads | speed-up (tokens per forward) | range over rounds | CPU time | break-even (limit) | tokens/s | acceptance "
            "| identical |",
            "|---|---|---|---|---|---|---|---|",
        ]
        for row in block["rows"]:
            low, high = row["speedup_range"]
            cost = f"{row['break_even']:.2f} ({row['limit']:.2f})" if "limit" in row else ""
            lines.append(
                f"| {row['heads']} | {row['speedup']:.2f} ({row['tokens_per_forward']:.2f}) | {low:.2f} to {high:.2f} | "
                f"{row['speedup_cpu']:.2f} | {cost} | {row['tokens_per_second']:.0f} | "
                f"{' '.join(f'{a:.2f}' for a in row['acceptance'])} | {row['identical']} |"
            )
        lines.append("")
    return "\n".join(lines)


def plot(study: dict[str, Any], path: Path) -> None:
    """Speed-up by number of heads, a panel for each model and source; skipped where matplotlib is not installed."""
    try:
        import matplotlib

        matplotlib.use("Agg")
        import matplotlib.pyplot as plt
    except ImportError:
        print("no plot: matplotlib is not installed")
        return
    # On a shared CPU the time that the process itself used is the steadier figure.
    on_gpu = "threads" not in study["machine"]["device"]
    measure, what = ("speedup", "rate") if on_gpu else ("speedup_cpu", "tokens per CPU second")
    models = list(dict.fromkeys(block["model"] for block in study["blocks"]))
    sources = list(dict.fromkeys(block["source"] for block in study["blocks"]))
    colours = {batch: f"C{i}" for i, batch in enumerate(sorted({block["batch"] for block in study["blocks"]}))}
    size = (3.4 * len(sources) + 0.6, 3.0 * len(models) + 0.4)
    figure, axes = plt.subplots(len(models), len(sources), figsize=size, squeeze=False, sharey="row", sharex="row")
    for i, model in enumerate(models):
        for j, source in enumerate(sources):
            axis = axes[i][j]
            for block in study["blocks"]:
                if (block["model"], block["source"]) != (model, source):
                    continue
                rows = [row for row in block["rows"] if isinstance(row["heads"], int)]
                heads = [row["heads"] for row in rows]
                axis.plot(
                    heads,
                    [row[measure] for row in rows],
                    marker="o",
                    markersize=4,
                    color=colours[block["batch"]],
                    label=f"batch {block['batch']}",
                )
            axis.plot(
                heads, [row["tokens_per_forward"] for row in rows], ":", color="black", label="tokens per forward"
            )
            axis.axhline(1, color="grey", linewidth=0.8)
            axis.set_xticks(heads)
            axis.set_title(f"{model}, {source}", fontsize=9)
            if i == len(models) - 1:
                axis.set_xlabel("heads used")
            if j == 0:
                axis.set_ylabel(f"{what} / plain", fontsize=9)
    axes[0][0].legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path, dpi=130)
    plt.close(figure)
