"""Multiple choice beside lm-evaluation-harness on the same file with the same model: acc, acc_norm, and every log-likelihood.

    python -m venv /tmp/lm-eval && /tmp/lm-eval/bin/pip install 'lm-eval[hf]'
    python -m benchmarks.models.choices --model FOLDER --lm-eval /tmp/lm-eval/bin/lm_eval

200 questions in ARC's form are made (`questions`); lm-eval is given its own arc_easy task with this file. Float32, on a CPU.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.models.questions import arc_rows
from benchmarks.study import save, study_parser
from mtp_eval.harness import run
from mtp_eval.tasks.problem import Judgement
from mtp_eval.tasks.registry import load_task

LM_EVAL_TASK = """\
task: made_arc
dataset_path: json
dataset_kwargs:
  data_files:
    test: {file}
test_split: test
output_type: multiple_choice
doc_to_text: "Question: {{{{question}}}}\\nAnswer:"
doc_to_target: "{{{{choices.label.index(answerKey)}}}}"
doc_to_choice: "{{{{choices.text}}}}"
metric_list:
  - metric: acc
    aggregation: mean
    higher_is_better: true
  - metric: acc_norm
    aggregation: mean
    higher_is_better: true
"""
"""lm-eval's arc_easy.yaml, but for the file."""


def theirs(command: str, model: Path, work: Path, file: Path) -> dict[str, Any]:
    """lm-eval's acc and acc_norm, and the log-likelihoods of each question's choices."""
    (work / "made_arc.yaml").write_text(LM_EVAL_TASK.format(file=file))
    asked = [command, "run", "--model", "hf", "--model_args", f"pretrained={model},dtype=float32", "--device", "cpu", "--tasks", "made_arc",
             "--include_path", str(work), "--batch_size", "16", "--log_samples", "--output_path", str(work / "lm-eval")]  # fmt: skip
    subprocess.run(asked, check=True)
    (results,) = (work / "lm-eval").rglob("results_*.json")
    (samples,) = (work / "lm-eval").rglob("samples_made_arc_*.jsonl")
    found = json.loads(results.read_text())["results"]["made_arc"]
    rows = sorted(map(json.loads, samples.read_text().splitlines()), key=lambda row: row["doc_id"])
    nats = [[float(pair[0]) for pair in row["filtered_resps"]] for row in rows]
    return {"acc": found["acc,none"], "acc_norm": found["acc_norm,none"], "nats": nats,
            "right": [[row["acc"], row["acc_norm"]] for row in rows]}  # fmt: skip


def ours(spec: str, work: Path) -> dict[str, Any]:
    """The same of ours; one run's likelihoods serve both scores."""
    made = run(
        model=spec, task="arc-challenge@sum", data_dir=work, dtype="float32", out=work / f"run-{Path(spec).name}"
    )
    records = sorted(made.records(), key=lambda record: int(record.problem_id.split("/")[1]))
    by_length = load_task("arc-challenge@acc_norm", data_dir=work)
    right = []
    for record, problem in zip(records, by_length.problems(), strict=True):
        judged = by_length.judge(problem, record.completion.text)
        assert isinstance(judged, Judgement)
        right.append([float(record.passed), float(judged.passed)])
    acc, acc_norm = (sum(column) / len(column) for column in zip(*right, strict=True))
    return {"acc": acc, "acc_norm": acc_norm, "right": right,
            "nats": [json.loads(record.completion.text) for record in records]}  # fmt: skip


def main() -> None:
    parser = study_parser(__doc__, "12 questions")
    parser.add_argument("--model", type=Path, required=True, help="a Hugging Face folder")
    parser.add_argument("--ours", type=Path, help="the same model, converted by `mtp-eval convert`")
    parser.add_argument("--lm-eval", metavar="PROGRAM", required=True, help="the lm_eval of an environment of its own")
    parser.add_argument("--questions", type=int, default=200)
    options = parser.parse_args()
    n = 12 if options.quick else options.questions
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        file = work / "arc-challenge.jsonl"
        file.write_text("".join(json.dumps(row) + "\n" for row in arc_rows(n)))
        reference = theirs(options.lm_eval, options.model.resolve(), work, file)
        specs = {"hf": f"hf:{options.model}"} | ({"converted": str(options.ours)} if options.ours else {})
        found = {door: ours(spec, work) for door, spec in specs.items()}
    print(f"lm-eval: acc {reference['acc']:.4f}, acc_norm {reference['acc_norm']:.4f} on {n} questions")
    figures: dict[str, Any] = {"questions": n, "lm_eval": {key: reference[key] for key in ("acc", "acc_norm")}}
    for door, result in found.items():
        pairs = zip(reference["nats"], result["nats"], strict=True)
        largest = max(abs(a - b) for mine, other in pairs for a, b in zip(mine, other, strict=True))
        alike = sum(a == b for a, b in zip(reference["right"], result["right"], strict=True))
        print(
            f"{door}: acc {result['acc']:.4f}, acc_norm {result['acc_norm']:.4f}; {alike} of {n} questions right or wrong as there; "
            f"largest difference of a log-likelihood {largest:.1e} nats"
        )
        figures[door] = {
            "acc": result["acc"],
            "acc_norm": result["acc_norm"],
            "alike": alike,
            "largest_difference": largest,
        }
    save(options.json, figures)


if __name__ == "__main__":
    main()
