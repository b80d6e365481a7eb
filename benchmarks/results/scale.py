"""Millions of records: table, frame of scores and comparison from records.parquet, beside plain pyarrow and DuckDB on the same file.

    python -m benchmarks.results.scale [--records 10000000] [--quick] [--folder DIR]

The file is made straight by columns (500 problems, 2 models, sampled verdicts, short texts); its journal is a hole of the right
size, which no reader opens. `--quick` takes 200,000 records.
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
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mtp_eval.results.columns import COLUMNS_FILE, ORIGIN, ROWS_PER_GROUP, schema
from mtp_eval.results.journal import JOURNAL_FILE, Keys
from mtp_eval.results.store import RunStore

PROBLEMS = 500
STEPS = {
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
    """A run folder with so many records by columns."""
    n_samples = n_records // (2 * PROBLEMS)
    header = {
        "schema_version": 1,
        "config": {"n_samples": n_samples, "k": [1, 10], "temperature": 0.8, "top_p": 0.95},
        "config_sha256": "0" * 64,
        "tasks": {"toy": {"protocol": "toy@1", "data_sha256": "0" * 64, "n_problems": PROBLEMS, "report_by": None}},
        "models": {"n1": {}, "n4": {}},
    }
    RunStore.open(folder, header).close()
    with open(folder / JOURNAL_FILE, "wb") as file:
        file.truncate(400 * n_records)
    facts = (folder / JOURNAL_FILE).stat()
    origin = {"bytes": facts.st_size, "mtime_ns": facts.st_mtime_ns, "crc32": 0}
    columns = schema().with_metadata({ORIGIN: json.dumps(origin).encode()})
    rng = np.random.default_rng(0)
    chances = rng.beta(0.5, 0.8, (2, PROBLEMS))
    with pq.ParquetWriter(folder / COLUMNS_FILE, columns, compression="zstd", write_page_checksum=True) as writer:
        for start in range(0, n_records, ROWS_PER_GROUP):
            writer.write_table(
                rows(np.arange(start, min(start + ROWS_PER_GROUP, n_records)), n_samples, chances, rng, columns)
            )


def rows(numbers: np.ndarray, n_samples: int, chances: np.ndarray, rng: np.random.Generator, columns: Any) -> Any:
    """The records of these numbers: models, then problems, then samples."""
    problem, sample = numbers // n_samples % PROBLEMS, numbers % n_samples
    model = numbers // (n_samples * PROBLEMS)
    passed = rng.random(numbers.size) < chances[model, problem]
    text = pc.binary_join_element_wise("    return x + ", pc.cast(pa.array(sample), pa.string()), "\n", "")
    n = numbers.size
    made = {
        "model": pa.array(np.array(["n1", "n4"])[model]), "task": pa.array(["toy"] * n),
        "problem_id": pa.array(np.array([f"toy/{p}" for p in range(PROBLEMS)])[problem]), "sample": pa.array(sample),
        "verdict": pa.array(np.where(passed, "passed", "failed")), "stop_reason": pa.array(["eos"] * n),
        "completion": text, "program": text, "n_tokens": pa.array(rng.integers(5, 200, n)),
        "n_forwards": pa.array(rng.integers(5, 80, n)), "n_drafted": pa.array([[]] * n), "n_accepted": pa.array([[]] * n),
        "tags": pa.array([[]] * n, columns.field("tags").type),
    }  # fmt: skip
    empty: dict[str, Any] = {"bool": False, "string": ""}
    arrays: list[Any] = []
    for field in columns:
        if field.name in made:
            arrays.append(pc.cast(made[field.name], field.type))
        elif field.name == "temperature":
            arrays.append(pa.nulls(n, field.type))
        else:
            arrays.append(pa.array([empty.get(str(field.type), 0)] * n, field.type))
    return pa.Table.from_arrays(arrays, schema=columns)


def measured(code: str, folder: Path) -> str:
    """Wall seconds, CPU seconds and peak memory of a Python of its own."""
    program = f"F = {str(folder)!r}; {code}"
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    report = "import resource, sys; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)"
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
    options = parser.parse_args()
    n_records = 200_000 if options.quick else options.records
    with tempfile.TemporaryDirectory() as place:
        folder = (options.folder or Path(place)) / "run"
        if not folder.exists():
            make_run(folder, n_records)
        print(f"{n_records:,} records, records.parquet {(folder / COLUMNS_FILE).stat().st_size / 2**20:,.0f} MiB")
        for name, code in STEPS.items():
            print(f"{name}: {measured(code, folder)}", flush=True)
    tracemalloc.start()
    keys = Keys(("n1", "toy", f"toy/{p}", s) for p in range(PROBLEMS) for s in range(200))
    print(f"keys on resume: {tracemalloc.get_traced_memory()[0] / len(keys):.2f} bytes a record")


if __name__ == "__main__":
    main()
