"""``watershed deploy --aws``, ``diff`` and ``destroy``: the life of a deployment in an AWS account."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from infra.assembly import Assembly, synthesized
from infra.kept import Kept, kept
from infra.preflight import Account, check_account, check_identity, stack_state
from infra.settings import Settings
from infra.settings_file import aws_settings
from infra.toolkit import ToolkitError, on_stack, toolkit
from local.commands.options import Json, says_why
from local.console.publish import publish_page
from local.errors import LocalError
from local.state import find_state
from local.terminal import Terminal

SettingsFile = Annotated[
    Path | None, typer.Option("--settings", help="The settings file; watershed.yaml unless given.")
]
Yes = Annotated[bool, typer.Option("--yes", help="Ask nothing.")]

Toolkit = Callable[..., int]


def aws_client(settings: Settings) -> Callable[[str], Any]:
    """What makes clients of the account, with the credentials that are set up on this machine."""
    import boto3

    return boto3.Session(region_name=settings.region).client


def prepare(terminal: Terminal, settings: Settings, client: Callable[[str], Any]) -> tuple[Assembly, str]:
    """Check the account and synthesize; returns the templates and the state of the stack. Changes nothing.

    Raises
    ------
    PreflightError, SynthesisError : the deployment cannot be made
    """
    with terminal.step("Check the account") as step:
        state = check_account(settings, client)
        step.result = f"{settings.account}, {settings.region}; stack {settings.prefix}: {state}"
    return synthesize(terminal, settings), state


def synthesize(terminal: Terminal, settings: Settings) -> Assembly:
    with terminal.step("Synthesize the templates") as step:
        assembly = synthesized(settings, find_state().root / "aws.cdk.out", step.note)
        step.result = str(assembly.folder)
    return assembly


def _call(command: str, assembly: Assembly, settings: Settings, run: Toolkit, *more: str) -> None:
    if run(*on_stack(command, assembly.stack_name, assembly.folder, *more), region=settings.region):
        raise ToolkitError(f"cdk {command} failed; what it said is above. Data is as it was.")


def deploy_to_aws(
    terminal: Terminal,
    settings: Settings,
    client: Callable[[str], Any],
    *,
    check_only: bool,
    ask: bool,
    run: Toolkit,
) -> dict[str, Any]:
    """Bring the account to what the repository and the settings say; ``run`` is the CDK's client."""
    assembly, state = prepare(terminal, settings, client)
    if not check_only:
        # "broadening" asks before a role or a security group may do more than before.
        approval = "broadening" if ask else "never"
        _call("deploy", assembly, settings, run, "--require-approval", approval)
        state = stack_state(Account(settings, client))
        if settings.console:
            publish_console(terminal, settings, client)
        terminal.say("Next: [bold]docs/deploy.md[/bold] says how to validate it")
    return {"stack": settings.prefix, "state": state, "templates": str(assembly.folder)}


def publish_console(terminal: Terminal, settings: Settings, client: Callable[[str], Any]) -> None:
    (stack,) = client("cloudformation").describe_stacks(StackName=settings.prefix)["Stacks"]
    outputs = {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}
    with terminal.step("Publish the console") as step:
        files = publish_page(client("s3"), outputs, settings.region)
        step.result = f"{files} files, {outputs['ConsoleUrl']}"


def deployed_and_kept(cloudformation: Any, stack: str) -> list[Kept]:
    """What the stack as it is deployed leaves: its settings may have changed since, and have no effect on that."""
    template = cloudformation.get_template(StackName=stack)["TemplateBody"]
    pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack)
    physical_ids = {
        each["LogicalResourceId"]: each["PhysicalResourceId"]
        for page in pages
        for each in page["StackResourceSummaries"]
        if "PhysicalResourceId" in each
    }
    return kept(json.loads(template) if isinstance(template, str) else template, physical_ids)


def destroy_on_aws(
    terminal: Terminal,
    settings: Settings,
    client: Callable[[str], Any],
    confirmed: Callable[[str], bool],
    run: Toolkit,
) -> dict[str, Any]:
    """Remove the stack, having said what of it stays.

    Raises
    ------
    PreflightError, LocalError : it is another account, there is no stack, or it was not confirmed
    """
    # Whatever else is wrong with the account must not keep anybody from removing the stack.
    if check_identity(Account(settings, client)) == "new":
        raise LocalError(f"There is no stack {settings.prefix} in {settings.account}, {settings.region}.")
    stays = deployed_and_kept(client("cloudformation"), settings.prefix)
    assembly = synthesize(terminal, settings)
    terminal.say(f"\n[bold]Stack {settings.prefix} goes; this stays, with its data and its costs:[/bold]")
    for each in stays:
        terminal.say(f"  {each.kind:<12}{each.name}")
    if not stays:
        terminal.say("  nothing: it was deployed with retain_data false. [bold]All data is lost.[/bold]")
    if not confirmed(settings.prefix):
        raise LocalError("Nothing was removed.")
    # A retained deployment is protected against deletion: this command is the deliberate one.
    client("cloudformation").update_termination_protection(
        StackName=settings.prefix, EnableTerminationProtection=False
    )
    _call("destroy", assembly, settings, run, "--force")
    return {"stack": settings.prefix, "kept": [{"kind": each.kind, "name": each.name} for each in stays]}


def deploy_command(terminal: Terminal, settings_file: Path | None, check_only: bool, yes: bool) -> None:
    settings = aws_settings(os.environ, settings_file)
    done = deploy_to_aws(
        terminal, settings, aws_client(settings), check_only=check_only, ask=not yes, run=toolkit
    )
    terminal.emit(done)


@says_why
def diff(settings_file: SettingsFile = None) -> None:
    """Show what `deploy --aws` would change in the account. Changes nothing."""
    settings = aws_settings(os.environ, settings_file)
    assembly, _ = prepare(Terminal(), settings, aws_client(settings))
    _call("diff", assembly, settings, toolkit)


@says_why
def bootstrap(settings_file: SettingsFile = None) -> None:
    """Set the account and region up for the CDK: its bucket and its roles. Once, before the first deployment."""
    settings = aws_settings(os.environ, settings_file)
    check_identity(Account(settings, aws_client(settings)))
    # A key of its own for the bucket that packages and templates travel through.
    where = f"aws://{settings.account}/{settings.region}"
    if toolkit("bootstrap", where, "--bootstrap-customer-key", region=settings.region):
        raise ToolkitError("cdk bootstrap failed; what it said is above.")


@says_why
def destroy(settings_file: SettingsFile = None, yes: Yes = False, as_json: Json = False) -> None:
    """Remove a deployment from its AWS account, after saying what it keeps. The local stack's is `down`."""
    settings = aws_settings(os.environ, settings_file)

    def confirmed(name: str) -> bool:
        return yes or typer.prompt(f"Type {name} to remove the stack", default="") == name

    terminal = Terminal(as_json)
    terminal.emit(destroy_on_aws(terminal, settings, aws_client(settings), confirmed, toolkit))
