"""``watershed view``: run, check and prove SQL on FHIR views on any files, without a lake."""

from __future__ import annotations

import csv
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer
from rich.console import Console
from rich.markup import escape

from glue_jobs.sql_on_fhir import Plan, SqlOnFhirError, ViewDefinitionError, compile_views
from local.terminal import Terminal

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

app = typer.Typer(help="Flatten FHIR with SQL on FHIR v2 ViewDefinitions.", no_args_is_help=True)
_SHOWN_PROBLEMS = 20


class Format(StrEnum):
    """How rows are written."""

    table = "table"
    ndjson = "ndjson"
    csv = "csv"
    parquet = "parquet"


Views = Annotated[
    list[Path], typer.Argument(exists=True, dir_okay=False, help="ViewDefinition files (JSON).")
]


@app.command()
def run(
    views: Views,
    input_path: Annotated[str, typer.Option("--input", help="NDJSON: a file, a folder or an s3:// prefix.")],
    output: Annotated[str | None, typer.Option(help="Folder for the rows, one entry per view.")] = None,
    format_: Annotated[Format, typer.Option("--format", help="How rows are written.")] = Format.table,
    limit: Annotated[int, typer.Option(min=1, help="Rows shown of each view in a table.")] = 20,
    check_input: Annotated[
        bool, typer.Option(help="Report lines and elements that are not as FHIR has them.")
    ] = True,
) -> None:
    """Run views over NDJSON and show or write their rows.

    For example: watershed view run patients.json --input Patient.ndjson --format csv
    """
    with _clean_errors():
        lexical = format_ is not Format.parquet
        plan = compile_views([_load(path) for path in views], lexical=lexical)
        if format_ is Format.parquet and output is None:
            raise SqlOnFhirError("parquet needs --output FOLDER")
        spark = _spark(input_path, output)
        with plan.read(spark, [input_path]) as frames:
            for name, frame in frames.items():
                _write(plan, name, frame, format_, output, limit)
        if check_input:
            _report_problems(spark, plan, input_path)


@app.command()
def check(views: Views) -> None:
    """Validate ViewDefinitions; every problem is shown with its place. Exit code 1 if any is invalid."""
    failed = 0
    console = Console(soft_wrap=True, highlight=False)
    for path in views:
        try:
            plan = compile_views([_load(path)])
        except ViewDefinitionError as error:
            failed += 1
            console.print(f"[red]invalid[/red] {escape(str(path))}\n{escape(str(error))}")
            continue
        for name, view in plan.views.items():
            columns = ", ".join(f"{output.name} {output.spark_type}" for output in view.outputs)
            console.print(
                f"[green]valid[/green] {escape(str(path))}: {name} of {view.resource} ({escape(columns)})"
            )
    raise typer.Exit(1 if failed else 0)


@app.command()
def conformance(
    folder: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="Folder of test files.")],
    report_file: Annotated[
        Path | None, typer.Option("--report", help="Write the suite's JSON report here.")
    ] = None,
) -> None:
    """Run test files in the format of the official suite. Exit code 1 if any case fails."""
    from glue_jobs.sql_on_fhir.conformance import report, run_suite

    console = Console(soft_wrap=True, highlight=False)
    with _clean_errors():
        results = []
        for result in run_suite(_spark(), folder):
            results.append(result)
            if not result.passed:
                console.print(
                    f"[red]failed[/red] {result.file}: {escape(result.name)}\n  {escape(result.error or '')}"
                )
        if report_file is not None:
            report_file.parent.mkdir(parents=True, exist_ok=True)
            report_file.write_text(json.dumps(report(results), indent=2) + "\n", encoding="utf-8")
    passed = sum(result.passed for result in results)
    console.print(f"{passed} of {len(results)} cases passed")
    raise typer.Exit(0 if passed == len(results) else 1)


def _load(path: Path) -> Mapping[str, object]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ViewDefinitionError(f"not JSON: {error}", view=str(path)) from error
    if not isinstance(document, dict):
        raise ViewDefinitionError("a ViewDefinition is a JSON object", view=str(path))
    document.setdefault("name", _name_of(path))
    return document


def _name_of(path: Path) -> str:
    """A table name for a view without one, from its file."""
    plain = "".join(c if c.isalnum() and c.isascii() else "_" for c in path.stem)
    return plain if plain[:1].isalpha() else f"view_{plain}"


def _spark(*paths: str | None) -> SparkSession:
    """A Spark of its own; `s3://` goes to the local mirror, as in every local command."""
    from local.java import use_java

    use_java()
    os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.appName("watershed view")
    settings = {
        "spark.master": "local[*]",
        "spark.driver.memory": os.environ.get("WATERSHED_SPARK_MEMORY", "2g"),
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": "1",
    }
    buckets = {path.split("/")[2] for path in paths if path and path.startswith("s3://")}
    if buckets:
        from local.spark import spark_settings
        from local.state import find_state

        mirrored = spark_settings(find_state().mirror, sorted(buckets), f"s3://{min(buckets)}/warehouse")
        settings |= {key: value for key, value in mirrored.items() if key.startswith("spark.hadoop.")}
    for key, value in settings.items():
        builder = builder.config(key, value)
    with _quiet_start():
        spark = builder.getOrCreate()
        spark.sparkContext.setLogLevel("OFF")
    return spark


@contextmanager
def _quiet_start() -> Iterator[None]:
    """Keep what the JVM says while it starts, before its log level can be set; show it if it does not start.

    The JVM inherits the file descriptor, so it is the descriptor that is turned, and turned back for our own
    messages. What the JVM writes to it later goes on to the same file, which has no name and ends with it.
    """
    with TemporaryFile() as kept:
        original = os.dup(2)
        os.dup2(kept.fileno(), 2)
        try:
            yield
        except BaseException:
            kept.seek(0)
            os.write(original, kept.read())
            raise
        finally:
            os.dup2(original, 2)
            os.close(original)


def _write(plan: Plan, name: str, frame: DataFrame, format_: Format, output: str | None, limit: int) -> None:
    if output is None:
        _print(plan, name, frame, format_, limit)
        return
    target = f"{output.rstrip('/')}/{name}"
    if format_ is Format.parquet:
        frame.write.mode("overwrite").parquet(target)
    elif format_ is Format.csv:
        _as_text(frame).write.mode("overwrite").option("header", True).option("escape", '"').csv(target)
    else:
        _json_lines(plan, name, frame).write.mode("overwrite").text(target)
    Console(stderr=True).print(f"{name}: written to {target}")


def _print(plan: Plan, name: str, frame: DataFrame, format_: Format, limit: int) -> None:
    if format_ is Format.table:
        _print_table(name, frame, limit)
    elif format_ is Format.csv:
        _print_csv(frame, sys.stdout)
    else:
        for row in _json_lines(plan, name, frame).toLocalIterator():
            sys.stdout.write(row[0] + "\n")


def _print_table(name: str, frame: DataFrame, limit: int) -> None:
    rows = frame.limit(limit + 1).collect()
    title = name + (f" (the first {limit} rows)" if len(rows) > limit else "")
    shown = [[value if value is None else _cell(value) for value in row] for row in rows[:limit]]
    Terminal().table(escape(title), frame.columns, shown)


def _cell(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | bool) else str(value)


def _print_csv(frame: DataFrame, out: TextIO) -> None:
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(frame.columns)
    for row in frame.toLocalIterator():
        writer.writerow(["" if value is None else _cell(value) for value in row])


def _json_lines(plan: Plan, name: str, frame: DataFrame) -> DataFrame:
    from glue_jobs.sql_on_fhir.json_rows import json_line

    return frame.selectExpr(f"{json_line(plan.views[name].outputs)} AS value")


def _as_text(frame: DataFrame) -> DataFrame:
    """Collections as JSON text, since CSV has no lists."""
    columns = [
        f"to_json(`{field.name}`) AS `{field.name}`"
        if field.dataType.typeName() == "array"
        else f"`{field.name}`"
        for field in frame.schema
    ]
    return frame.selectExpr(*columns)


def _report_problems(spark: SparkSession, plan: Plan, input_path: str) -> None:
    """Say on standard error what could not be read; never a value, since the input is health data."""
    from glue_jobs.sql_on_fhir.problems import file_problems

    problems = file_problems(spark, [input_path], plan.needs)
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    for found in problems[:_SHOWN_PROBLEMS]:
        problem = found.problem
        who = f" {problem.resource_type}/{problem.id}" if problem.id else ""
        element = f" {problem.element}" if problem.element else ""
        console.print(
            f"[yellow]{escape(found.file)}:{found.line}[/yellow]{who}{escape(element)}: {escape(problem.reason)}"
        )
    if len(problems) > _SHOWN_PROBLEMS:
        console.print(f"... and {len(problems) - _SHOWN_PROBLEMS} more problems")


@contextmanager
def _clean_errors() -> Iterator[None]:
    """An error of ours, or one that a view raised on purpose, as a message and exit code 1."""
    from glue_jobs.sql_on_fhir.sql import FAILURE

    try:
        yield
    except typer.Exit:
        raise
    except Exception as error:
        text = str(error)
        if isinstance(error, SqlOnFhirError):
            message = text
        elif FAILURE in text:
            message = text.split(FAILURE, 1)[1].splitlines()[0]
        elif "PATH_NOT_FOUND" in text:
            message = text.splitlines()[0]
        else:
            raise
        Console(stderr=True, soft_wrap=True, highlight=False).print(f"[red]Error:[/red] {escape(message)}")
        raise typer.Exit(1) from None


__all__: Sequence[str] = ["app"]
