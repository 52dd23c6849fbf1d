"""Whatever happens at the sources, and wherever a job is killed, the curated tables come to say what the
sources hold."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from glue_jobs.curation import DATA_DOCS
from glue_jobs.curation.declarations import load_declarations
from infra.questions import load_questions
from local.commands.pipeline import follow_export, run_export
from local.commands.query import ask
from local.commands.sample import change_sources
from local.errors import LocalError
from local.sample.items import SITE_ACTIVITY
from local.sample.sources import read_sources
from local.stack import Stack
from local.terminal import Terminal
from local.workflow_run import start_workflow
from tests.conftest import examples
from tests.e2e.lake.expected import COLUMNS, Row, expected_tables
from tests.e2e.lake.filled import keys_that_lead_nowhere, row_counts_and_empty_columns
from tests.e2e.lake.gaps import MODELS_MAY_LACK, OF_FEW_PATIENTS, WITHOUT_VALUE
from tests.e2e.lake.personal import found_in, personal_values

pytestmark = pytest.mark.e2e


def curated_tables(lake: Stack) -> dict[str, list[Row]]:
    """The same rows and columns as `expected_tables`, asked of the lake as an analyst would."""
    return {
        table: sorted(
            (
                tuple(map(_plain, row))
                for row in ask(lake, f"select {', '.join(columns)} from curated.{table}").rows
            ),
            key=lambda row: str(row[0]),
        )
        for table, columns in COLUMNS.items()
    }


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    return list(value) if isinstance(value, tuple | list) else value


def export_and_run(lake: Stack, quiet: Terminal, mode: str) -> None:
    follow_export(lake, quiet, run_export(lake, quiet, {"mode": mode}))


def test_the_first_run_fills_every_table(lake: Stack, quiet: Terminal) -> None:
    export_and_run(lake, quiet, "incremental")
    sources = read_sources(lake.fhir, lake.client("dynamodb"))
    assert curated_tables(lake) == expected_tables(sources)
    [[patients]] = ask(lake, "select count(*) from curated.patient").rows
    assert patients == lake.fhir.counts()["Patient"] == 10


def test_every_table_has_rows_every_key_joins_and_no_column_is_empty_without_a_reason(lake: Stack) -> None:
    declarations = load_declarations()
    found = row_counts_and_empty_columns(lake, declarations)
    assert [name for name, (rows, _) in found.items() if not rows] == []
    empty = {(name, f"{name}.{column}") for name, (_, columns) in found.items() for column in columns}
    assert {column for name, column in empty if name in declarations.views} == WITHOUT_VALUE
    of_models = {column for name, column in empty if name not in (*declarations.views, *OF_FEW_PATIENTS)}
    assert of_models <= MODELS_MAY_LACK
    assert keys_that_lead_nowhere(lake, declarations) == {}


def test_the_data_docs_say_what_the_audits_of_all_tables_found(lake: Stack) -> None:
    docs = lake.data_docs
    assert docs is not None
    declarations = load_declarations()
    for name in (*declarations.views, *declarations.models):
        assert f'id="{name}"' in docs.read_text()
    copy = lake.client("s3").get_object(Bucket=lake.settings.bucket("docs"), Key=DATA_DOCS)
    assert copy["Body"].read() == docs.read_bytes()


@settings(
    max_examples=examples(1),
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # the lake goes on from round to round
)
@given(seed=st.integers(0, 10**6), size=st.integers(1, 4), kill_after=st.floats(0.5, 20))
def test_random_rounds_with_a_random_kill(
    lake: Stack, quiet: Terminal, seed: int, size: int, kill_after: float
) -> None:
    """A kill that comes after the run's end meets an idle worker, and the next round a new one."""
    change_sources(lake, quiet, size, seed)
    output = run_export(lake, quiet, {"mode": "full"})
    killer = _kill_spark_after(lake, kill_after)
    try:
        follow_export(lake, quiet, output)
    except LocalError:
        assert not killer.is_alive(), "a run failed that nobody killed"
        follow_export(lake, quiet, {"workflowRunId": start_workflow(lake.client("glue"), lake.workflow)})
    killer.join()
    sources = read_sources(lake.fhir, lake.client("dynamodb"))
    assert curated_tables(lake) == expected_tables(sources)


def _kill_spark_after(lake: Stack, seconds: float) -> threading.Thread:
    """SIGKILL, no chance to clean up, wherever the job then is."""
    emulator = lake.emulator.pid

    def kill() -> None:
        time.sleep(seconds)
        for pid in _descendants(emulator):
            if "local.glue.worker" in _command(pid) or "/bin/java" in _command(pid):
                os.kill(pid, signal.SIGKILL)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    return killer


def _descendants(ancestor: int | None) -> Iterator[int]:
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(entry.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue  # ended while we looked
        if parent == ancestor:
            yield from _descendants(int(entry.parent.name))
            yield int(entry.parent.name)


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""


def test_every_question_of_the_docs_is_answered_by_these_tables(lake: Stack) -> None:
    """What the answers must be is tested on a small world; here that the real tables have what they ask for."""
    answers = {}
    for question in load_questions():
        if question.name == "growth_since_yesterday":
            continue  # this lake is younger than a day
        answers[question.name] = ask(lake, question.sql).rows
    patients = lake.fhir.counts()["Patient"]
    assert sum(sum(row[1:]) for row in answers["age_pyramid"]) <= patients
    assert sum(row[1] for row in answers["research_consent"]) == patients
    assert sum(row[1] for row in answers["length_of_stay"]) == lake.fhir.counts()["Encounter"]
    readings = read_sources(lake.fhir, lake.client("dynamodb")).items[SITE_ACTIVITY]
    assert sum(row[1] for row in answers["site_ranking"]) == len(readings)
    assert {"conform_items", "conform_fhir", "curate"} <= {row[0] for row in answers["data_freshness"]}


def _logs(lake: Stack) -> dict[str, str]:
    """Everything that the run logged: files of the emulator, the simulator and the jobs; groups of functions."""
    files = {
        str(file.relative_to(lake.state.root)): file.read_text(errors="replace")
        for file in lake.state.root.rglob("*")
        if file.is_file() and (file.suffix == ".log" or "logs" in file.parent.parts)
    }
    logs = lake.client("logs")
    for group in logs.describe_log_groups()["logGroups"]:
        events = logs.filter_log_events(logGroupName=group["logGroupName"]).get("events", [])
        files[group["logGroupName"]] = "\n".join(event["message"] for event in events)
    return files


def test_no_log_of_all_this_tells_who_a_patient_is(lake: Stack) -> None:
    values = personal_values(read_sources(lake.fhir, lake.client("dynamodb")))
    assert len(values) > 50
    logs = _logs(lake)
    # Something was logged by each kind of part, and what should not be there would be found.
    assert {"emulator/emulator.log", "healthlake/healthlake.log"} <= set(logs)
    assert any(name.startswith("logs/") and "run ended" in text for name, text in logs.items())
    assert found_in(values, f"x={sorted(values)[0]}.") == {sorted(values)[0]}
    told = {name: len(found) for name, text in logs.items() if (found := found_in(values, text))}
    assert told == {}, "logs with personal values, and how many"
