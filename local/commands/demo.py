"""``watershed demo``: the whole lake, twice round, and what came of it."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Annotated

import typer

from local.commands.lifecycle import deploy_stack, start_stack
from local.commands.options import EXPECTED_ERRORS, Deid, Json, current_stack, says_why
from local.commands.pipeline import follow_export, run_export
from local.commands.query import ask
from local.commands.sample import PATIENTS, SEED, SIZE, change_sources, load_population, seed_sources
from local.errors import LocalError
from local.sample.population import Population
from local.stack import Stack
from local.terminal import Terminal, counted

SHOWN = (
    (
        "Patients: FHIR demographics, the registry's address and enrolment, the sites' readings",
        "select patient_id, gender, birth_date, city, enrolment_status as enrolment, "
        "encounter_count as visits, site_activity_count as readings, last_site_activity_at as last_reading "
        "from curated.patient_profile order by site_activity_count desc, patient_id limit 8",
    ),
    (
        "Encounters, with the site activity around them",
        "select encounter_id, class_code as class, started_at, site_activity_count as readings, "
        "cast(value_one_average as decimal(9, 2)) as value_one from curated.encounter_site_activity "
        "order by started_at desc, encounter_id limit 8",
    ),
    (
        "The latest results of each patient",
        "select patient_id, cast(systolic_pressure as integer) as systolic, cast(diastolic_pressure as integer) as diastolic, "
        "cast(heart_rate as integer) as heart_rate, cast(body_weight as decimal(4, 1)) as weight, "
        "cast(creatinine as decimal(4, 2)) as creatinine, last_measured_at "
        "from curated.latest_vitals_and_labs order by last_measured_at desc, patient_id limit 8",
    ),
    (
        "What was observed most",
        "select code_display, count(*) as observations, count(distinct patient_key) as patients "
        "from curated.observation group by code_display order by 2 desc, 1 limit 8",
    ),
)
TWIN_SHOWN = (
    "The same patients in the de-identified twin: keys hashed, dates shifted, addresses to three digits of the ZIP",
    "select substr(patient_key, 1, 12) as patient_key, gender, birth_date, postal_code as zip, "
    "encounter_count as visits, site_activity_count as readings, last_site_activity_at as last_reading "
    "from curated_deid.patient_profile order by site_activity_count desc, patient_key limit 8",
)
COUNTED = (
    *("patient", "encounter", "condition", "observation", "medication_request", "procedure"),
    *("patient_profile", "encounter_site_activity", "active_problem_list", "current_medications"),
)


def row_counts(stack: Stack) -> dict[str, int]:
    """Rows of each curated table."""
    sql = " union all ".join(
        f"select '{name}' as name, count(*) as n from curated.{name}" for name in COUNTED
    )
    return {str(name): int(count) for name, count in ask(stack, sql).rows}


def _first_round(stack: Stack, terminal: Terminal, patients: int, seed: int, twin: bool) -> None:
    with ThreadPoolExecutor(1) as background:
        # clinosim takes as long as starting and deploying do: both at once.
        population: Future[Population] = background.submit(load_population, stack, patients, seed)
        start_stack(stack, terminal)
        deploy_stack(stack, terminal, twin=twin)
        stack.emulator.warm_up()
        with terminal.step("Generate a population") as step:
            made = population.result()
            step.result = f"{len(made.patient_ids)} patients, {patients} of them now, the others later"
    seed_sources(stack, terminal, made, patients, seed)
    _export_and_run(stack, terminal)


def _export_and_run(stack: Stack, terminal: Terminal, mode: str = "incremental") -> None:
    follow_export(stack, terminal, run_export(stack, terminal, {"mode": mode}))


def _show_changes(terminal: Terminal, before: dict[str, int], after: dict[str, int]) -> None:
    rows = [(name, before[name], after[name], f"{after[name] - before[name]:+,}") for name in before]
    terminal.table("Rows before and after the second round", ("table", "before", "after", "change"), rows)


def _show_ends(stack: Stack, terminal: Terminal) -> None:
    terminal.say("\n[bold]Where things lie[/bold]")
    buckets = {"landing zone": "landing", "Iceberg tables": "lake", "HealthLake's export files": "exports"}
    for what, bucket in buckets.items():
        terminal.say(f"  {what:<28}s3://{stack.settings.bucket(bucket)}/")
    if stack.data_docs:
        terminal.say(f"  {'data docs':<28}{stack.data_docs.as_uri()}")
    terminal.say(f"  {'logs and local state':<28}{stack.state.root}")
    terminal.say("\n[bold]What to try next[/bold]")
    for command in (
        'watershed query "select city, count(*) from conformed.address where is_current group by city"',
        "watershed change && watershed export",
        "watershed status",
        "watershed down --purge",
    ):
        terminal.say(f"  {command}")


def run_demo(
    stack: Stack, terminal: Terminal, patients: int, seed: int, *, twin: bool = False
) -> dict[str, object]:
    """Both rounds; returns row counts before and after the second."""
    if stack.state.sample_file.is_file():
        raise LocalError("A lake with sample data is here already.", "Remove it with: watershed down --purge")
    started = time.monotonic()
    _first_round(stack, terminal, patients, seed, twin)
    before = row_counts(stack)
    terminal.say(f"  {counted(before)}\n")
    _, changes = change_sources(stack, terminal, SIZE)
    terminal.say(f"  [dim]{counted(changes)}[/dim]")
    # A full export: HealthLake's incremental one reports no deletes. The jobs still work on what changed only.
    _export_and_run(stack, terminal, "full")
    after = row_counts(stack)
    terminal.say()
    for title, sql in (*SHOWN, TWIN_SHOWN) if twin else SHOWN:
        result = ask(stack, sql)
        terminal.table(title, result.columns, result.rows)
    _show_changes(terminal, before, after)
    seconds = time.monotonic() - started
    terminal.say(f"\nDone in {seconds:.0f} s.")
    _show_ends(stack, terminal)
    return {"before": before, "after": after, "changes": dict(changes), "seconds": round(seconds, 1)}


@says_why
def demo(
    patients: Annotated[int, typer.Option(min=2, help="About how many patients.")] = PATIENTS,
    seed: Annotated[int, typer.Option(help="The same seed gives the same data.")] = SEED,
    deid: Deid = False,
    as_json: Json = False,
) -> None:
    """Run the whole lake on this machine: start, deploy, seed, export, curate, change, and again."""
    stack, terminal = current_stack(), Terminal(as_json)
    try:
        terminal.emit(run_demo(stack, terminal, patients, seed, twin=deid))
    except BaseException as error:
        stack.stop()
        if isinstance(error, EXPECTED_ERRORS):
            raise
        terminal.say("[dim]The local stack was stopped; its logs are in .watershed/.[/dim]")
        raise
