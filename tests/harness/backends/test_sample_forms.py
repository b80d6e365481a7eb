"""Every form in which people have samples files, by content; the texts that come out are the ones that went in."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from mtp_eval.harness.backends.sample_files import read_rows, read_samples
from mtp_eval.harness.errors import InputError
from mtp_eval.tasks.errors import DataError
from mtp_eval.tasks.problem import Problem

PROBLEMS = [
    Problem(f"HumanEval/{i}", prompt=f'def f{i}(x):\n    """Return x and {i} together, twice."""\n', reference="")
    for i in range(3)
]
TEXTS = ["    return 1\n", 'def f1(x):\n\treturn "\u2028\x85 ü 😀"\n', "# \\r\\n\n    return '''a\n\nb'''\n"]


def jsonl(rows: Sequence[Any], newline: str = "\n") -> str:
    return "".join(json.dumps(row) + newline for row in rows)


def of_key(key: str) -> list[dict[str, Any]]:
    return [{"task_id": f"HumanEval/{i}", key: text} for i, text in enumerate(TEXTS)]


def lm_eval(filter_names: Sequence[str | None], response: Callable[[str], Any], doc: Callable[[int], Any]) -> list[Any]:
    rows = []
    for name in filter_names:
        for i, text in enumerate(TEXTS):
            row = {"doc_id": i, "doc": doc(i), "target": "", "arguments": [["p", {}]], "resps": [[text]]}
            rows.append({**row, "filtered_resps": response(text), **({"filter": name} if name else {})})
    return rows


def csv_text(key: str) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, ["note", "task_id", key])
    writer.writeheader()
    writer.writerows({"note": "a,b", **row} for row in of_key(key))
    return out.getvalue()


def with_id(i: int) -> dict[str, Any]:
    return {"task_id": f"HumanEval/{i}", "prompt": PROBLEMS[i].prompt}


def without_id(i: int) -> dict[str, Any]:
    return {"question": PROBLEMS[i].prompt.strip()}


def inspect_log(parts: bool) -> dict[str, Any]:
    def output(text: str) -> dict[str, Any]:
        content = [{"type": "reasoning", "reasoning": "hm"}, {"type": "text", "text": text}]
        return {"choices": [{"message": {"role": "assistant", "content": content}}]} if parts else {"completion": text}

    samples = [{"id": f"HumanEval/{i}", "epoch": 1, "output": output(text)} for i, text in enumerate(TEXTS)]
    return {"version": 2, "status": "success", "eval": {"task": "humaneval"}, "samples": samples}


HE, EP = jsonl(of_key("completion")), jsonl(of_key("solution"))
FILES: dict[str, tuple[str, bytes, str, bool]] = {
    "lines of completions": ("s.jsonl", HE.encode(), "human-eval", False),
    "lines of solutions": ("s.jsonl", EP.encode(), "evalplus", True),
    "a byte order mark": ("s.jsonl", codecs.BOM_UTF8 + HE.encode(), "human-eval", False),
    "UTF-16 as a Windows shell writes it": ("s.jsonl", HE.encode("utf-16"), "human-eval", False),
    "CR LF": ("s.jsonl", jsonl(of_key("completion"), "\r\n").encode(), "human-eval", False),
    "blank lines, and none at the end": ("s.jsonl", HE.replace("\n", "\n\n \n").rstrip().encode(), "human-eval", False),
    "gzip by its name": ("s.jsonl.gz", gzip.compress(HE.encode()), "human-eval", False),
    "gzip without its name": ("s.jsonl", gzip.compress(EP.encode()), "evalplus", True),
    "a name that says nothing": ("samples", HE.encode(), "human-eval", False),
    "a wrong name": ("s.json", HE.encode(), "human-eval", False),
    "one array of lines": ("s.json", json.dumps(of_key("completion"), indent=2).encode(), "human-eval", False),
    "numbers as ids": ("s.jsonl", jsonl([{**row, "task_id": i} for i, row in enumerate(of_key("completion"))]).encode(),
                       "human-eval", False),
    "bigcode": ("generations.json", json.dumps([[text] for text in TEXTS]).encode(), "bigcode", True),
    "bigcode under another name": ("s.txt", json.dumps([[text] for text in TEXTS], indent=1).encode(), "bigcode", True),
    "evalplus results": ("r.json", json.dumps({"hash": "x", "eval": {row["task_id"]: [row] for row in of_key("solution")}}
                                              ).encode(), "evalplus", True),
    "csv of completions": ("s.csv", csv_text("completion").encode(), "csv", False),
    "csv of solutions with a mark": ("S.CSV", codecs.BOM_UTF8 + csv_text("solution").encode(), "csv", True),
    "lm-eval 2024, an array": ("x.jsonl", json.dumps(lm_eval([None], lambda t: [t], with_id), indent=2).encode(),
                               "lm-eval", True),
    "lm-eval, lists of lists": ("x.jsonl", jsonl(lm_eval([None], lambda t: [[t]], with_id)).encode(), "lm-eval", True),
    "lm-eval, one filter": ("x.jsonl", jsonl(lm_eval(["create_test"], lambda t: [[t]], with_id)).encode(),
                            "lm-eval", True),
    "lm-eval without ids": ("x.jsonl", jsonl(lm_eval(["none"], lambda t: [t], without_id)).encode(), "lm-eval", True),
    "inspect": ("log.json", json.dumps(inspect_log(False)).encode(), "inspect", False),
    "inspect, an answer in parts": ("log.json", json.dumps(inspect_log(True), indent=2).encode(), "inspect", False),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_texts_come_out_of_a_file_as_they_went_in(name: str, tmp_path: Path) -> None:
    file_name, content, form, whole = FILES[name]
    path = tmp_path / file_name
    path.write_bytes(content)
    found = read_samples(path, PROBLEMS)
    assert [(s.problem_id, s.sample, s.text) for s in found.samples] == [
        (f"HumanEval/{i}", 0, text) for i, text in enumerate(TEXTS)
    ]
    assert found.form == form
    assert {sample.is_program for sample in found.samples} == {whole}
    assert found.is_raw is (form == "inspect")


def test_standard_input_is_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stdin:
        buffer = io.BytesIO(gzip.compress(HE.encode()))

    monkeypatch.setattr("sys.stdin", Stdin)
    assert [sample.text for sample in read_samples(Path("-"), PROBLEMS).samples] == TEXTS


def test_of_several_filters_one_is_chosen_and_none_counts_twice(tmp_path: Path) -> None:
    path = tmp_path / "samples_gsm8k.jsonl"
    path.write_text(jsonl(lm_eval(["strict-match", "flexible-extract"], lambda text: [text], without_id)))
    with pytest.raises(InputError, match="2 times, once a filter: choose one with --filter strict-match or flexible"):
        read_samples(path, PROBLEMS)
    assert [(s.sample, s.text) for s in read_samples(path, PROBLEMS, "strict-match").samples] == [(0, t) for t in TEXTS]
    with pytest.raises(InputError, match=r"--filter nosuch: .*strict-match, flexible-extract"):
        read_samples(path, PROBLEMS, "nosuch")


def test_a_document_without_an_id_must_be_the_problem_at_its_place(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text(jsonl(lm_eval(["none"], lambda text: [text], lambda i: without_id((i + 1) % 3))))
    with pytest.raises(InputError, match="document 0 is not this task's problem HumanEval/0"):
        read_samples(path, PROBLEMS)


REFUSED: dict[str, tuple[str, bytes, str]] = {
    "no text": ("s.jsonl", b'{"task_id": "HumanEval/0", "completion": null}', 'completion is null.*write ""'),
    "a list": ("s.jsonl", b'{"task_id": "HumanEval/0", "solution": ["a"]}', "one text, got a list"),
    "half a line": ("s.jsonl", b'{"task_id": "HumanEval/0", "completion": "x"}\n{"task_', "line 2: not JSON"),
    "another field": ("s.jsonl", b'{"task_id": "HumanEval/0", "text": "x"}', "expected task_id with completion"),
    "deep nesting": ("s.jsonl", b"[" * 100_000, "nest deeper"),
    "a number without end": ("s.jsonl", b'{"task_id": ' + b"9" * 5000 + b"}", "4,300 digits"),
    "half of a surrogate as an id": ("s.jsonl", b'{"task_id": "\\ud800", "completion": "x"}', "is not a problem"),
    "likelihoods": ("x.jsonl", b'{"doc": {}, "doc_id": 0, "filtered_resps": [[-1.5, false]]}', "likelihoods of choices"),
    "no list of answers": ("x.jsonl", b'{"doc": {}, "doc_id": 0, "filtered_resps": 3}', "a list of texts"),
    "a place that is not there": ("x.jsonl", b'{"doc": {}, "doc_id": 7, "filtered_resps": ["x"]}', "no problem number 7"),
    "too many lists": ("g.json", b'[["a"], ["b"], ["c"], ["d"]]', "no problem number 3"),
    "lists of something else": ("g.json", b'[["a"], [3]]', "list 2 holds something else"),
    "a table without ids": ("s.csv", b"id,completion\n1,x\n", "expected the columns task_id"),
    "broken gzip": ("s.jsonl", gzip.compress(b"x" * 99)[:20], "cannot be read"),
    "Latin-1": ("s.jsonl", '{"task_id": "HumanEval/0", "completion": "ü"}'.encode("latin-1"), "cannot be read as UTF-8"),
    "an inspect log without answers": ("l.json", b'{"eval": {}, "samples": [{"id": 1}]}', "sample 1: expected an id and"),
    "both kinds": ("s.jsonl", (HE + EP).encode(), r"mixes completions.*\(sample 4 is the first"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_is_one_sentence(name: str, tmp_path: Path) -> None:
    file_name, content, sentence = REFUSED[name]
    path = tmp_path / file_name
    path.write_bytes(content)
    with pytest.raises((InputError, DataError), match=sentence):
        read_samples(path, PROBLEMS)


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("s.csv", b'task_id,completion\nHumanEval/0,"    return 1\nHumanEval/1,    return 2\n', r"s\.csv, line \d+: not CSV"),
        ("s.csv", b"task_id,completion,completion\nHumanEval/0,a,b\n", "each once"),
        ("s.parquet", b"PAR1....", r"is Parquet: write it as JSON lines"),
        ("s.jsonl.zip", b"PK\x03\x04....", "is a zip archive: unpack it"),
        ("s.jsonl.zst", b"\x28\xb5\x2f\xfd....", "is Zstandard: unpack it with zstd"),
        ("s.jsonl.xz", b"\xfd7zXZ\x00...", "is xz"),
        ("s.jsonl", "{'task_id': 'HumanEval/0', 'completion': 'x'}".encode("utf-16-le"), "not JSON"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_says_what_to_do(name: str, data: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises((InputError, DataError), match=message):
        read_rows(tmp_path / name)


def test_files_put_together_with_their_marks_are_read(tmp_path: Path) -> None:
    line = '\ufeff{"task_id": "HumanEval/0", "completion": "    return 1\\n"}\n'
    (tmp_path / "s.jsonl").write_text(line * 3, encoding="utf-8")
    assert len(read_rows(tmp_path / "s.jsonl")[1]) == 3
