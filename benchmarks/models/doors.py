"""One real model through every door, on all of HumanEval: as `hf:`, converted to ours, and behind a server. Are the texts the same?

    python -m benchmarks.models.doors --model FOLDER --out WORK [--server openai:http://localhost:8000/v1#FOLDER]

Greedy, in float32. Where two texts differ, the logits where they part say why: the difference of the two tokens' logits, in one
forward of the whole text, beside what rounding moves logits by. Runs that are in WORK are continued or only read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks.study import save, study_parser
from mtp_eval.harness import run
from mtp_eval.harness.backends.base import BackendOptions
from mtp_eval.harness.backends.hf import HuggingFaceBackend
from mtp_eval.harness.models.convert.convert import convert
from mtp_eval.results import Run
from mtp_eval.results.record import Record
from mtp_eval.tasks.registry import load_task


@dataclass(frozen=True)
class Parting:
    """The first token at which two texts differ.

    Args:
        place: tokens that they have in common.
        gap: logit of the first door's token minus the other's, in nats.
        rank: how many tokens the model finds likelier than the less likely of the two.
    """

    problem_id: str
    place: int
    tokens: tuple[str, str]
    gap: float
    rank: int


def doors(options: Any) -> dict[str, str]:
    """The specs by door; converts the model where that has not been done."""
    ours = options.out / "ours"
    if not ours.is_dir():
        convert(options.model, ours)
    found = {"hf": f"hf:{options.model}", "converted": str(ours)}
    return found | ({"server": options.server} if options.server else {})


def records(made: Run) -> Mapping[str, Record]:
    """The records by problem."""
    return {record.problem_id: record for record in made.records()}


def shown(record: Record) -> str:
    """A text with bytes that are not UTF-8 as transformers and servers have them; ours keeps them apart."""
    return record.completion.text.encode("utf-8", "surrogateescape").decode("utf-8", "replace").rstrip("\ufffd")


def parting(backend: HuggingFaceBackend, problem_id: str, prompt: str, one: str, other: str) -> Parting | None:
    """Where two completions of a prompt part; None where only the end differs that was cut off."""
    before = backend.prompt_ids(prompt)
    ids, others = ([*backend.tokenizer(text, add_special_tokens=False).input_ids] for text in (one, other))
    place = next((i for i, (a, b) in enumerate(zip(ids, others, strict=False)) if a != b), min(len(ids), len(others)))
    end = min(backend.eos_ids)
    a, b = (found[place] if place < len(found) else end for found in (ids, others))
    row = [*before, *ids[:place]]
    where = torch.tensor([[0, len(row) - 1]])
    logits_V = backend.forwards.at(torch.tensor([row]), torch.ones((1, len(row)), dtype=torch.long), where)[0].double()
    rank = int((logits_V > min(logits_V[a], logits_V[b])).sum())
    return Parting(
        problem_id, place, (backend.decode([a]), backend.decode([b])), float(logits_V[a] - logits_V[b]), rank
    )


def main() -> None:
    parser = study_parser(__doc__, "8 problems of 48 tokens")
    parser.add_argument("--model", type=Path, required=True, help="a Hugging Face folder that `mtp-eval convert` takes")
    parser.add_argument("--out", type=Path, required=True, help="folder for the converted model and the runs")
    parser.add_argument("--server", metavar="SPEC", help="openai:URL#MODEL of a server that has the model in float32")
    parser.add_argument("--concurrency", type=int, default=1, help="requests under way at the server")
    parser.add_argument("--task", default="humaneval@0shot")
    options = parser.parse_args()
    asked: dict[str, Any] = {"limit": 8, "max_new_tokens": 48} if options.quick else {}
    runs: dict[str, Run] = {}
    name = options.task.replace("@", "-") + ("-quick" if options.quick else "")
    for door, spec in doors(options).items():
        runs[door] = run(
            model=spec, task=options.task, dtype="float32", shard_size=41, batch_size=41, concurrency=options.concurrency,
            request_timeout=3600.0, out=options.out / f"{name}-{door}", **asked,
        )  # fmt: skip
        score = runs[door].to_frame(ks=[1]).iloc[0]
        print(
            f"{door}: pass@1 {100 * score.score:.1f} % [{100 * score.low95:.1f}, {100 * score.high95:.1f}]", flush=True
        )
    problems = {problem.problem_id: problem for problem in load_task(options.task).problems()}
    backend = HuggingFaceBackend(str(options.model), BackendOptions(dtype="float32", device="cpu"))
    first = records(runs["hf"])
    figures: dict[str, Any] = {"problems": len(first), "doors": {}}
    for door in [door for door in runs if door != "hf"]:
        others = records(runs[door])
        differ = [name for name, record in first.items() if shown(record) != shown(others[name])]
        partings = [
            parting(backend, name, problems[name].prompt, shown(first[name]), shown(others[name]))
            for name in differ
            if problems[name].chat is None
        ]
        verdicts = sum(first[name].verdict != others[name].verdict for name in first)
        print(f"hf and {door}: {len(first) - len(differ)} of {len(first)} texts equal, {verdicts} verdicts differ")
        for found in partings:
            if found:
                print(f"  {found.problem_id}: {found.place} tokens alike, then {found.tokens[0]!r} or {found.tokens[1]!r}, "
                      f"logits {found.gap:+.2e} apart, {found.rank} tokens likelier")  # fmt: skip
        figures["doors"][door] = {"equal": len(first) - len(differ), "verdicts_differ": verdicts,
                                  "differ": [asdict(found) for found in partings if found]}  # fmt: skip
    figures["scores"] = {
        door: made.to_frame(ks=[1])[["score", "low95", "high95"]].iloc[0].to_dict() for door, made in runs.items()
    }
    save(options.json, figures)


if __name__ == "__main__":
    main()
