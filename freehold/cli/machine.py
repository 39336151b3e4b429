"""`freehold machine`: which machines are the cloud's."""

from pathlib import Path
from typing import Annotated

import typer

from freehold.vocabulary.machine import INVITATION_LIFE_S

app = typer.Typer(no_args_is_help=True, help="Lets machines into a cloud of many, and shuts them out.")

DEFAULT_ROLES = ["host"]
StateOption = Annotated[Path, typer.Option("--state", help="A state folder with an openrc of the cloud's admin.")]


@app.command("list")
def list_machines(state: StateOption) -> None:
    """Shows every machine that was let in."""
    from freehold.cli import machines

    machines.show(state)


@app.command()
def invite(
    name: Annotated[str, typer.Argument(help="The machine's name, for people.")],
    state: StateOption,
    role: Annotated[list[str], typer.Option(help="What it may be; more than once for several.")] = DEFAULT_ROLES,
    cluster: Annotated[str, typer.Option(help="The cluster that it belongs to.")] = "default",
    life_s: Annotated[
        float, typer.Option("--life", help="Seconds for which the invitation holds.")
    ] = INVITATION_LIFE_S,
) -> None:
    """Prints an invitation, which serves one machine: `freehold enroll` takes it up there. Keep it as a password."""
    from freehold.cli import machines

    machines.invite(state, name, tuple(role), cluster, life_s)


@app.command()
def bar(
    name: Annotated[str, typer.Argument(help="The machine's name or id.")],
    state: StateOption,
) -> None:
    """Shuts a machine out, for good: nobody hears it any more, from a few seconds on. Its guests run on."""
    from freehold.cli import machines

    machines.bar(state, name)
