"""Whatever happens at the sources, and wherever a job is killed, the curated tables come to say what the
sources hold."""

from __future__ import annotations

import contextlib
import os
import re
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
from playwright.sync_api import expect

from glue_jobs.curation import DATA_DOCS
from glue_jobs.curation.declarations import load_declarations
from infra.questions import load_questions
from local.commands.pipeline import follow_export, run_export
from local.commands.query import ask
from local.commands.sample import change_sources
from local.console.first_engineer import first_engineer
from local.console.server import ConsoleServer
from local.deploy import read_outputs
from local.errors import LocalError
from local.sample.changes import Sources
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
from tests.e2e.pages import Screen, enter, faults, overflow, picture, serving

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


@pytest.fixture(scope="module")
def told_of() -> set[str]:
    """Everything that ever told who a patient is: what changed meanwhile, or was deleted, was logged about too."""
    return set()


def sources_now(lake: Stack, told_of: set[str]) -> Sources:
    sources = read_sources(lake.fhir, lake.client("dynamodb"))
    told_of |= personal_values(sources)
    return sources


def export_and_run(lake: Stack, quiet: Terminal, mode: str) -> None:
    follow_export(lake, quiet, run_export(lake, quiet, {"mode": mode}))


@pytest.fixture(scope="module")
def console(lake: Stack) -> Iterator[ConsoleServer]:
    with serving(read_outputs(lake.state.root), lake.emulator.endpoint) as server:
        yield server


def test_an_export_started_in_the_browser_is_watched_and_fills_the_tables(
    lake: Stack, console: ConsoleServer, screen: Screen, tmp_path: Path
) -> None:
    """The page is asked for nothing after the click: what changes on it comes over the socket."""
    who = first_engineer(lake.client("cognito-idp"), read_outputs(lake.state.root)["UserPoolId"])
    page = screen.open(console.url)
    enter(page, who)
    expect(page.get_by_text("There are no tables yet")).to_be_visible()
    page.get_by_role("button", name="Start an export").click()
    log = page.get_by_role("log")
    expect(log).to_contain_text(re.compile("export .* succeeded, [0-9]+ files"))
    expect(log).to_contain_text("job watershed-curate succeeded", timeout=_RUN_SECONDS * 1000)
    patients = page.get_by_role("row", name="curated.patient ", exact=False).first
    expect(patients.get_by_role("cell").first).to_have_text("10")
    expect(page.locator("#runs .badge").first).to_have_text("completed")
    page.locator("#runs summary").first.click()
    expect(page.locator("#runs .nodes")).to_contain_text("job watershed-curate")
    page.get_by_role("main").focus()
    assert (faults(page), overflow(page)) == ([], 0)
    page.set_viewport_size({"width": 1100, "height": 1180})
    picture(page, "console-light", tmp_path)
    for name, dark, phone in (("console-dark", True, False), ("console-phone", False, True)):
        other = screen.open(console.url, dark=dark, phone=phone)
        enter(other, who)
        picture(other, name, tmp_path)


_RUN_SECONDS = 600
"""What the first run may take where cores are shared: Spark starts in it. It takes 80 where they are not."""


def _nothing_was_exported(lake: Stack) -> bool:
    states = lake.client("stepfunctions")
    return not states.list_executions(stateMachineArn=lake.export_machine_arn)["executions"]


def test_the_first_run_fills_every_table(lake: Stack, quiet: Terminal, told_of: set[str]) -> None:
    if _nothing_was_exported(lake):  # no browser did
        export_and_run(lake, quiet, "incremental")
    sources = sources_now(lake, told_of)
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
    lake: Stack, quiet: Terminal, told_of: set[str], seed: int, size: int, kill_after: float
) -> None:
    """A kill that comes after the run's end meets an idle worker, and the next round a new one."""
    change_sources(lake, quiet, size, seed)
    output = run_export(lake, quiet, {"mode": "full"})
    killer, killed = _kill_spark_after(lake, kill_after)
    try:
        follow_export(lake, quiet, output)
    except LocalError:
        assert killed.is_set(), "a run failed that nobody killed"
        follow_export(lake, quiet, {"workflowRunId": start_workflow(lake.client("glue"), lake.workflow)})
    killer.join()
    sources = sources_now(lake, told_of)
    assert curated_tables(lake) == expected_tables(sources)


def _kill_spark_after(lake: Stack, seconds: float) -> tuple[threading.Thread, threading.Event]:
    """SIGKILL, no chance to clean up, wherever the job then is; the event is set before the first."""
    emulator, killed = lake.emulator.pid, threading.Event()

    def kill() -> None:
        time.sleep(seconds)
        killed.set()
        for pid in _descendants(emulator):
            if "local.glue.worker" in _command(pid) or "/bin/java" in _command(pid):
                with contextlib.suppress(ProcessLookupError):  # Java follows its worker
                    os.kill(pid, signal.SIGKILL)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    return killer, killed


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
    groups = logs.get_paginator("describe_log_groups").paginate()
    for group in (each for page in groups for each in page["logGroups"]):
        pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group["logGroupName"])
        messages = [event["message"] for page in pages for event in page.get("events", [])]
        files[group["logGroupName"]] = "\n".join(messages)
    return files


def test_no_log_of_all_this_tells_who_a_patient_is(lake: Stack, told_of: set[str]) -> None:
    sources_now(lake, told_of)
    values = told_of
    assert len(values) > 50
    logs = _logs(lake)
    # Something was logged by each kind of part, and what should not be there would be found.
    assert {"emulator/emulator.log", "healthlake/healthlake.log"} <= set(logs)
    assert any(name.startswith("logs/") and "run ended" in text for name, text in logs.items())
    functions = ("land-item-changes", "start-export", "poll-export", "land-export")
    assert {f"/aws/lambda/watershed-{each}" for each in functions} <= {
        name for name, text in logs.items() if text
    }
    assert found_in(values, f"x={sorted(values)[0]}.") == {sorted(values)[0]}
    told = {name: len(found) for name, text in logs.items() if (found := found_in(values, text))}
    assert told == {}, "logs with personal values, and how many"
