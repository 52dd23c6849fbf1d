"""``watershed console``: the control plane's page, for the stack on this machine."""

from __future__ import annotations

import contextlib
from typing import Annotated

import typer

from local.commands.options import Json, current_stack, says_why
from local.terminal import Terminal


@says_why
def console(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Where to listen; 0 takes a free port.")] = 8420,
    as_json: Json = False,
) -> None:
    """Serve the console on 127.0.0.1 until Ctrl-C, with a sign-in for this time.

    The user `engineer` of the local user pool gets a new password each time, which is shown here and kept
    nowhere.
    """
    from local.console.first_engineer import first_engineer
    from local.console.served import served
    from local.console.server import ConsoleServer
    from local.deploy import read_outputs

    stack, terminal = current_stack().require_deployed(), Terminal(as_json)
    outputs = read_outputs(stack.state.root)
    with ConsoleServer(served(outputs, stack.emulator.endpoint), port) as server:
        who = first_engineer(stack.client("cognito-idp"), outputs["UserPoolId"])
        terminal.emit({"url": server.url, "name": who.name, "password": who.password})
        terminal.say(f"Console    {server.url}\nName       {who.name}\nPassword   {who.password}")
        terminal.say("[dim]Ctrl-C ends it.[/dim]")
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()
