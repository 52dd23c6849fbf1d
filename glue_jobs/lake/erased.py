"""Who was erased: keyed hashes, by which the conform jobs refuse what comes back.

``watershed_ops.erased`` holds no key, and nobody who can read it can test a guess: the hashes are keyed with
a secret that lies in the landing bucket, which analysts cannot read. A record is refused if it is an erased
one or refers to one: a FHIR resource by a literal reference, an item by an attribute that its declaration
says ``references`` the type.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import reduce
from typing import Any

from pyspark.sql import Column as SparkColumn
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from glue_jobs.lake.errors import LakeError, Terminal
from glue_jobs.lake.quarantine import key_hash
from glue_jobs.lake.run import Run
from glue_jobs.lake.tables import Column, TableSpec, append_rows, ensure_table, quoted, table_exists
from schemas import ItemType

ERASED_TABLE = TableSpec(
    "watershed_ops.erased",
    (
        Column("kind", "string", "fhir or item"),
        Column("type", "string", "Resource type, or name of the item type"),
        Column("key_hash", "string", "Keyed hash of the record's key"),
        Column("run_id", "string", "Run that erased it"),
        Column("erased_at", "timestamp", "When (UTC)"),
    ),
    "Records that were erased and must not come back.",
)
SECRET_KEY = "erasure/secret"
FHIR, ITEM = "fhir", "item"
_ID = r'"id"\s*:\s*"([A-Za-z0-9\-.]{1,64})"'


class SecretMissing(LakeError, Terminal):
    """Raised when there are erased records and the secret of their hashes is gone."""


@dataclass(frozen=True)
class Erased:
    """The hashes of erased records by kind and type, and the secret they are keyed with."""

    secret: str = ""
    hashes: Mapping[tuple[str, str], frozenset[str]] = field(default_factory=dict)

    def types(self, kind: str) -> list[str]:
        return sorted(name for found, name in self.hashes if found == kind)

    def holds(self, kind: str, type_: str, key: SparkColumn) -> SparkColumn:
        """Whether a key (the id; of an item ``key_hash`` of its keys) is of an erased record; never null."""
        known = self.hashes.get((kind, type_), frozenset())
        message = F.concat(F.lit(f"{kind}\x1f{type_}\x1f"), key)
        inner = F.sha2(F.concat(F.lit(self.secret), message), 256)
        hashed = F.sha2(F.concat(F.lit(self.secret), inner), 256)
        return F.coalesce(hashed.isin(*sorted(known)), F.lit(False)) if known else F.lit(False)


def keyed_hash(secret: str, kind: str, type_: str, key: str) -> str:
    """What ``Erased.holds`` computes, for one key."""
    inner = hashlib.sha256(f"{secret}{kind}\x1f{type_}\x1f{key}".encode()).hexdigest()
    return hashlib.sha256(f"{secret}{inner}".encode()).hexdigest()


def load_erased(run: Run) -> Erased:
    """Who was erased so far. Raises SecretMissing."""
    table = f"{run.catalog}.{ERASED_TABLE.name}"
    if not table_exists(run.spark, table):
        return Erased()
    rows = run.spark.table(table).select("kind", "type", "key_hash").distinct().collect()
    if not rows:
        return Erased()
    found: dict[tuple[str, str], set[str]] = {}
    for row in rows:
        found.setdefault((row.kind, row.type), set()).add(row.key_hash)
    secret = _read_secret(run)
    if secret is None:
        raise SecretMissing(
            f"{SECRET_KEY} is not in the landing bucket, so erased records cannot be recognised",
            "Restore that object from a version of it; until then nothing may be conformed",
        )
    return Erased(secret, {name: frozenset(hashes) for name, hashes in found.items()})


def remember(run: Run, kind: str, type_: str, key: str) -> str:
    """Write down that a record is erased, before anything of it is removed; its keyed hash."""
    secret = _read_secret(run) or _make_secret(run)
    hashed = keyed_hash(secret, kind, type_, key)
    table = ensure_table(run.spark, run.catalog, ERASED_TABLE)
    known = run.spark.table(table).where((F.col("kind") == kind) & (F.col("key_hash") == hashed))
    if known.isEmpty():
        append_rows(run.spark, table, [(kind, type_, hashed, run.run_id, datetime.now(UTC))])
    return hashed


def blank_erased(run: Run, parsed: DataFrame, blank: str, *, references: bool) -> DataFrame:
    """Parsed lines of FHIR, those of erased resources without text and with the reason ``blank``.

    They stay as rows, because refused lines beside them are numbered by counting. ``references``: lines
    that refer to an erased resource count as its own.
    """
    erased = load_erased(run)
    tests: list[SparkColumn] = []
    for name in erased.types(FHIR):
        own = (F.col("resource_type") == name) & erased.holds(FHIR, name, F.col("id"))
        tests.append(F.coalesce(own, F.lit(False)))
        if references:
            text = F.replace(F.col("text"), F.lit("\\/"), F.lit("/"))
            ids = F.regexp_extract_all(text, F.lit(_references(name)), F.lit(1))
            tests.append(F.exists(ids, _test(erased, name)))
            # Of a line that cannot be read it is enough that an id in it is theirs: it would be set aside.
            own_ids = F.regexp_extract_all(text, F.lit(_ID), F.lit(1))
            tests.append(F.col("reason").isNotNull() & F.exists(own_ids, _test(erased, name)))
    if not tests:
        return parsed
    gone = reduce(lambda a, b: a | b, tests)
    return parsed.withColumns(
        {
            "reason": F.when(gone, blank).otherwise(F.col("reason")),
            "text": F.when(gone, "").otherwise(F.col("text")),
        }
    )


def without_erased_items(
    run: Run, item_type: ItemType, rows: DataFrame, hash_column: str = "_key_hash"
) -> DataFrame:
    """Rows of an item type without those of erased items, and of items that refer to erased resources."""
    erased = load_erased(run)
    tests = []
    if item_type.name in erased.types(ITEM):
        tests.append(erased.holds(ITEM, item_type.name, F.col(hash_column)))
    for each in item_type.columns:
        if each.references in erased.types(FHIR) and each.column in rows.columns:
            value = F.col(quoted(each.column)).cast("string")
            tests.append(erased.holds(FHIR, str(each.references), value))
    return rows.where(~reduce(lambda a, b: a | b, tests)) if tests else rows


def item_key(keys: Iterable[object]) -> str:
    """The key of an item as ``remember`` and ``holds`` take it."""
    return key_hash(*keys)


def _references(resource_type: str) -> str:
    return rf'"(?:[^"]*/)?{resource_type}/([A-Za-z0-9\-.]{{1,64}})(?=["/|])'


def _test(erased: Erased, name: str) -> Any:
    return lambda id_: erased.holds(FHIR, name, id_)


def _read_secret(run: Run) -> str | None:
    path, files, jvm = _secret_file(run)
    if not files.exists(path):
        return None
    stream = files.open(path)
    try:
        return bytes(jvm.org.apache.commons.io.IOUtils.toByteArray(stream)).decode()
    finally:
        stream.close()


def _make_secret(run: Run) -> str:
    path, files, _ = _secret_file(run)
    made = secrets.token_hex(32)
    stream = files.create(path, False)
    try:
        stream.write(made.encode())
    finally:
        stream.close()
    return made


def _secret_file(run: Run) -> tuple[Any, Any, Any]:
    jvm: Any = run.spark._jvm  # type: ignore[attr-defined, unused-ignore]
    path = jvm.org.apache.hadoop.fs.Path(run.arguments.landing_uri + SECRET_KEY)
    files = path.getFileSystem(run.spark._jsc.hadoopConfiguration())  # type: ignore[attr-defined, unused-ignore]
    return path, files, jvm
