"""How tables should lie on disk: bytes that typical questions read, by layout.

    python benchmarks/layouts.py [--mb 30] [--copies 100] [--tables NAME…] [--layouts REGEX] [--data FOLDER]

A lake of ``--mb`` (FHIR by clinosim) is curated once, and the rows of the tables that grow are repeated with new
keys, spread over five years. Each layout of ``LAYOUTS`` is then written as compaction would leave it, and every
question asked of it. Bytes are what Spark really read from storage, metadata included; all layouts must give the
same answers.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.curate import Lake, lake_spark  # noqa: E402
from benchmarks.curate_bytes import Row, alike, counted  # noqa: E402
from benchmarks.curate_data import MB, stage  # noqa: E402
from benchmarks.exports_data import FULL  # noqa: E402
from schemas.layout import Layout, load_layouts  # noqa: E402

MONTHS = 60
"""Over how many the copies are spread."""
_NAME = "layouts"
_DAY = "timestamp '2024-03-01'"
QUESTIONS: Mapping[str, Mapping[str, str]] = {
    "observation": {
        "a laboratory value by month": "select date_trunc('month', effective_at), count(*), avg(value_quantity)"
        " from {table} where code = '4548-4' and value_quantity is not null group by 1",
        "a vital sign's latest": "select patient_key, max(struct(effective_at, value_quantity)) from {table}"
        " where code = '8480-6' and value_quantity is not null group by 1",
        "share of abnormal results": "select code, max(code_display), count(*), count_if(interpretation_code in"
        " ('H', 'HH', 'L', 'LL', 'A', 'AA')) from {table} where value_quantity is not null group by 1",
        "a value in a month": "select patient_key, effective_at, value_quantity, value_unit from {table}"
        f" where code = '2160-0' and effective_at >= {_DAY} and effective_at < {_DAY} + interval 1 month",
        "what was measured in a month": "select code, count(*), count(distinct patient_key) from {table}"
        f" where effective_at >= {_DAY} and effective_at < {_DAY} + interval 1 month group by 1",
        "all of one patient": "select effective_at, code_display, value_quantity, value_unit, value_code_display"
        " from {table} where patient_key = '{patient}'",
        "a value of one patient": "select effective_at, value_quantity from {table}"
        " where patient_key = '{patient}' and code = '8867-4'",
    },
    "encounter": {
        "encounters by month and class": "select date_trunc('month', started_at), class_code, count(*)"
        " from {table} group by 1, 2",
        "inpatient stays": "select patient_key, started_at, ended_at from {table}"
        " where class_code = 'IMP' and status = 'finished'",
        "stays that began in a month": "select resource_key, patient_key, started_at from {table}"
        f" where class_code = 'IMP' and started_at >= {_DAY} and started_at < {_DAY} + interval 1 month",
        "encounters of a month": "select class_code, reason_display, count(*) from {table}"
        f" where started_at >= {_DAY} and started_at < {_DAY} + interval 1 month group by 1, 2",
        "all of one patient": "select started_at, class_code, type_display from {table}"
        " where patient_key = '{patient}'",
    },
    "condition": {
        "a cohort by code": "select patient_key, min(onset_date) from {table}"
        " where clinical_status = 'active' and code like 'E11%' group by 1",
        "active conditions of all": "select code, count(distinct patient_key) from {table}"
        " where clinical_status = 'active' group by 1",
        "all of one patient": "select code_display, onset_date from {table} where patient_key = '{patient}'",
    },
    "medication_request": {
        "who is on a drug": "select patient_key, max(authored_date) from {table}"
        " where medication_code = '6809' and status = 'active' group by 1",
        "orders by drug": "select medication_code, count(*) from {table} group by 1",
        "all of one patient": "select authored_date, medication_display from {table}"
        " where patient_key = '{patient}'",
    },
}
_TIMES = {"observation": "effective_at", "encounter": "started_at", "condition": "recorded_at"}


def layouts_of(table: str) -> dict[str, Layout]:
    """What is compared, by name; the first is what no thought would give."""
    declared = load_layouts().of("curated", table)
    time = _TIMES.get(table, "authored_at")
    return {
        "as they come": Layout(row_group_mb=128),
        "declared": declared,
        **{f"declared, groups of {mb} MB": replace(declared, row_group_mb=mb) for mb in (1, 4, 8, 16, 128)},
        "sorted by patient, 8 MB": Layout(sort_by=("patient_key", declared.sort_by[0]), row_group_mb=8),
        "sorted by time, 8 MB": Layout(sort_by=(time,), row_group_mb=8),
        "partitioned by month": replace(declared, partition_by=(f"month({time})",)),
        "partitioned by patient": replace(declared, partition_by=("bucket(8, patient_key)",)),
    }


def main() -> None:
    """Measure, and print a table for each table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--mb", type=int, default=30, help="NDJSON that is curated")
    parser.add_argument("--copies", type=int, default=100, help="how often its rows are repeated")
    parser.add_argument("--tables", nargs="*", default=list(QUESTIONS), choices=list(QUESTIONS))
    parser.add_argument("--layouts", default="", help="regular expression: those of whose name a part fits")
    parser.add_argument("--data", type=Path, default=ROOT / ".watershed" / "bench")
    parser.add_argument("--only-data", action="store_true", help="make the rows and stop")
    arguments = parser.parse_args()
    arguments.data.mkdir(parents=True, exist_ok=True)
    grown = arguments.data / f"layouts-{arguments.mb}-{arguments.copies}"
    with tempfile.TemporaryDirectory(dir=arguments.data) as folder:
        spark = lake_spark(Path(folder) / "mirror", [_NAME], {})
        if not grown.is_dir():
            _grow(Lake(spark, _NAME, Path(folder) / "mirror", stage(arguments.data, arguments.mb, 100)),
                  arguments.copies, grown)  # fmt: skip
        if not arguments.only_data:
            for table in arguments.tables:
                _print(table, measure(spark, table, grown / table, arguments.layouts))
        spark.stop()


def _grow(lake: Lake, copies: int, target: Path) -> None:
    """Curate the lake, and keep the tables' rows as Parquet, each ``copies`` times."""
    lake.bring(FULL)
    work = target.with_suffix(".part")
    shutil.rmtree(work, ignore_errors=True)
    for table in QUESTIONS:
        rows = lake.spark.table(f"{_NAME}.watershed_curated.{table}")
        many = rows.crossJoin(lake.spark.range(copies).withColumnRenamed("id", "_copy"))
        shown = [_copied(each.name, each.dataType.simpleString()) for each in rows.schema.fields]
        many.selectExpr(*shown).repartition(4).write.parquet((work / table).as_uri())
    work.rename(target)


def _copied(column: str, type_: str) -> str:
    """SQL: a column in a copy. Keys are as random as a server's are."""
    if column == "id" or column.endswith("_key"):
        return f"substr(sha2(concat({column}, '-', _copy), 256), 1, 24) as {column}"
    if type_ in ("date", "timestamp"):
        moved = f"{column} - make_interval(0, 0, 0, cast(_copy % {MONTHS} * 30 as int))"
        return f"cast({moved} as {type_}) as {column}"
    return column


def measure(spark: Any, table: str, rows: Path, chosen: str) -> dict[str, dict[str, int]]:
    """By layout, bytes for each question; with them files and size of the table."""
    spark.read.parquet(rows.as_uri()).createOrReplaceTempView("_rows")
    patient = spark.sql("select patient_key from _rows where patient_key is not null order by 1").first()[0]
    answers: dict[str, list[Row]] = {}
    found: dict[str, dict[str, int]] = {}
    for name, layout in layouts_of(table).items():
        if not re.search(chosen, name):
            continue
        full_name = _write(spark, table, layout)
        read = {}
        for question, sql in QUESTIONS[table].items():
            answer, read[question] = counted(
                spark, sql.replace("{table}", full_name).replace("{patient}", patient)
            )
            if not alike(answers.setdefault(question, answer), answer):
                raise RuntimeError(f"{table}, {question}: {name} gives other rows")
        found[name] = {**read, **_size(spark, full_name)}
        spark.sql(f"drop table {full_name} purge")
        print(f"{table}, {name}: {sum(read.values()) / MB:.1f} MB", file=sys.stderr, flush=True)
    return found


def _write(spark: Any, table: str, layout: Layout) -> str:
    """The rows as compaction leaves them: in the order of the layout over all files."""
    from glue_jobs.lake.layout import apply_layout
    from glue_jobs.lake.tables import Column, TableSpec, ensure_table, iceberg_table

    rows = spark.table("_rows")
    columns = tuple(Column(each.name, each.dataType.simpleString()) for each in rows.schema.fields)
    spec = TableSpec(f"measured.{table}", columns, partitioned_by=layout.partition_by)
    full_name = ensure_table(spark, _NAME, spec)
    apply_layout(spark, iceberg_table(spark, full_name), layout)
    if layout.sort_by and not layout.partition_by:
        rows = rows.orderBy(*layout.sort_by)
    rows.writeTo(full_name).append()
    return full_name


def _size(spark: Any, full_name: str) -> dict[str, int]:
    row = spark.sql(f"select count(*), sum(file_size_in_bytes) from {full_name}.files").first()
    return {"files": int(row[0]), "bytes of the table": int(row[1])}


def _print(table: str, found: Mapping[str, Mapping[str, int]]) -> None:
    names = list(found)
    print(f"\n{table}: kB read\n| | {' | '.join(names)} |\n|{' --- |' * (len(names) + 1)}")
    for question in found[names[0]]:
        divisor = 1 if question == "files" else 1000
        cells = (f"{found[name][question] / divisor:,.0f}" for name in names)
        print(f"| {question} | {' | '.join(cells)} |")
    totals = (sum(found[name][each] for each in QUESTIONS[table]) / 1000 for name in names)
    print(f"| all questions | {' | '.join(f'{each:,.0f}' for each in totals)} |", flush=True)


if __name__ == "__main__":
    main()
