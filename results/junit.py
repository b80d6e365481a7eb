"""JUnit XML, which CI systems show as test results: one case per comparison and one per evaluation."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from xml.etree import ElementTree

NOT_IN_XML = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Case:
    """One line of a CI system's list. `message` is one sentence, `details` may be long."""

    suite: str
    name: str
    status: Literal["passed", "failure", "error", "skipped"] = "passed"
    message: str = ""
    details: str = ""
    seconds: float = 0.0


def junit_xml(cases: Sequence[Case], timestamp: str = "") -> str:
    """The document; the suites keep the order of their first case."""
    totals = _totals(cases, "mtp-eval")
    del totals["skipped"]  # which the schema of Jenkins knows of a suite only
    root = ElementTree.Element("testsuites", totals)
    for suite in dict.fromkeys(case.suite for case in cases):
        own = [case for case in cases if case.suite == suite]
        node = ElementTree.SubElement(root, "testsuite", _totals(own, suite))
        if timestamp:
            node.set("timestamp", timestamp)
        for case in own:
            facts = {"classname": _text(f"mtp-eval.{suite}"), "name": _text(case.name), "time": f"{case.seconds:.3f}"}
            item = ElementTree.SubElement(node, "testcase", facts)
            if case.status == "passed":
                continue
            problem = ElementTree.SubElement(item, case.status, {"message": _text(case.message)})
            if case.details:
                problem.text = _text(case.details)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _totals(cases: Sequence[Case], name: str) -> dict[str, str]:
    counts = {status: sum(case.status == status for case in cases) for status in ("failure", "error", "skipped")}
    return {
        "name": _text(name),
        "tests": str(len(cases)),
        "failures": str(counts["failure"]),
        "errors": str(counts["error"]),
        "skipped": str(counts["skipped"]),
        "time": f"{sum(case.seconds for case in cases):.3f}",
    }


def _text(text: str) -> str:
    """Control characters have no place in XML, not even escaped."""
    return NOT_IN_XML.sub("?", text)
