"""What curating costs: a change beside a full load, size of the lake, bytes of queries and of tables.

    python benchmarks/curate.py [--mb 1000] [--data FOLDER] [--as-on-glue] [--json]

Lakes of a tenth, three tenths and all of ``--mb`` (FHIR by clinosim, repeated with new ids, and items that
refer to it) are loaded and changed in one warm Spark, by the jobs themselves: ``conform_items``,
``conform_fhir`` and ``curate``, from what landed to what analysts see.

- `one_percent_vs_full`: seconds for a change of one in a hundred resources and items of the largest lake, as
  a ratio to those of its full load.
- `seconds_by_lake_mb`: seconds for one and the same number of changes, a hundredth of the smallest lake, by
  the size of the lake in MB.
- `bytes_read_vs_landing`: bytes that ten questions of `docs/queries` read of the largest lake's curated tables
  after maintenance, as a ratio to landing JSON; `_bytes_read_vs_plain_parquet` to unpartitioned Parquet.
- `size_vs_ndjson`: live files of the curated tables, as a ratio to the raw NDJSON.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.curate_bytes import bytes_read  # noqa: E402
from benchmarks.curate_data import FEW, MB, ONE_PERCENT, Stage, stage  # noqa: E402
from benchmarks.exports_data import FULL  # noqa: E402
from benchmarks.timing import Timed, added, timed  # noqa: E402

CORES = 2
SHARES = (10, 30, 100)
"""Sizes of the lakes in hundredths of the largest."""
_WARM_MB = 5
_ON_GLUE = {
    "spark.sql.adaptive.enabled": "true",
    "spark.sql.shuffle.partitions": "200",
    "spark.sql.files.openCostInBytes": "4194304",
    "spark.sql.sources.parallelPartitionDiscovery.threshold": "32",
    "spark.sql.ui.explainMode": "formatted",
}
"""What a job on Glue runs with (``infra/jobs.py`` and Spark's defaults) where this machine's settings differ."""
Figures = dict[str, Any]


def main() -> None:
    """Measure, and print a table or one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--mb", type=int, default=1000, help="NDJSON of the largest lake, in MB; 10 at least")
    parser.add_argument(
        "--as-on-glue", action="store_true", help="with Glue's settings of Spark, not a laptop's"
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--data", type=Path, default=ROOT / ".watershed" / "bench")
    parser.add_argument("--only-data", action="store_true", help="make the data and stop")
    arguments = parser.parse_args()
    arguments.data.mkdir(parents=True, exist_ok=True)
    stages = stage_lakes(arguments.mb, arguments.data)
    if arguments.only_data:
        return
    figures = measure(stages, arguments.data, _ON_GLUE if arguments.as_on_glue else {})
    if arguments.json:
        print(json.dumps({name: value for name, value in figures.items() if not name.startswith("_")}))
        return
    for name, value in figures.items():
        print(f"{name.lstrip('_'):32} {value}")


def stage_lakes(mb: int, data: Path) -> dict[int, Stage]:
    """What lands in each lake, by its size in MB, and in a small one to warm up with."""
    sizes = sorted({max(1, mb * share // 100) for share in SHARES})
    # One in 100 of the smallest, and of a larger one as many.
    return {size: stage(data, size, 100 * size // sizes[0]) for size in (_WARM_MB, *sizes)}


@dataclass(frozen=True)
class Lake:
    """A landing zone and a catalog of their own in the one Spark."""

    spark: Any
    name: str
    mirror: Path
    stage: Stage

    @property
    def landing(self) -> Path:
        return self.mirror / f"{self.name}-landing"

    def bring(self, changes: str) -> dict[str, Timed]:
        """Land a set and run the jobs; what each took."""
        self.stage.land(changes, self.landing)
        return {job: timed(self.spark, partial(run, self)) for job, run in _JOBS.items()}


def measure(stages: dict[int, Stage], data: Path, engine: Mapping[str, str]) -> Figures:
    with tempfile.TemporaryDirectory(dir=data) as folder:
        mirror = Path(folder) / "mirror"
        names = {size: f"lake{size}" for size in stages}
        spark = lake_spark(mirror, list(names.values()), engine)
        lakes = {size: Lake(spark, names[size], mirror, stages[size]) for size in stages}
        warm = lakes.pop(_WARM_MB)
        for changes in (FULL, FEW, ONE_PERCENT):
            _say(f"warm-up, {changes}", warm.bring(changes))
        loads, few = {}, {}
        for size, lake in lakes.items():
            loads[size] = lake.bring(FULL)
            _say(f"{size} MB, full load", loads[size])
            few[size] = lake.bring(FEW)
            _say(f"{size} MB, few changes", few[size])
        largest = max(lakes)
        one_percent = lakes[largest].bring(ONE_PERCENT)
        _say(f"{largest} MB, one percent", one_percent)
        shapes = _shapes(lakes[largest])
        spark.stop()
    changed, loaded = added(one_percent.values()), added(loads[largest].values())
    by_size = {str(size): added(each.values()) for size, each in few.items()}
    return {
        "one_percent_vs_full": round(changed.seconds / loaded.seconds, 3),
        "seconds_by_lake_mb": {size: round(each.seconds, 1) for size, each in by_size.items()},
        **shapes,
        "_one_percent_vs_full_of_processor": round(changed.processor / loaded.processor, 3),
        "_processor_seconds_by_lake_mb": {size: round(each.processor, 1) for size, each in by_size.items()},
        "_full": _told(loads[largest]),
        "_one_percent": _told(one_percent),
        "_full_by_lake_mb": {size: str(added(each.values())) for size, each in loads.items()},
    }


def _shapes(lake: Lake) -> Figures:
    ndjson = lake.stage.size
    _maintain(lake)
    curated, conformed = (_live_bytes(lake, f"watershed_{zone}") for zone in ("curated", "conformed"))
    read = bytes_read(lake.spark, lake.name, lake.landing, f"s3://{lake.name}-plain")
    ours, plain, landing = (sum(each) for each in zip(*read.values(), strict=True))
    return {
        "bytes_read_vs_landing": round(ours / landing, 4),
        "size_vs_ndjson": round(curated / ndjson, 3),
        "_bytes_read_vs_plain_parquet": round(ours / plain, 3),
        "_conformed_vs_ndjson": round(conformed / ndjson, 3),
        "_bytes_by_question": {name: f"{a:,} of {b:,} and {c:,}" for name, (a, b, c) in read.items()},
        "_ndjson_mb": round(ndjson / MB, 1),
    }


def _maintain(lake: Lake) -> None:
    """As the nightly job does, curated tables alone."""
    from datetime import timedelta

    from glue_jobs.lake.maintenance import maintain_table
    from glue_jobs.lake.tables import tables_in

    for table in tables_in(lake.spark, lake.name, "watershed_curated"):
        maintain_table(lake.spark, table, timedelta(days=7))


def _live_bytes(lake: Lake, database: str) -> int:
    """Bytes of the data and delete files that the tables show now."""
    from glue_jobs.lake.tables import iceberg_table, tables_in

    found = (
        iceberg_table(lake.spark, each).currentSnapshot()
        for each in tables_in(lake.spark, lake.name, database)
    )
    return sum(int(dict(each.summary()).get("total-files-size", 0)) for each in found if each is not None)


def lake_spark(mirror: Path, names: list[str], engine: Mapping[str, str]) -> Any:
    """One Spark for all lakes, so that all are measured warm: a catalog and two buckets for each.

    ``engine`` are settings in place of this machine's.
    """
    from glue_jobs.lake.session import remember_names
    from local.spark import PLANNED_IN_PLACE, spark_settings, start_spark

    buckets = [f"{name}-{part}" for name in names for part in ("landing", "lake", "plain")]
    settings = spark_settings(mirror, buckets, "s3://unused/warehouse")
    own = {key: value for key, value in settings.items() if key.startswith("spark.sql.catalog.lake")}
    for name in names:
        settings |= {key.replace("catalog.lake", f"catalog.{name}"): value for key, value in own.items()}
        settings[f"spark.sql.catalog.{name}.warehouse"] = f"s3://{name}-lake/warehouse"
    planned = "" if engine else PLANNED_IN_PLACE
    # A job on Glue is warm for its length; the laptop's settings favour short ones.
    settings["spark.driver.extraJavaOptions"] = "-XX:+UseParallelGC -Duser.timezone=UTC" + planned
    spark = start_spark(
        {**settings, **engine, "spark.master": f"local[{CORES}]", "spark.driver.memory": "4g"}
    )
    remember_names(spark)  # as every job's session does
    return spark


def _conform_items(lake: Lake) -> None:
    from glue_jobs.conform.items import conform_items
    from schemas import load_item_types

    with _run(lake, "conform_items") as run:
        conform_items(run, load_item_types().values())


def _conform_fhir(lake: Lake) -> None:
    from glue_jobs.conform.fhir import conform_fhir

    with _run(lake, "conform_fhir") as run:
        conform_fhir(run)


def _curate(lake: Lake) -> None:
    from glue_jobs.curation.declarations import load_declarations
    from glue_jobs.curation.job import curate

    with _run(lake, "curate") as run:
        curate(run, load_declarations())


_JOBS: dict[str, Callable[[Lake], None]] = {
    "conform_items": _conform_items,
    "conform_fhir": _conform_fhir,
    "curate": _curate,
}


def _run(lake: Lake, job: str) -> Any:
    from glue_jobs.lake.arguments import JobArguments
    from glue_jobs.lake.run import job_run

    return job_run(lake.spark, JobArguments(f"s3://{lake.name}-landing/", catalog=lake.name), job)


def _told(jobs: dict[str, Timed]) -> str:
    each = "; ".join(f"{job} {taken}" for job, taken in jobs.items())
    return f"{added(jobs.values())} ({each})"


def _say(what: str, jobs: dict[str, Timed]) -> None:
    print(f"{what}: {_told(jobs)}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
