"""What every job needs, loaded while no job waits yet: Iceberg's classes, Spark's planner, the audit's library.

The first job of a Spark spends half its time on this. On Glue nothing is to be won by it; here a worker is up
while data is still being seeded. Nothing of it is seen by a job: it has a catalog and a folder of its own.
"""

from __future__ import annotations

import importlib
import logging
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_log = logging.getLogger("watershed.glue")

_CATALOG = "rehearsal"
_TABLE = f"{_CATALOG}.stage.line"
_ROWS = (
    "select key, place, from_json(text, 'array<struct<a: string, b: map<string, string>>>')[0].a as a,"
    " row_number() over (partition by key order by place desc) as rank,"
    " lead(place) over (partition by key order by place) as next, timestamp_micros(place) as at"
    " from (select concat('k', id % 7) as key, id as place, concat('[{{\"a\": \"', id, '\"}}]') as text"
    " from range({first}, {last}))"
)
_ACTS = (
    f"create namespace {_CATALOG}.stage",
    f"create table {_TABLE} (key string, place bigint, a string, at timestamp) using iceberg"
    " partitioned by (bucket(4, key)) tblproperties ('format-version'='2', 'write.merge.mode'='merge-on-read',"
    " 'write.delete.mode'='merge-on-read', 'write.parquet.compression-codec'='zstd')",
    f"insert into {_TABLE} select key, place, a, at from ({_ROWS.format(first=0, last=90)}) where rank = 1",
    f"merge into {_TABLE} t using (select * from ({_ROWS.format(first=50, last=120)}) where rank = 1) s"
    " on t.key = s.key when matched and s.a = '110' then delete"
    " when matched then update set place = s.place, a = s.a, at = s.at"
    " when not matched then insert (key, place, a, at) values (s.key, s.place, s.a, s.at)",
    f"select count(*), count_if(l.a is null), max(l.at) from {_TABLE} l left semi join {_TABLE} r using (key)",
    f"delete from {_TABLE} where key in ('k1', 'k2')",
    f"drop table {_TABLE} purge",
)


def rehearse(spark: SparkSession, scratch: Path, is_wanted: Callable[[], bool]) -> None:
    """Go through the motions of a job, until done or until a job waits (``is_wanted``).

    Parameters
    ----------
    scratch : a folder of this worker; nothing stays in it
    """
    folder = scratch / _CATALOG
    # Imports wait for files and the planner for this thread: each has the other's pauses.
    importing = threading.Thread(target=_import_the_audit, name="imports", daemon=True)
    importing.start()
    try:
        spark.conf.set(f"spark.sql.catalog.{_CATALOG}", "org.apache.iceberg.spark.SparkCatalog")
        spark.conf.set(f"spark.sql.catalog.{_CATALOG}.type", "hadoop")
        spark.conf.set(f"spark.sql.catalog.{_CATALOG}.warehouse", folder.absolute().as_uri())
        for act in _ACTS:
            if is_wanted():
                break
            spark.sql(act).collect()
    except Exception as problem:
        # A job that needs the same fails with it and says so.
        _log.info("the rehearsal ended early: %s", type(problem).__name__)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _import_the_audit() -> None:
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")  # read when the library is imported
    importlib.import_module("great_expectations")
