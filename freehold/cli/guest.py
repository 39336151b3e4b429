"""`freehold guest`: the guests of this machine, as its own host worker knows them. Nobody above it is needed."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    no_args_is_help=True,
    help="Sees and orders the guests of this machine, though everything above its host worker be dead.",
)

StateOption = Annotated[Path, typer.Option("--state", help="The folder that the host worker was started with.")]
HostOption = Annotated[str, typer.Option("--host", help="The host's name, where several run over one folder.")]
GuestArgument = Annotated[str, typer.Argument(metavar="ID", help="The guest's id.")]
NoWaitOption = Annotated[bool, typer.Option("--no-wait", help="Don't wait until it is so.")]
AloneOption = Annotated[
    bool,
    typer.Option(
        "--without-registrar", help="Start it though the registrar can't say that it wasn't deleted or given away."
    ),
]


@app.command("list")
def list_guests(state: StateOption, host: HostOption = "") -> None:
    """Shows the guests here."""
    from freehold.cli import at_host

    at_host.list_guests(state, host)


@app.command()
def start(
    guest: GuestArgument,
    state: StateOption,
    host: HostOption = "",
    no_wait: NoWaitOption = False,
    without_registrar: AloneOption = False,
) -> None:
    """Runs a guest that is stopped or crashed, and waits until it runs."""
    from freehold.cli import at_host

    at_host.start(state, host, guest, wait=not no_wait, without_registrar=without_registrar)


@app.command()
def stop(
    guest: GuestArgument,
    state: StateOption,
    host: HostOption = "",
    no_wait: NoWaitOption = False,
    grace_s: Annotated[
        float, typer.Option("--grace", min=0, max=3600, help="Seconds its system is given; 0 pulls the plug.")
    ] = 60.0,
) -> None:
    """Asks a guest's system to power off, pulls the plug after a while, and waits until it is off."""
    from freehold.cli import at_host

    at_host.stop(state, host, guest, wait=not no_wait, grace_s=grace_s)


@app.command()
def reboot(
    guest: GuestArgument,
    state: StateOption,
    host: HostOption = "",
    no_wait: NoWaitOption = False,
    hard: Annotated[bool, typer.Option("--hard", help="Without asking the guest's system.")] = False,
    without_registrar: AloneOption = False,
) -> None:
    """Restarts a guest, and waits until it runs again."""
    from freehold.cli import at_host

    at_host.reboot(state, host, guest, wait=not no_wait, hard=hard, without_registrar=without_registrar)


@app.command()
def console(
    guest: GuestArgument,
    state: StateOption,
    host: HostOption = "",
    lines: Annotated[int | None, typer.Option(min=0, help="The last lines only.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what it says, until Ctrl-C.")] = False,
) -> None:
    """Prints the end of what a guest has said on its serial console."""
    from freehold.cli import at_host

    at_host.console(state, host, guest, lines=lines, follow=follow)
