"""Reporting what could not be read: native expressions pick the suspect lines, Python says what is wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from glue_jobs.sql_on_fhir.diagnosis import Problem, diagnose
from glue_jobs.sql_on_fhir.needs import Need
from glue_jobs.sql_on_fhir.parsing import CORRUPT, LINE, schema
from glue_jobs.sql_on_fhir.session import suit_session
from glue_jobs.sql_on_fhir.sql import case, field, quote_name, quote_text
from glue_jobs.sql_on_fhir.suspects import (
    key_schemas,
    kind_of_line,
    line_keys,
    odd_line,
    repeated_keys,
    suspicion,
)
from schemas.fhir import element_model

if TYPE_CHECKING:
    from pyspark import RDD
    from pyspark.sql import DataFrame, SparkSession

_BROKEN, _UNREAD, _KEYS = "_broken", "_unread", "_keys"
# What repeats go through is written out so deep for the native tests; all that is deeper is suspect.
_LEVELS = 4
PROBLEM_COLUMNS = ("resource_type", "id", "element", "reason")


@dataclass(frozen=True)
class FileProblem:
    """A problem with its place; lines count from 1."""

    file: str
    line: int
    problem: Problem


def suspects(lines: DataFrame, needs: Mapping[str, Need], column: str) -> DataFrame:
    """The rows whose line may have a problem, found in one pass over the lines.

    The columns `_broken` and `_unread` are true where the line is not UTF-8 and where Spark read nothing of it.
    """
    text = quote_name(column)
    kept = [quote_name(name) for name in lines.columns]
    known = ", ".join(quote_text(name) for name in sorted(element_model().resource_types))
    kind = kind_of_line(_KEYS)
    doubts = [odd_line(_KEYS), f"coalesce({kind} NOT IN ({known}), true)", _BROKEN]
    frame = lines.where(f"trim({text}) <> ''").selectExpr("*", _fenced(line_keys(text), _KEYS))
    for index, (name, recursive) in enumerate(sorted(needs.items())):
        need = recursive.written_out(_LEVELS)
        parts = {f"_p{index}": schema(need)}
        parts |= {f"_p{index}_{level}": keys for level, keys in enumerate(key_schemas(need))}
        for part, ddl in parts.items():
            options = f"map('columnNameOfCorruptRecord', '{CORRUPT}')"
            parsed = f"from_json({text}, {quote_text(ddl)}, {options})"
            frame = frame.selectExpr("*", _fenced(case((f"{kind} = {quote_text(name)}", parsed)), part))
        whole, *levels = parts
        doubts += [f"coalesce({field(whole, CORRUPT)} IS NOT NULL, false)", suspicion(need, whole, text)]
        doubts += [repeated_keys(need, part, level) for level, part in enumerate(levels)]
    frame = frame.selectExpr(
        "*",
        f"encode({text}, 'UTF-8') <> CAST({text} AS BINARY) AS {_BROKEN}",
        f"{_KEYS} IS NULL AS {_UNREAD}",
    )
    return frame.where(" OR ".join(doubts)).selectExpr(*kept, _BROKEN, _UNREAD)


def _fenced(sql: str, name: str) -> str:
    """The expression as a generator: Spark would copy what it parses into every test of it."""
    return f"explode(array({sql})) AS {name}"


def frame_problems(
    resources: DataFrame, needs: Mapping[str, Need], resource_column: str, carry: Sequence[str]
) -> DataFrame:
    """One row per problem: the `carry` columns, resource_type, id, element and reason. Lazy."""
    from pyspark.sql.types import StringType, StructField, StructType

    fields = [resources.schema[name] for name in carry]
    fields += [StructField(name, StringType(), True) for name in PROBLEM_COLUMNS]
    columns = list(dict.fromkeys((*carry, resource_column)))
    rows = _explained(resources.select(*columns), needs, resource_column, carry)
    return resources.sparkSession.createDataFrame(rows, StructType(fields), verifySchema=False)


def _explained(
    lines: DataFrame, needs: Mapping[str, Need], column: str, carry: Sequence[str]
) -> RDD[tuple[Any, ...]]:
    """The problems of the lines: the `carry` columns and the fields of a `Problem`."""
    suit_session()
    kept = dict(needs)

    def explain(row: Mapping[str, object]) -> Iterator[tuple[Any, ...]]:
        for found in diagnose(str(row[column]), kept, broken=bool(row[_BROKEN]), unread=bool(row[_UNREAD])):
            carried = (row[name] for name in carry)
            yield (*carried, found.resource_type, found.id, found.element, found.reason)

    return suspects(lines, needs, column).rdd.flatMap(lambda row: explain(row.asDict()))


def file_problems(
    spark: SparkSession, paths: Sequence[str], needs: Mapping[str, Need], limit: int = 10_000
) -> list[FileProblem]:
    """The problems of NDJSON files with file and line, at most `limit` of them.

    Spark numbers the lines of each block of a file; where a block begins is only counted when there are problems.
    """
    lines = spark.read.text(list(paths)).selectExpr(
        LINE,
        "input_file_name() AS file",
        "input_file_block_start() AS block",
        "monotonically_increasing_id() AS number",
    )
    found = _explained(lines, needs, LINE, ("file", "block", "number")).take(limit)
    offsets = _line_offsets(lines) if found else {}
    problems = [
        FileProblem(unquote(file), number + offsets[file, block], Problem(*problem))
        for file, block, number, *problem in found
    ]
    return sorted(problems, key=lambda p: (p.file, p.line))


def _line_offsets(lines: DataFrame) -> dict[tuple[str, int], int]:
    """What to add to the numbers of a block of a file to get line numbers that count from 1."""
    blocks = lines.groupBy("file", "block").agg({"number": "min", "*": "count"})
    offsets, file, before = dict[tuple[str, int], int](), "", 0
    for name, block, first, count in sorted(
        (row["file"], row["block"], row["min(number)"], row["count(1)"]) for row in blocks.collect()
    ):
        before = before if name == file else 0
        offsets[name, block] = before + 1 - first
        file, before = name, before + count
    return offsets
