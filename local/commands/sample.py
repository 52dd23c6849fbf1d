"""``watershed seed`` and ``change``: sample data at both sources, and rounds of random changes to it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from itertools import chain
from typing import Annotated

import typer

from local.commands.options import Json, current_stack, says_why
from local.errors import LocalError
from local.landing import LandedChanges
from local.sample.changes import plan_round
from local.sample.items import items_of_patients, unlinked_items
from local.sample.population import Population, generate_population
from local.sample.sources import Applied, apply_round, read_sources, write_resources
from local.sample.tables import put_items
from local.stack import Stack
from local.terminal import Terminal, counted

PATIENTS = 100
SEED = 42
SIZE = 5


@dataclass(frozen=True)
class SampleState:
    """Which population was seeded, how many rounds came after, and how many item changes both made."""

    patients: int
    seed: int
    rounds: int
    item_changes: int


def read_sample_state(stack: Stack) -> SampleState:
    """What was seeded.

    Raises
    ------
    LocalError : nothing was
    """
    try:
        return SampleState(**json.loads(stack.state.sample_file.read_text()))
    except FileNotFoundError:
        raise LocalError("No sample data was seeded.", "Seed some with: watershed seed") from None


def _write_sample_state(stack: Stack, sample: SampleState) -> None:
    stack.state.sample_file.write_text(json.dumps(asdict(sample)))


def load_population(stack: Stack, patients: int, seed: int) -> Population:
    return generate_population(patients, seed, stack.state.population)


def seed_sources(
    stack: Stack, terminal: Terminal, population: Population, patients: int, seed: int
) -> Applied:
    """Write the first ``patients`` of a population, and their items; wait until the items have landed."""
    if stack.state.sample_file.is_file():
        raise LocalError("Sample data is seeded already.", "Start anew with: watershed down --purge")
    ids = frozenset(population.patient_ids[:patients])
    stack.emulator.warm_up()  # an export follows, and its jobs
    with ThreadPoolExecutor(1) as background:
        # Two services that know nothing of each other: both are filled at once.
        items = chain(items_of_patients(population, ids, seed), unlinked_items(seed))
        putting = background.submit(put_items, stack.client("dynamodb"), items)
        with terminal.step("Seed HealthLake") as step:
            resources = population.of_patients(ids, shared=True)
            written = write_resources(stack.fhir, resources, lambda count: step.note(f"{count:,} resources"))
            step.result = f"{written:,} resources of {len(ids)} patients"
        with terminal.step("Seed DynamoDB") as step:
            changes = putting.result()
            step.result = f"{changes:,} items"
    _write_sample_state(stack, SampleState(patients, seed, 0, changes))
    await_landing(stack, terminal, changes)
    return Applied(resources_written=written, item_changes=changes)


def change_sources(
    stack: Stack, terminal: Terminal, size: int, seed: int | None = None
) -> tuple[Applied, Mapping[str, int]]:
    """One random round of changes at both sources; wait until the item changes have landed."""
    sample = read_sample_state(stack)
    population = load_population(stack, sample.patients, sample.seed)
    dynamodb = stack.client("dynamodb")
    with terminal.step("Change both sources") as step:
        step.note("planning")
        number = sample.rounds + 1
        plan = plan_round(
            population,
            read_sources(stack.fhir, dynamodb),
            sample.seed + number if seed is None else seed,
            size,
        )
        applied = apply_round(stack.fhir, dynamodb, plan)
        step.result = (
            f"{applied.resources_written:,} resources written, {applied.resources_deleted:,} deleted; "
            f"{applied.item_changes:,} item changes; {len(plan.newcomers)} new patients"
        )
    total = sample.item_changes + applied.item_changes
    _write_sample_state(stack, replace(sample, rounds=number, item_changes=total))
    await_landing(stack, terminal, total)
    return applied, plan.counts()


def await_landing(stack: Stack, terminal: Terminal, total: int) -> None:
    """Wait until the stream sink has landed as many item changes as were made."""
    with terminal.step("Items land through the stream") as step:
        landed = LandedChanges(stack.client("s3"), stack.settings.bucket("landing"))
        step.result = f"{landed.wait_for(total, step.note):,} changes in the landing zone"


@says_why
def seed(
    patients: Annotated[int, typer.Option(min=1, help="How many patients.")] = PATIENTS,
    seed: Annotated[int, typer.Option(help="The same seed gives the same data.")] = SEED,
    as_json: Json = False,
) -> None:
    """Fill the HealthLake simulator with a FHIR population, and DynamoDB with items that refer to it."""
    stack, terminal = current_stack().require_deployed(), Terminal(as_json)
    with terminal.step("Generate a population") as step:
        population = load_population(stack, patients, seed)
        step.result = f"{len(population.patient_ids)} patients, {patients} of them now"
    applied = seed_sources(stack, terminal, population, patients, seed)
    terminal.say("Next: [bold]watershed export[/bold]")
    terminal.emit(asdict(applied))


@says_why
def change(
    size: Annotated[int, typer.Option(min=1, help="About how many changes of each kind.")] = SIZE,
    seed: Annotated[
        int | None, typer.Option(help="Plan from this seed; else each round has its own.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Make one round of random changes at both sources: updates, deletes, new patients."""
    stack, terminal = current_stack().require_deployed(), Terminal(as_json)
    applied, counts = change_sources(stack, terminal, size, seed)
    terminal.say(f"  {counted(counts)}")
    terminal.say("Next: [bold]watershed export[/bold]")
    terminal.emit({**asdict(applied), "changes": dict(counts)})
