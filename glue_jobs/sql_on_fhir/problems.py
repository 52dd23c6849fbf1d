"""Reporting what could not be read: native expressions pick the suspect lines, Python says what is wrong."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from glue_jobs.sql_on_fhir.diagnosis import Problem, diagnose
from glue_jobs.sql_on_fhir.needs import Need
from glue_jobs.sql_on_fhir.parsing import CORRUPT, LINE, parsed_struct
from glue_jobs.sql_on_fhir.sql import quote_name
from glue_jobs.sql_on_fhir.steps import ROOT
from glue_jobs.sql_on_fhir.suspects import suspicion

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_BROKEN = "_broken"
PROBLEM_COLUMNS = ("resource_type", "id", "element", "reason")


@dataclass(frozen=True)
class FileProblem:
    """A problem with its place; lines count from 1."""

    file: str
    line: int
    problem: Problem


def suspects(lines: DataFrame, needs: Mapping[str, Need], column: str) -> DataFrame:
    """The rows whose line may have a problem; the column `_broken` is true where it is not UTF-8."""
    text = quote_name(column)
    found: DataFrame | None = None
    known = ", ".join(f"'{name}'" for name in sorted(needs))
    for index, (name, need) in enumerate(sorted(needs.items())):
        parsed = lines.selectExpr("*", f"{parsed_struct(need, text)} AS {ROOT}")
        # A line of no planned type is looked at once, by the first of the types.
        mine = f"{ROOT}.resourceType = '{name}'"
        others = (
            f" OR {ROOT}.resourceType IS NULL OR {ROOT}.resourceType NOT IN ({known})" if index == 0 else ""
        )
        doubt = f"({suspicion(need, ROOT, text, CORRUPT)} OR {_broken_text(text)})"
        part = parsed.where(f"({mine}{others}) AND {doubt} AND trim({text}) <> ''")
        part = part.selectExpr("*", f"{_broken_text(text)} AS {_BROKEN}").drop(ROOT)
        found = part if found is None else found.unionAll(part)
    assert found is not None
    return found


def _broken_text(text: str) -> str:
    """Bytes that are not UTF-8 do not survive being decoded and encoded."""
    return f"encode({text}, 'UTF-8') <> CAST({text} AS BINARY)"


def frame_problems(
    resources: DataFrame, needs: Mapping[str, Need], resource_column: str, carry: Sequence[str]
) -> DataFrame:
    """One row per problem: the `carry` columns, resource_type, id, element and reason. Lazy."""
    from pyspark.sql.types import StringType, StructField, StructType

    columns = list(dict.fromkeys((*carry, resource_column)))
    suspect = suspects(resources.select(*columns), needs, resource_column)
    fields = [resources.schema[name] for name in carry]
    fields += [StructField(name, StringType(), True) for name in PROBLEM_COLUMNS]
    kept = dict(needs)

    def explain(row: Mapping[str, object]) -> Iterator[tuple[object, ...]]:
        for problem in diagnose(str(row[resource_column]), kept, broken=bool(row[_BROKEN])):
            yield (
                *(row[name] for name in carry),
                problem.resource_type,
                problem.id,
                problem.element,
                problem.reason,
            )

    rows = suspect.rdd.flatMap(lambda row: explain(row.asDict()))
    return resources.sparkSession.createDataFrame(rows, StructType(fields), verifySchema=False)


def file_problems(
    spark: SparkSession, paths: Sequence[str], needs: Mapping[str, Need], limit: int = 10_000
) -> list[FileProblem]:
    """The problems of NDJSON files with file and line, at most `limit` suspect lines of them.

    Line numbers cost a sequential look at each file concerned, so only those are counted through.
    """
    lines = spark.read.text(list(paths)).selectExpr(LINE, "input_file_name() AS file")
    found = suspects(lines, needs, LINE).selectExpr("file", f"md5(encode({LINE}, 'UTF-8')) AS hash", _BROKEN)
    hashes: dict[str, dict[str, bool]] = {}
    for row in found.limit(limit).collect():
        hashes.setdefault(row["file"], {})[row["hash"]] = row[_BROKEN]
    problems: list[FileProblem] = []
    for file, wanted in sorted(hashes.items()):
        numbered = spark.sparkContext.textFile(file).zipWithIndex()
        for number, problem in numbered.flatMap(_Explain(wanted, dict(needs))).collect():
            problems.append(FileProblem(file, number, problem))
    return sorted(problems, key=lambda p: (p.file, p.line))


@dataclass(frozen=True)
class _Explain:
    """The problems of a numbered line, if its hash is one of those wanted. Runs on Spark's workers."""

    wanted: Mapping[str, bool]
    needs: Mapping[str, Need]

    def __call__(self, numbered: tuple[str, int]) -> list[tuple[int, Problem]]:
        line, index = numbered
        broken = self.wanted.get(hashlib.md5(line.encode("utf-8"), usedforsecurity=False).hexdigest())
        if broken is None:
            return []
        return [(index + 1, problem) for problem in diagnose(line, self.needs, broken=broken)]
