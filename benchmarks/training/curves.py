"""Loss curves of training runs as one PNG, with bits per byte and accuracy per head on held-out text."""

from __future__ import annotations

import csv
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.study import save, study_parser

Rows = list[dict[str, str]]


def read(run: Path) -> tuple[Rows, Rows]:
    """Training and validation rows of a run's metrics.csv."""
    path = run if run.suffix == ".csv" else run / "metrics.csv"
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return [r for r in rows if r["split"] == "train"], [r for r in rows if r["split"] == "validation"]


def heads(row: dict[str, str], kind: str) -> list[float]:
    """The row's values of this kind, head by head."""
    return [float(row[key]) for key in row if key.startswith(f"{kind}_head_") and row[key]]


def name(run: Path) -> str:
    return run.stem.removesuffix(".metrics") if run.suffix == ".csv" else run.name


def draw(runs: list[Path], out: Path) -> None:
    """Validation bits per byte by tokens seen: head 1 solid, the others lighter."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), constrained_layout=True)
    for number, run in enumerate(runs):
        train, validation = read(run)
        colour = f"C{number}"
        left.plot(
            [float(r["tokens"]) / 1e6 for r in train],
            [float(r["loss_head_1"]) for r in train],
            color=colour,
            linewidth=1,
            label=name(run),
        )
        count = len(heads(validation[-1], "bits_per_byte"))
        for head in range(1, count + 1):
            right.plot(
                [float(r["tokens"]) / 1e6 for r in validation],
                [float(r[f"bits_per_byte_head_{head}"]) for r in validation],
                color=colour,
                alpha=1.0 if head == 1 else 0.8 * (1 - head / (count + 1)) + 0.1,
                marker="." if head == 1 else None,
                label=f"{name(run)} head 1" if head == 1 else (f"heads 2..{count}" if head == 2 else None),
            )
    left.set(xlabel="training tokens (millions)", ylabel="nats per token, head 1", title="training loss", yscale="log")
    right.set(xlabel="training tokens (millions)", ylabel="bits per byte", title="held-out text")
    left.legend(fontsize=8)
    right.legend(fontsize=8)
    figure.savefig(out, dpi=110)


def main() -> None:
    parser = study_parser(__doc__, "train two runs of 30 steps and draw those")
    parser.add_argument("runs", nargs="*", type=Path, help="checkpoint folders or metrics.csv files")
    parser.add_argument("--out", type=Path, default=Path("curves.png"))
    arguments = parser.parse_args()
    runs = arguments.runs
    if not runs:
        if not arguments.quick:
            parser.error("name the runs to draw, or --quick")
        runs = quick_runs(Path(tempfile.mkdtemp()))
    draw(runs, arguments.out)
    table: list[dict[str, Any]] = []
    for run in runs:
        last = read(run)[1][-1]
        row: dict[str, Any] = {
            "run": name(run),
            "tokens": float(last["tokens"]),
            "bits_per_byte": heads(last, "bits_per_byte"),
            "accuracy": heads(last, "accuracy"),
        }
        table.append(row)
        print(f"{row['run']}: {row['tokens'] / 1e6:.2f}M tokens")
        print("  bits per byte by head: " + " ".join(f"{value:.3f}" for value in row["bits_per_byte"]))
        print("  accuracy by head:      " + " ".join(f"{value:.3f}" for value in row["accuracy"]))
    print(arguments.out)
    save(arguments.json, table)


def quick_runs(folder: Path) -> list[Path]:
    """Two small models on the standard library."""
    from mtp_eval.harness.models.tokenizers import ByteTokenizer
    from mtp_eval.harness.training.config_files import make_config
    from mtp_eval.harness.training.corpus_writer import build_corpus
    from mtp_eval.harness.training.documents import read_source
    from mtp_eval.harness.training.loop import train
    from mtp_eval.harness.training.presets import preset_values

    corpus = build_corpus(read_source("stdlib"), ByteTokenizer(), folder / "corpus")
    runs = []
    for preset in ("code-tiny-n1", "code-tiny-n4"):
        config = make_config(
            preset_values(preset),
            ["steps=30", "validate_every=5", "log_every=1", "validation_windows=8", "model.d_model=64"],
        )
        train(config, corpus, folder / preset)
        runs.append(folder / preset)
    return runs


if __name__ == "__main__":
    main()
