"""Next-token against multi-token training on the synthetic tasks: five seeds each, accuracy in and out of domain.

Every finished training is written to --json at once, and a file that is there is continued. `--table` prints the
figures of such files and `--plot` draws them. The budgets of the presets are a CPU's; on a GPU run the studies side by
side, each with a file of its own: --study poly --batch-factor 8 --steps-factor 4 --json poly.jsonl
"""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.study import study_parser
from benchmarks.synthetic.studies import STUDIES, Study

Row = dict[str, Any]
COLOURS = ("#3b6fb6", "#d1662b", "#3a8a4d", "#8a4da0")
SHIFTS = (-0.12, -0.04, 0.04, 0.12)


def run_one(name: str, study: Study, n_future: int, seed: int, factor: float, batch_factor: int) -> Row:
    """Train one model and test it."""
    from mtp_eval.harness.backends.native import NativeBackend
    from mtp_eval.harness.training.config_files import make_config
    from mtp_eval.harness.training.data import resolve_data
    from mtp_eval.harness.training.loop import train
    from mtp_eval.harness.training.presets import preset_values
    from mtp_eval.tasks.registry import load_task

    preset = dict(preset_values(f"{name}-n{n_future}"))
    config = make_config(study.config(preset, seed, factor, batch_factor), origin=f"study {name}")
    started = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        data, tokenizer = resolve_data(config, Path(folder))
        result = train(config, data, Path(folder) / "model", tokenizer=tokenizer)
        backend = NativeBackend(Path(folder) / "model", device="auto")
    trained = time.process_time()
    accuracies = test(load_task(study.task), backend, study)
    return {
        "study": name,
        "n_future": n_future,
        "seed": seed,
        "task": study.task,
        "steps": result.steps,
        "batch_size": config.batch_size,
        "parameters": backend.facts()["parameters"],
        "train_cpu_seconds": round(trained - started, 1),
        "test_cpu_seconds": round(time.process_time() - trained, 1),
        "accuracy": accuracies,
        "validation_loss": list(result.validation.losses) if result.validation else None,
    }


def test(task: Any, backend: Any, study: Study) -> dict[str, float]:
    """Greedy accuracy by group."""
    from mtp_eval.harness.decoding.settings import DecodingSettings
    from mtp_eval.tasks.problem import Request

    hits: dict[str, list[bool]] = {}
    for group, problems in study.problems(task).items():
        requests = [Request(p.problem_id, 0, p.prompt, 0, p.stop, p.max_new_tokens or 256) for p in problems]
        texts = {c.problem_id: c.text for c in backend.generate(requests, DecodingSettings(batch_size=100))}
        hits[group] = judged(task, [(p, texts[p.problem_id]) for p in problems])
    return {group: sum(found) / len(found) for group, found in hits.items()}


def judged(task: Any, pairs: list[tuple[Any, str]]) -> list[bool]:
    """Whether each completion is right; programs go through the sandbox."""
    from mtp_eval.harness.evaluation.judging import judge_all
    from mtp_eval.sandbox.pool import Pool

    with Pool(workers=1) as pool:
        return [outcome.passed for outcome in judge_all((task.judge(p, text) for p, text in pairs), pool)]


def read(file: Path) -> list[Row]:
    """The rows of a results file."""
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def interval(values: list[float], lowest: float) -> tuple[float, float, float]:
    """Mean over seeds with the 95 % t interval, cut to what is possible: `lowest` to 1."""
    from scipy import stats

    mean = sum(values) / len(values)
    if len(values) < 2:
        return mean, float("nan"), float("nan")
    half = float(stats.t.ppf(0.975, len(values) - 1)) * float(stats.sem(values))
    return mean, max(lowest, mean - half), min(1.0, mean + half)


def table(rows: list[Row]) -> str:
    """Mean accuracy over seeds by study, group and n, with 95 % t intervals, and the paired difference."""
    lines = [
        "| task | group | guessing | n | n=1 | n>1 | difference (paired by seed) | seeds |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, study in STUDIES.items():
        found = {(row["n_future"], row["seed"]): row["accuracy"] for row in rows if row["study"] == name}
        for other in study.others:
            lines += pair_lines(study, found, other)
    return "\n".join(lines)


def pair_lines(study: Study, found: dict[tuple[int, int], dict[str, float]], other: int) -> list[str]:
    """The table's lines for n = 1 against another n, one for each group; none while no seed has both."""
    seeds = sorted(s for n, s in found if n == 1 and (other, s) in found)
    if not seeds:
        return []
    guesses, lines = study.guesses(), []
    for group in found[(1, seeds[0])]:
        pair = [[found[(n, s)][group] for s in seeds] for n in (1, other)]
        differences = [b - a for a, b in zip(*pair, strict=True)]
        intervals = [*(interval(values, 0.0) for values in pair), interval(differences, -1.0)]
        cells = " | ".join("{:.3f} [{:.3f}, {:.3f}]".format(*around) for around in intervals)
        lines.append(f"| {study.task} | {group} | {guesses[group]:.2f} | {other} | {cells} | {len(seeds)} |")
    return lines


def plot(rows: list[Row], file: Path) -> None:
    """One panel a study: every seed as a point, the mean as a line."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    names = [name for name in STUDIES if any(row["study"] == name for row in rows)]
    columns = min(2, len(names))
    lines = -(-len(names) // columns)
    figure, grid = pyplot.subplots(
        lines, columns, figsize=(5 * columns, 3.2 * lines), squeeze=False, layout="constrained"
    )
    panels = list(grid.flat)
    for unused in panels[len(names) :]:
        unused.set_axis_off()
    for panel, name in zip(panels, names, strict=False):
        for n, colour, shift in zip((1, *STUDIES[name].others), COLOURS, SHIFTS, strict=False):
            of_n = [row["accuracy"] for row in rows if row["study"] == name and row["n_future"] == n]
            if not of_n:
                continue
            groups = list(of_n[0])
            for accuracy in of_n:
                panel.plot(
                    [i + shift for i in range(len(groups))], list(accuracy.values()), ".", color=colour, alpha=0.5
                )
            means = [sum(a[g] for a in of_n) / len(of_n) for g in groups]
            panel.plot(
                [i + shift for i in range(len(groups))], means, "_-", color=colour, label=f"n={n}", markersize=12
            )
            panel.set_xticks(range(len(groups)), groups)
        guesses = list(STUDIES[name].guesses().values())
        panel.plot(range(len(guesses)), guesses, "_:", color="grey", label="guessing", markersize=20, linewidth=0.8)
        panel.set_xlim(-0.6, len(guesses) - 0.4)
        panel.set_ylim(-0.03, 1.03)
        panel.set_title(STUDIES[name].task)
        panel.set_ylabel("accuracy")
        panel.set_xlabel(STUDIES[name].group)
        panel.legend()
    figure.savefig(file, dpi=120)


def main() -> None:
    parser = study_parser(__doc__, "one seed and a twentieth of the steps")
    parser.add_argument(
        "--more", type=Path, action="append", default=[], help="other such files, for --table and --plot"
    )
    parser.add_argument("--study", action="append", choices=list(STUDIES))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--steps-factor", type=float, default=1.0, help="more training: 10 is a minute on a GPU")
    parser.add_argument("--batch-factor", type=int, default=1, help="bigger batches, for a GPU")
    parser.add_argument("--table", action="store_true", help="only print the table of --json")
    parser.add_argument("--plot", type=Path, help="only draw --json into this file")
    args = parser.parse_args()
    rows = [row for file in [*([args.json] if args.json else []), *args.more] for row in read(file)]
    if args.plot:
        plot(rows, args.plot)
    if not (args.table or args.plot):
        wanted = range(args.first_seed, args.first_seed + (1 if args.quick else args.seeds))
        for seed in wanted:
            for name in args.study or STUDIES:
                for n_future in (1, *STUDIES[name].others):
                    if any((r["study"], r["n_future"], r["seed"]) == (name, n_future, seed) for r in rows):
                        continue
                    factor = 0.05 if args.quick else args.steps_factor
                    row = run_one(name, STUDIES[name], n_future, seed, factor, args.batch_factor)
                    rows.append(row)
                    if args.json:
                        with args.json.open("a") as out:
                            out.write(json.dumps(row) + "\n")
                    print(json.dumps(row), flush=True)
    print(table(rows))


if __name__ == "__main__":
    main()
