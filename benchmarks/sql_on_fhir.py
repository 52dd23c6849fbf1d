"""The SQL on FHIR runner beside DuckDB and two other ways to use Spark, over the same NDJSON in the same run.

    python benchmarks/sql_on_fhir.py [--mb 300] [--rounds 5] [--data .watershed/bench] [--json]

Every contender first shows that it gives the same rows. Then they take turns, warm, each on two cores: what
disturbs the machine disturbs all of them, and the least time of each counts. Spark writes to its `noop` sink and
DuckDB into a table in memory, so every column of every row is made.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.sql_on_fhir_data import make_data, size_of  # noqa: E402
from benchmarks.sql_on_fhir_views import FIVE, FLAT, OBSERVATION, Flat  # noqa: E402
from glue_jobs.sql_on_fhir import compile_views  # noqa: E402
from local.spark import engine_settings, start_spark  # noqa: E402

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

CORES = 2
LEAST_ROUNDS = 3
ENGINE = {
    "spark.master": f"local[{CORES}]",
    "spark.driver.memory": "2g",
    # Unlike the short jobs of the local stack, a warm Spark gains from the second compiler.
    "spark.driver.extraJavaOptions": "-XX:+UseParallelGC -Duser.timezone=UTC",
}
OURS, HANDWRITTEN, INFERRED, DUCKDB = (
    "watershed",
    "spark, by hand",
    "spark, inferred schema",
    "duckdb, by hand",
)
ONE, FIVE_VIEWS = "watershed, one view", "watershed, five views"


class DifferentRows(RuntimeError):
    """Raised when two contenders do not give the same rows, which makes their times incomparable."""


@dataclass(frozen=True)
class Contender:
    """One way to do the work: `run` does it once, `size` is the number of bytes it reads."""

    name: str
    run: Callable[[], None]
    size: int


def write(frame: DataFrame) -> None:
    """Compute every column of every row and drop it."""
    frame.write.format("noop").mode("overwrite").save()


# The four ways ------------------------------------------------------------------------------------------------


def ours(spark: SparkSession, flat: Flat, folder: Path) -> DataFrame:
    return compile_views([flat.view]).read(spark, [str(folder)])[flat.view["name"]]


def handwritten(spark: SparkSession, flat: Flat, folder: Path) -> DataFrame:
    return spark.read.schema(flat.spark_schema).json(str(folder)).selectExpr(*flat.spark_columns)


def inferred(spark: SparkSession, flat: Flat, folder: Path) -> DataFrame:
    """The same columns. Inferring reads the files once more, and counts: without a schema there is no way round it.

    Primitives are inferred as text, without which decimals would come out as doubles and rows would differ.
    """
    return spark.read.option("primitivesAsString", True).json(str(folder)).selectExpr(*flat.spark_columns)


def duckdb_query(flat: Flat, folder: Path) -> str:
    columns = ", ".join(f"'{key}': '{kind}'" for key, kind in flat.duckdb_schema.items())
    source = f"read_json('{folder}/*.ndjson', format='newline_delimited', columns={{{columns}}})"
    return f"SELECT {', '.join(flat.duckdb_columns)} FROM {source}"


def run_duckdb(data: Mapping[str, Path]) -> None:
    import duckdb

    with duckdb.connect() as connection:
        connection.execute(f"SET threads = {CORES}")
        for resource, flat in FLAT.items():
            connection.execute(f"CREATE TABLE {resource} AS {duckdb_query(flat, data[resource])}")


def run_spark(
    make: Callable[[SparkSession, Flat, Path], DataFrame], spark: SparkSession, data: Mapping[str, Path]
) -> None:
    for resource, flat in FLAT.items():
        write(make(spark, flat, data[resource]))


def run_views(spark: SparkSession, views: tuple[Mapping[str, Any], ...], folder: Path) -> None:
    """All views of one resource type, written one after the other."""
    with compile_views(views).read(spark, [str(folder)]) as frames:
        for frame in frames.values():
            write(frame)


def contenders(spark: SparkSession, data: Mapping[str, Path]) -> list[Contender]:
    """All of them, in the order of their turns."""
    both = sum(size_of(folder) for folder in data.values())
    observations = data["Observation"]
    ways = ((OURS, ours), (HANDWRITTEN, handwritten), (INFERRED, inferred))
    found = [Contender(name, partial(run_spark, make, spark, data), both) for name, make in ways]
    found.append(Contender(DUCKDB, partial(run_duckdb, data), both))
    for name, views in ((ONE, (OBSERVATION.view,)), (FIVE_VIEWS, FIVE)):
        found.append(Contender(name, partial(run_views, spark, views, observations), size_of(observations)))
    return found


# The same rows ------------------------------------------------------------------------------------------------


def _text(columns: tuple[str, ...]) -> str:
    return "concat_ws('|', " + ", ".join(f"coalesce({column}, '~')" for column in columns) + ")"


def checksum(frame: DataFrame) -> tuple[int, int]:
    """The number of rows and a sum over hashes of them, which their order does not change."""
    text = _text(tuple(f"CAST(`{column}` AS STRING)" for column in frame.columns))
    total = f"CAST(sum(CAST(conv(left(md5({text}), 8), 16, 10) AS BIGINT)) AS BIGINT)"
    row = frame.selectExpr("count(*)", total).first()
    assert row is not None
    return int(row[0]), int(row[1] or 0)


def duckdb_checksum(flat: Flat, folder: Path) -> tuple[int, int]:
    """The same for DuckDB."""
    import duckdb

    total = f"sum(CAST('0x' || left(md5({_text(flat.columns)}), 8) AS BIGINT))"
    with duckdb.connect() as connection:
        row = connection.execute(f"SELECT count(*), {total} FROM ({duckdb_query(flat, folder)})").fetchone()
    assert row is not None
    return int(row[0]), int(row[1])


def check_rows(spark: SparkSession, data: Mapping[str, Path]) -> dict[str, int]:
    """The number of rows of each view; raises DifferentRows where contenders disagree."""
    rows: dict[str, int] = {}
    for resource, flat in FLAT.items():
        folder = data[resource]
        expected = checksum(ours(spark, flat, folder))
        sums = {
            HANDWRITTEN: checksum(handwritten(spark, flat, folder)),
            INFERRED: checksum(inferred(spark, flat, folder)),
            DUCKDB: duckdb_checksum(flat, folder),
        }
        _same(flat.view["name"], expected, sums)
        rows[flat.view["name"]] = expected[0]
    with compile_views(FIVE).read(spark, [str(data["Observation"])]) as together:
        for view in FIVE:
            alone = compile_views([view]).read(spark, [str(data["Observation"])])[view["name"]]
            expected = checksum(together[view["name"]])
            _same(view["name"], expected, {"the view alone": checksum(alone)})
            rows[view["name"]] = expected[0]
    return rows


def _same(view: str, expected: tuple[int, int], sums: Mapping[str, tuple[int, int]]) -> None:
    for name, found in sums.items():
        if found != expected or not expected[0]:
            raise DifferentRows(f"{view}: {name} gives {found[0]} rows (sum {found[1]}), not {expected}")


# Measuring ----------------------------------------------------------------------------------------------------


def measure(candidates: list[Contender], rounds: int, budget: float) -> dict[str, list[float]]:
    """Seconds per contender and round. After `budget` seconds no further round starts, but three there are."""
    times: dict[str, list[float]] = {candidate.name: [] for candidate in candidates}
    started = time.monotonic()
    for number in range(rounds):
        if number >= LEAST_ROUNDS and time.monotonic() - started > budget:
            break
        # Each has each place in the turn as often as the others: no one always runs after the same neighbour.
        turn = candidates[number % len(candidates) :] + candidates[: number % len(candidates)]
        for candidate in turn:
            begun = time.perf_counter()
            candidate.run()
            times[candidate.name].append(time.perf_counter() - begun)
    return times


def ratios(times: Mapping[str, list[float]]) -> dict[str, float]:
    """Our time divided by theirs, of the least times."""
    best = {name: min(seconds) for name, seconds in times.items()}
    pairs = {
        "vs_handwritten_spark": (OURS, HANDWRITTEN),
        "vs_inferred_spark": (OURS, INFERRED),
        "vs_duckdb": (OURS, DUCKDB),
        "five_views_vs_one": (FIVE_VIEWS, ONE),
    }
    return {key: round(best[mine] / best[theirs], 3) for key, (mine, theirs) in pairs.items()}


def print_table(
    candidates: list[Contender], times: Mapping[str, list[float]], found: Mapping[str, float]
) -> None:
    print(f"{'':26}{'MB':>6}{'least s':>9}{'median s':>10}{'most s':>8}{'MB/s':>8}")
    for candidate in candidates:
        seconds, megabytes = times[candidate.name], candidate.size / 1e6
        numbers = f"{megabytes:6.0f}{min(seconds):9.2f}{statistics.median(seconds):10.2f}{max(seconds):8.2f}"
        print(f"{candidate.name:26}{numbers}{megabytes / min(seconds):8.0f}")
    print("\nour time / theirs (least times)")
    for key, ratio in found.items():
        print(f"  {key:24}{ratio:6.2f}")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print only an object of ratios")
    parser.add_argument("--mb", type=int, default=300, help="size of the NDJSON in megabytes (default 300)")
    parser.add_argument("--rounds", type=int, default=7, help="measured turns of every contender (default 7)")
    parser.add_argument(
        "--budget",
        type=float,
        default=240,
        help="seconds after which no round starts but three (default 240)",
    )
    parser.add_argument("--data", type=Path, default=ROOT / ".watershed" / "bench", help="where data is kept")
    return parser.parse_args()


def use_two_cores() -> None:
    """Keep this process and the JVM it starts to two cores, however many there are."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])


def main() -> int:
    options = arguments()
    use_two_cores()
    data = make_data(options.data.absolute(), options.mb)
    spark = start_spark({**engine_settings(options.data.absolute() / "spark"), **ENGINE}, name="benchmark")
    try:
        rows = check_rows(spark, data)
        candidates = contenders(spark, data)
        measure(candidates, 1, 0)  # to warm up: the JVM compiles while it runs
        times = measure(candidates, options.rounds, options.budget)
    finally:
        spark.stop()
    found = ratios(times)
    if options.json:
        print(json.dumps(found))
    else:
        print(", ".join(f"{name}: {count} rows" for name, count in rows.items()) + "\n")
        print_table(candidates, times, found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
