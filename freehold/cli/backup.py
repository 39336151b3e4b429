"""`freehold backup`, and `freehold restore`: the options. Heavy modules are imported when a command runs."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="What the backup of the owners' stores has, and whether it can be used.")

FromOption = Annotated[str, typer.Option("--from", help="Where the backup is: folder:/PATH, s3://…, postgresql://…")]
ConfigOption = Annotated[Path | None, typer.Option("--config", help="A TOML file of settings: what isn't said here.")]
StateOption = Annotated[Path | None, typer.Option("--state", help="The folder of the cloud's state.")]
KeyOption = Annotated[Path | None, typer.Option("--key", help="The file with the key (STATE/backup.key).")]
SecretOption = Annotated[Path | None, typer.Option("--secret-file", help="The file with the place's password or keys.")]
PlainOption = Annotated[bool, typer.Option("--plain", help="Trust what isn't encrypted: anybody could have put it.")]


@app.command(name="list")
def listing(
    place: FromOption = "",
    config: ConfigOption = None,
    state: StateOption = None,
    key: KeyOption = None,
    secrets: SecretOption = None,
    plain: PlainOption = False,
) -> None:
    """Shows what can be restored."""
    from freehold.cli import restore as command

    command.show(command.Source(place, config, state, key, secrets, plain))


@app.command()
def verify(
    place: FromOption = "",
    config: ConfigOption = None,
    state: StateOption = None,
    key: KeyOption = None,
    secrets: SecretOption = None,
    plain: PlainOption = False,
    store: Annotated[str, typer.Option(help="Only this store's; else all that the key opens.")] = "",
) -> None:
    """Restores into a temporary folder and looks through what came of it. Exits with 1 unless all is whole."""
    from freehold.cli import restore as command

    command.prove(command.Source(place, config, state, key, secrets, plain), store)


@app.command(name="key")
def key_of(
    state: Annotated[Path, typer.Option("--state", help="The folder of the cloud's state.")],
    config: ConfigOption = None,
) -> None:
    """Prints the key that backups are encrypted with. Without a copy of it elsewhere NOTHING can be restored."""
    from freehold.cli import restore as command

    command.show_key(state, config)


def restore(
    place: FromOption = "",
    config: ConfigOption = None,
    state: StateOption = None,
    key: KeyOption = None,
    secrets: SecretOption = None,
    plain: PlainOption = False,
    store: Annotated[str, typer.Option(help="The id of the store to restore.")] = "",
    role: Annotated[str, typer.Option(help="The role whose store to restore, if there is only one of it.")] = "",
    at: Annotated[
        str, typer.Option(help="Up to where, if not all: 1234 or EPOCH:1234 in the log, or a time with its zone.")
    ] = "",
    replace: Annotated[bool, typer.Option("--replace", help="Move a store that is there aside.")] = False,
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help="I know that the owner is dead, though its backup looks as if it still wrote: two owners of one store "
            "would destroy each other's work.",
        ),
    ] = False,
    listing: Annotated[bool, typer.Option("--list", help="Only show what can be restored.")] = False,
) -> None:
    """Makes a lost store again from its backup, here or on another machine, while its owner is down."""
    from freehold.cli import restore as command

    source = command.Source(place, config, state, key, secrets, plain)
    if listing:
        command.show(source)
    elif state is None or bool(store) == bool(role):
        typer.echo("say --state, and either --role or --store; or --list to see what there is", err=True)
        raise typer.Exit(2)
    else:
        command.restore(state, source, command.Wanted(store, role, at, replace, force))
