"""The HTML report in a real browser: Debian's chromium, driven over its DevTools pipe."""

from __future__ import annotations

import base64
import json
import os
import random
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from mtp_eval.harness.cli import app
from mtp_eval.results.columns import tables_of
from mtp_eval.results.header import RunHeader
from mtp_eval.results.record import Record
from mtp_eval.results.report.data import MOST, ProblemTexts
from mtp_eval.results.report.page import ReportInput, report_html, report_plots
from mtp_eval.results.report.survey import survey
from mtp_eval.results.scores.scored import ScoredRun
from mtp_eval.results.store import RunStore
from tests.command_line import exit_code_of

NewHeader = Callable[..., dict[str, Any]]
NewRecord = Callable[..., Record]
NASTY = "</script><script>document.title = 'owned'; throw 1</script><img src=x onerror=alert(1)>"
runner = CliRunner()


class Browser:
    """A headless chromium; `run` evaluates JavaScript, `complaints` are console messages and uncaught errors."""

    def __init__(self, program: str, profile: Path) -> None:
        to_child, self.write_end = os.pipe()
        self.read_end, from_child = os.pipe()
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
        options += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
        options += [f"--user-data-dir={profile}", "--remote-debugging-pipe", "--window-size=1300,1000", "about:blank"]
        script = f'exec "$@" 3<&{to_child} 4>&{from_child}'
        self.process = subprocess.Popen(
            ["bash", "-c", script, "bash", program, *options],
            pass_fds=(to_child, from_child),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_child)
        os.close(from_child)
        self.pending = b""
        self.number = 0
        self.complaints: list[str] = []
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self.session = None
        self.session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")

    session: str | None = None

    def send(self, method: str, **parameters: Any) -> Any:
        self.number += 1
        message: dict[str, Any] = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.write_end, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self.number:
                assert "error" not in answer, answer
                return answer["result"]
            self._note(answer)

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self.pending:
            part = os.read(self.read_end, 1 << 20)
            assert part, "chromium ended"
            self.pending += part
        line, _, self.pending = self.pending.partition(b"\0")
        return json.loads(line)

    def _note(self, event: dict[str, Any]) -> None:
        name, facts = event.get("method"), event.get("params", {})
        if name in ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded"):
            self.complaints.append(json.dumps(facts)[:500])
        if name == "Network.requestWillBeSent" and not facts["request"]["url"].startswith(("file:", "data:", "about:")):
            self.complaints.append(f"network: {facts['request']['url']}")

    def run(self, expression: str) -> Any:
        result = self.send("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def open(self, path: Path) -> int:
        """Load a report and wait until it is usable; milliseconds from navigation to that point."""
        self.send("Page.navigate", url=path.as_uri())
        look = f"location.href === {path.as_uri()!r} && document.documentElement?.dataset.readyMilliseconds"
        for _ in range(6_000):
            if ready := self.run(look):
                return int(ready)
            time.sleep(0.02)
        raise AssertionError("the report was not usable after two minutes")

    def screenshot(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self.send("Page.captureScreenshot")["data"]))

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.write_end)
        os.close(self.read_end)


def as_input(title: str, header: RunHeader, records: list[Record]) -> ReportInput:
    """The page's data of records that are in memory."""
    tables = partial(tables_of, records)
    return ReportInput(title, [ScoredRun.of_records(header, records)], tables, survey(tables, MOST), [1])


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("NEEDS CHROMIUM: the report is tested in a browser; apt-get install chromium")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        made = Browser(program, Path(profile))
        yield made
        made.close()


@pytest.fixture
def run_folder(tmp_path: Path, new_header: NewHeader, new_record: NewRecord) -> Path:
    """Two models, 30 problems, 4 samples; one problem holds a completion that tries to break out of the page."""
    rng = random.Random(0)
    models = ["n1", "n4 <b>"]
    header = new_header(models, {"toy": {"n_problems": 30}}, 4, temperature=0.2, k=[1, 4])
    verdicts = ["passed", "failed", "error", "timeout"]
    records = [
        new_record(
            model, "toy", f"toy/{p}", s, rng.choices(verdicts, [4 + 2 * (model != "n1"), 3, 2, 0.3])[0],
            completion=NASTY if (p, s) == (7, 1) else f"    return {p} + {s}\n", error="ValueError: <i>x</i>",
            wall_seconds=rng.expovariate(20), n_tokens=12, n_forwards=12,
        )
        for model in models for p in range(30) for s in range(4)
    ]  # fmt: skip
    with RunStore.open(tmp_path / "run", header) as store:
        store.append(records)
    return tmp_path / "run"


@pytest.mark.slow
def test_report_in_a_browser(run_folder: Path, browser: Browser, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    result = runner.invoke(app, ["report", str(run_folder), "--out", str(page), "--plots", str(tmp_path / "plots")])
    assert result.exit_code == 0, f"{result.output} {result.exception!r}"
    assert {path.suffix for path in (tmp_path / "plots").iterdir()} == {".png", ".svg"}
    browser.complaints.clear()
    browser.open(page)
    browser.screenshot(tmp_path / "top.png")
    assert browser.run("document.getElementById('count').textContent") == "240 of 240"

    expected = [r for r in RunStore.read(run_folder).records() if r.problem_id == "toy/7" and r.verdict != "passed"]
    browser.run("document.getElementById('f-failed').click()")
    browser.run(
        """new Promise(done => { const box = document.getElementById('f-problem'); box.value = '=toy/7';
        box.dispatchEvent(new Event('input', {bubbles: true})); setTimeout(done, 400); })"""
    )
    assert browser.run("document.getElementById('count').textContent") == f"{len(expected)} of 240"
    rows = browser.run("Array.from(document.querySelectorAll('.row'), r => r.textContent)")
    assert len(rows) == len(expected)
    assert all("toy/7 #" in row and "passed" not in row for row in rows)

    browser.run("document.getElementById('f-reset').click()")
    browser.run(
        """new Promise(done => { const box = document.getElementById('f-text'); box.value = "'owned'";
        box.dispatchEvent(new Event('input', {bubbles: true})); setTimeout(done, 600); })"""
    )
    assert browser.run("document.getElementById('count').textContent") == "2 of 240"
    browser.run("document.querySelector('.row').click()")
    shown = browser.run(
        "new Promise(done => setTimeout(() => done(document.querySelector('[data-part=completion]').textContent), 300))"
    )
    assert shown == NASTY
    assert browser.run("document.title") == "mtp-eval: run"
    assert browser.run("document.querySelectorAll('#detail img, #detail script').length") == 0
    browser.run("document.getElementById('browse').scrollIntoView()")
    browser.screenshot(tmp_path / "browse.png")
    assert browser.complaints == []


@pytest.mark.slow
def test_a_failure_is_explained_put_beside_another_and_kept_in_the_address(
    browser: Browser, tmp_path: Path, new_header: NewHeader, new_record: NewRecord
) -> None:
    header = RunHeader(new_header(["n1", "n4"], {"toy": {"n_problems": 2}}))
    told = {"failed_line": 2, "expression": "assert f(1) == 2", "expected": "2", "actual": "<b>3</b>"}
    records = [
        new_record(
            "n1", "toy", "toy/0", 0, "failed", program="def f(x):\n    return 3\n", error="AssertionError", **told
        ),
        new_record("n4", "toy", "toy/0", 0, "passed", program="def f(x):\n    return x + 1\n"),
        new_record("n1", "toy", "toy/1", 0, "passed", wall_seconds=9.0),
    ]
    texts = {("toy", "toy/0"): ProblemTexts("the prompt", "check = 1\nassert f(1) == 2\n", "    return 1 + x\n")}
    given = as_input("explained", header, records)
    page = tmp_path / "explained.html"
    page.write_text("".join(report_html(given, texts, report_plots(given))), "utf-8")
    browser.complaints.clear()
    browser.open(page)
    wait = "new Promise(done => setTimeout(() => done({}), 400))"
    browser.run("document.querySelector('.row').click()")
    browser.run(wait.format("0"))
    part = "document.querySelector('[data-part={}]').textContent"
    assert browser.run(part.format("failed")) == "line 2 of the tests: assert f(1) == 2"
    assert browser.run(part.format("expected")) == "2"
    assert browser.run(part.format("got")) == "<b>3</b>"
    assert browser.run("document.querySelector('.failing').textContent") == "assert f(1) == 2"
    assert browser.run(part.format("reference")) == "    return 1 + x\n"
    assert not browser.run("document.querySelector('[data-part=prompt]').closest('details').open")
    first = browser.run("document.querySelector('#detail details summary').textContent")
    assert first == "Program that was executed"

    choose = "{const s = document.getElementById('beside'); s.value = '1'; s.dispatchEvent(new Event('change'))}"
    browser.run(choose)
    browser.run(wait.format("0"))
    assert browser.run("document.querySelector('.pair .gone').textContent") == "    return 3"
    assert browser.run("document.querySelector('.pair .new').textContent") == "    return x + 1"
    address = browser.run("location.hash")
    browser.open(tmp_path / "explained.html")
    browser.run(f"location.hash = {address!r}")
    browser.run(wait.format("0"))
    assert browser.run("document.querySelector('.pair .new').textContent") == "    return x + 1"

    sort = "{const s = document.getElementById('f-sort'); s.value = 'slow'; s.dispatchEvent(new Event('change', {bubbles: true}))}"
    browser.run(sort)
    browser.run(wait.format("0"))
    assert "toy/1" in browser.run("document.querySelector('.row').textContent")
    for width in (1280, 400):
        browser.send("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        assert browser.run("document.documentElement.scrollWidth") <= width
        assert browser.run("document.querySelectorAll('figure svg').length") == 1
    assert browser.complaints == []


@pytest.mark.slow
def test_hundred_thousand_completions_open_and_only_what_is_on_screen_is_drawn(
    browser: Browser, tmp_path: Path, new_header: NewHeader, new_record: NewRecord
) -> None:
    rng = random.Random(1)
    words = ["x", "total", "item", "for", "in", "range", "if", "else", "return", "+", "-", "==", "\n    "]
    header = new_header(["n1", "n4"], {"toy": {"n_problems": 500}}, 100, temperature=0.8)
    records = []
    for i in range(100_000):
        text = " ".join(rng.choices(words, k=60))
        verdict = "passed" if i % 3 == 0 else "failed"
        records.append(
            new_record(
                f"n{1 + 3 * (i % 2)}",
                "toy",
                f"toy/{i // 2 % 500}",
                i // 1000,
                verdict,
                completion=text,
                program="def f(x):\n" + text,
            )
        )
    page = tmp_path / "big.html"
    page.write_text("".join(report_html(as_input("big", RunHeader(header), records), {}, [])), "utf-8")
    browser.complaints.clear()
    ready = browser.open(page)
    print(f"{page.stat().st_size / 1e6:.1f} MB, usable after {ready} ms")
    assert browser.run("document.getElementById('count').textContent") == "100,000 of 100,000"
    milliseconds = browser.run(
        """new Promise(done => { const started = performance.now();
        document.getElementById('f-failed').click();
        requestAnimationFrame(() => setTimeout(() => done(performance.now() - started), 0)); })"""
    )
    print(f"filtered in {milliseconds:.0f} ms")
    assert browser.run("document.querySelectorAll('.row').length") < 100
    assert browser.complaints == []


def test_report_needs_runs(tmp_path: Path) -> None:
    result = runner.invoke(app, ["report", str(tmp_path / "none"), "--out", str(tmp_path / "r.html")])
    assert exit_code_of(result) == 2
