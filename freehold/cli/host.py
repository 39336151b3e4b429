"""`freehold host`: alone, it runs the host role; with a command, it orders hosts that run already."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    invoke_without_command=True,
    help="Runs the host role alone, by the same code as `up`; or, with a COMMAND, orders a host that runs.",
    subcommand_metavar="[COMMAND] [ARGS]...",
)

StateOption = Annotated[Path, typer.Option("--state", help="A state folder with an openrc of the cloud's admin.")]
HostArgument = Annotated[str, typer.Argument(metavar="HOST", help="The host's name or id.")]
HereOption = Annotated[
    bool,
    typer.Option("--here", help="Ask the host worker of this machine itself, though everything above it be dead."),
]


@app.callback()
def start(
    context: typer.Context,
    state: Annotated[Path | None, typer.Option("--state", help="The folder of the host's store and guests.")] = None,
    config: Annotated[Path | None, typer.Option("--config", help="A TOML file of settings.")] = None,
    hypervisor: Annotated[str | None, typer.Option(help="qemu (real guests) or simulated.")] = None,
) -> None:
    """Runs the role, unless a command is named."""
    given = (state, config, hypervisor) != (None, None, None)
    if context.invoked_subcommand is not None:
        if given:
            raise typer.BadParameter(f"options of `{context.invoked_subcommand}` come behind it", context)
        return
    if state is None:
        typer.echo("say --state DIR to run the host role; or a command: see --help", err=True)
        raise typer.Exit(2)
    from freehold.cli import run

    run.up(config, state=state, roles=("host",), hypervisor=hypervisor)


@app.command()
def show(
    host: Annotated[str, typer.Argument(metavar="HOST", help="The host's name or id.")], state: StateOption
) -> None:
    """Shows what a host is, for flavors and images to ask for: its traits, and the host aggregates that it is in."""
    from freehold.cli import hosts

    hosts.show(state, host)


@app.command()
def drain(
    state: StateOption,
    host: HostArgument = "",
    reason: Annotated[str, typer.Option(help="Why, for other operators.")] = "",
    here: HereOption = False,
) -> None:
    """Lets a host take no new guests, also after its next start. What it has runs on."""
    from freehold.cli import hosts

    hosts.drain(state, _named(host, here=here), reason, here=here)


@app.command()
def undrain(state: StateOption, host: HostArgument = "", here: HereOption = False) -> None:
    """Lets a drained host take guests again."""
    from freehold.cli import hosts

    hosts.undrain(state, _named(host, here=here), here=here)


@app.command()
def retire(
    host: Annotated[str, typer.Argument(metavar="HOST", help="The host's name or id.")],
    state: StateOption,
    dead: Annotated[
        bool,
        typer.Option("--dead", help="It is gone for good and can't be asked: it goes if no guest is deeded to it."),
    ] = False,
) -> None:
    """Lets go of a host that has no guests, for good. Its machine is barred, if it has a passport."""
    from freehold.cli import hosts

    hosts.retire(state, host, dead=dead)


@app.command()
def fence(
    host: Annotated[str, typer.Argument(metavar="HOST", help="The host's name or id.")],
    state: StateOption,
    evidence: Annotated[str, typer.Option(help="How you know that it is off, or cut from network and disks.")],
    force: Annotated[
        bool, typer.Option("--force", help="Though it was heard a moment ago. If you are wrong, guests run twice.")
    ] = False,
) -> None:
    """Vouches that a host is off until it is let in again: its guests may then be evacuated."""
    from freehold.cli import evacuating

    evacuating.fence(state, host, evidence, force=force)


@app.command()
def unfence(
    host: Annotated[str, typer.Argument(metavar="HOST", help="The host's name or id.")], state: StateOption
) -> None:
    """Lets a fenced host in again. It must be up: it says that it knows what has left it."""
    from freehold.cli import evacuating

    evacuating.unfence(state, host)


@app.command()
def discard(
    host: Annotated[str, typer.Argument(metavar="HOST", help="The host's name or id.")],
    guest: Annotated[str, typer.Argument(metavar="GUEST", help="The guest's id.")],
    state: StateOption,
    yes: Annotated[bool, typer.Option("--yes", help="I know that the copy's disk is removed.")] = False,
) -> None:
    """Has a host remove its copy of a guest that has left it, with its disk."""
    from freehold.cli import evacuating

    if not yes:
        typer.echo("this removes the disk that the guest had there; say --yes if that is what you want", err=True)
        raise typer.Exit(2)
    evacuating.discard(state, host, guest)


@app.command()
def retired(state: StateOption) -> None:
    """Shows the hosts that were retired."""
    from freehold.cli import hosts

    hosts.show_retired(state)


def _named(host: str, *, here: bool) -> str:
    if not host and not here:
        typer.echo("say which HOST, or --here for the one of this machine", err=True)
        raise typer.Exit(2)
    return host
