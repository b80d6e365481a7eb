"""Millions of records: resuming, finishing, table, frame of scores and comparison, beside plain pyarrow and DuckDB on the same file.

    python -m benchmarks.results.scale [--records 10000000] [--lines 1000000] [--quick] [--folder DIR]

Resuming and finishing read a journal as runs write it, line by line with checksums (500 problems, 2 models, sampled verdicts, short
texts; 0.7 kB a record), of `--lines` records: their time grows with the lines and nothing else. The other steps read a file by
columns of `--records` records, which is that run's, as often as it takes with the samples numbered on; its journal is a hole,
which no reader opens. `--quick` takes 100,000 lines and 200,000 records.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mtp_eval.results.columns import COLUMNS_FILE, ROWS_PER_GROUP, SIDECAR, schema, state
from mtp_eval.results.header import RUN_FILE
from mtp_eval.results.journal import CHECKSUM, JOURNAL_FILE, Keys, line_of
from mtp_eval.results.record import Record
from mtp_eval.results.store import RunStore
from mtp_eval.sandbox.outcome import Outcome, Verdict
from mtp_eval.tasks.problem import Completion

PROBLEMS = 500
ANY_SAMPLE = 77_777_777
"""Stands in a template where the number of the sample goes."""
ANY_SECONDS = b"0.012345"
"""The same for the seconds of its program."""
OF_LINES = {
    "resume (read and check the journal, hold its keys)": "import json; from pathlib import Path; "
    "from mtp_eval.results.store import RunStore; "
    "print(len(RunStore.open(Path(F), json.load(open(F + '/run.json'))).keys()))",
    "finish (records.parquet, metrics.json, tables)": "from pathlib import Path; from mtp_eval.results.store import RunStore; "
    "from mtp_eval.results.finish import finish; print(len(str(finish(RunStore.read(Path(F)), [1, 10], {}))))",
}
OF_COLUMNS = {
    "table": "from mtp_eval.results.run import read_run; print(len(str(read_run(F).table([1, 10]))))",
    "frame of scores": "from mtp_eval.results.frame import load_scores; print(len(load_scores(F, [1, 10])))",
    "compare": "from mtp_eval.results.compare.folders import compare_folders; "
    "print(len(compare_folders(F, None, [1]).comparisons))",
    "plain pyarrow": "import pyarrow.parquet as pq; t = pq.read_table(F + '/records.parquet', "
    "columns=['model', 'task', 'problem_id', 'verdict']); print(t.group_by(t.column_names).aggregate([([], 'count_all')]).num_rows)",
    "DuckDB": 'import duckdb; print(len(duckdb.sql(f"select model, task, problem_id, verdict, count(*) '
    "from '{F}/records.parquet' group by all\").fetchall()))",
}


def make_run(folder: Path, n_records: int) -> None:
    """A run folder with a journal of so many records."""
    n_samples = n_records // (2 * PROBLEMS)
    header = {
        "schema_version": 1,
        "config": {"n_samples": n_samples, "k": [1, 10], "temperature": 0.8, "top_p": 0.95},
        "config_sha256": "0" * 64,
        "tasks": {"toy": {"protocol": "toy@1", "data_sha256": "0" * 64, "n_problems": PROBLEMS, "report_by": None}},
        "models": {"n1": {}, "n4": {}},
    }
    RunStore.open(folder, header).close()
    rng = np.random.default_rng(0)
    with open(folder / JOURNAL_FILE, "wb") as file:
        for model in ("n1", "n4"):
            for number, chance in enumerate(rng.beta(0.5, 0.8, PROBLEMS)):
                templates = [template(model, f"toy/{number}", verdict) for verdict in (Verdict.FAILED, Verdict.PASSED)]
                passed = rng.random(n_samples) < chance
                micros = rng.integers(10_000, 100_000, n_samples).tolist()
                file.writelines(line(templates[ok], n, micros[n]) for n, ok in enumerate(passed.tolist()))


def template(model: str, problem: str, verdict: Verdict) -> bytes:
    """A record's line up to its checksum, with `ANY_SAMPLE` in the place of its number."""
    text = f"    return x + {ANY_SAMPLE}\n"
    completion = Completion(
        problem, ANY_SAMPLE, text, 42, 17, "eos", (10, 10, 10), (9, 8, 7), 0.01234, 0.0123, prompt_tokens=100
    )
    error = "" if verdict is Verdict.PASSED else "AssertionError"
    outcome = Outcome(verdict, error, float(ANY_SECONDS), 0.0123, peak_bytes=12_345_678)
    record = Record(model, "toy", "0" * 64, completion, f"def f(x):\n{text}", outcome)
    return line_of(record).rpartition(CHECKSUM)[0]


def line(template: bytes, sample: int, micros: int) -> bytes:
    """The line of one sample, whose program took so many microseconds."""
    body = template.replace(b"%d" % ANY_SAMPLE, b"%d" % sample).replace(ANY_SECONDS, b"0.0%d" % micros)
    return b'%b%b%08x"}\n' % (body, CHECKSUM, zlib.crc32(body))


def repeat(run: Path, folder: Path, times: int) -> None:
    """A run folder by columns with the records of another so many times, samples numbered on."""
    header = json.loads((run / RUN_FILE).read_bytes())
    n_samples = header["config"]["n_samples"]
    header["config"]["n_samples"] = n_samples * times
    store = RunStore.open(folder, header)
    store.close()
    with open(folder / JOURNAL_FILE, "wb") as file:
        file.truncate((run / JOURNAL_FILE).stat().st_size * times)
    place = schema().get_field_index("sample")
    with (
        pq.ParquetFile(run / COLUMNS_FILE) as source,
        pq.ParquetWriter(folder / COLUMNS_FILE, schema(), compression="zstd", write_page_checksum=True) as writer,
    ):
        for number in range(times):
            for batch in source.iter_batches(ROWS_PER_GROUP):
                sample = pc.add(batch["sample"], pa.scalar(number * n_samples, pa.int32()))
                writer.write_batch(batch.set_column(place, schema().field("sample"), sample))
    store.sidecar(SIDECAR).write({"journal": state(folder / JOURNAL_FILE), "columns": state(folder / COLUMNS_FILE)})


def measured(code: str, folder: Path) -> str:
    """Wall seconds, CPU seconds and peak memory of a Python of its own (ru_maxrss would begin with that of this one)."""
    program = f"F = {str(folder)!r}; {code}"
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    report = "import sys; print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0], file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", f"{program}\n{report}"], capture_output=True, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        return done.stderr.strip().splitlines()[-1]
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return f"{time.perf_counter() - started:.1f} s, {cpu:.1f} s CPU, {int(done.stderr.split()[-1]) / 1024:,.0f} MiB"


def main() -> None:
    """Print every step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=10_000_000)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--folder", type=Path, help="where to make the run; it is kept")
    parser.add_argument("--lines", type=int, default=1_000_000)
    options = parser.parse_args()
    lines, n_records = (100_000, 200_000) if options.quick else (options.lines, options.records)
    with tempfile.TemporaryDirectory() as place:
        lined, columned = ((options.folder or Path(place)) / name for name in ("lines", "columns"))
        make_run(lined, lines)
        print(f"{lines:,} records, journal {(lined / JOURNAL_FILE).stat().st_size / 2**20:,.0f} MiB", flush=True)
        for name, code in OF_LINES.items():
            print(f"{name}: {measured(code, lined)}", flush=True)
        repeat(lined, columned, n_records // lines)
        size = (columned / COLUMNS_FILE).stat().st_size / 2**20
        print(f"{n_records:,} records, records.parquet {size:,.0f} MiB", flush=True)
        for name, code in OF_COLUMNS.items():
            print(f"{name}: {measured(code, columned)}", flush=True)
    tracemalloc.start()
    keys = Keys(("n1", "toy", f"toy/{p}", s) for p in range(PROBLEMS) for s in range(200))
    print(f"keys on resume: {tracemalloc.get_traced_memory()[0] / len(keys):.2f} bytes a record")


if __name__ == "__main__":
    main()
