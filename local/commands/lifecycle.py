"""``watershed up``, ``deploy`` and ``down``: the life of the local stack."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from local.commands.aws import SettingsFile, Yes, deploy_command
from local.commands.options import Deid, Json, current_stack, says_why
from local.errors import LocalError
from local.stack import Stack
from local.terminal import Step, Terminal
from schemas.view import load_views


def start_stack(stack: Stack, terminal: Terminal) -> None:
    with terminal.step("Start the emulator") as step:
        stack.emulator.start()
        step.result = stack.emulator.endpoint
    with terminal.step("Start the HealthLake simulator") as step:
        stack.healthlake.start()
        step.result = stack.healthlake.url


def deploy_stack(stack: Stack, terminal: Terminal, *, twin: bool = False) -> dict[str, str]:
    """Synthesize and deploy, with the de-identified twin where asked; returns the stack's outputs."""
    from local.deploy import deploy

    settings = replace(stack.settings, deidentified_twin="shift") if twin else stack.settings
    with terminal.step("Synthesize and deploy the stacks") as step:
        outputs = deploy(stack.emulator, settings, step.note)
        step.result = outputs.stack_name
    if "HealthLakeBusArn" in outputs:
        with terminal.step("Subscribe to the simulator's changes") as step:
            types = sorted({view.resource for view in load_views().values()})
            stack.fhir.subscribe(outputs["HealthLakeBusArn"], types)
            step.result = ", ".join(types)
    return dict(outputs)


@says_why
def up(as_json: Json = False) -> None:
    """Start the AWS emulator and the HealthLake simulator; what runs already is left as it is."""
    stack, terminal = current_stack(), Terminal(as_json)
    start_stack(stack, terminal)
    terminal.say("Next: [bold]watershed deploy[/bold]")
    terminal.emit({"emulator": stack.emulator.endpoint, "healthlake": stack.healthlake.url})


@says_why
def deploy(
    on_aws: Annotated[bool, typer.Option("--aws", help="To the AWS account of the settings file.")] = False,
    settings_file: SettingsFile = None,
    check_only: Annotated[
        bool, typer.Option("--check-only", help="With --aws: check and synthesize, and stop there.")
    ] = False,
    yes: Yes = False,
    deid: Deid = False,
    as_json: Json = False,
) -> None:
    """Synthesize the CDK stack and deploy it, on the emulator or with --aws; only what changed is updated."""
    terminal = Terminal(as_json)
    if on_aws:
        if deid:
            raise LocalError(
                "--deid is for the local stack.", "On AWS, set deidentified_twin in the settings file."
            )
        deploy_command(terminal, settings_file, check_only, yes)
        return
    stack = current_stack().require_up()
    outputs = deploy_stack(stack, terminal, twin=deid)
    terminal.say("Next: [bold]watershed seed[/bold]")
    terminal.emit({"outputs": outputs})


@says_why
def down(
    purge: Annotated[bool, typer.Option(help="Remove all local state as well (.watershed/).")] = False,
    as_json: Json = False,
) -> None:
    """Stop everything the stack started. State is kept for the next `up`, unless it is purged."""
    stack, terminal = current_stack(), Terminal(as_json)
    with terminal.step("Stop the local stack") as step:
        _stop(stack, purge, step)
    terminal.emit({"stopped": True, "purged": purge})


def _stop(stack: Stack, purge: bool, step: Step) -> None:
    if purge:
        stack.purge()
        step.result = f"{stack.state.root} removed"
    else:
        stack.stop()
        step.result = f"state kept in {stack.state.root}"
