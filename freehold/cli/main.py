"""The commands and their options. Heavy modules are imported when a command runs: `--help` must be quick."""

from pathlib import Path
from typing import Annotated

import typer

from freehold import __version__
from freehold.cli import backup, guest, host, machine
from freehold.config import EVERY_ROLE

app = typer.Typer(
    name="freehold",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="A private compute cloud in which each host owns its own data.",
)
admin = typer.Typer(no_args_is_help=True, help="What only the machine's own operator may do.")
app.add_typer(admin, name="admin")
app.add_typer(backup.app, name="backup")
app.add_typer(guest.app, name="guest")
app.add_typer(host.app, name="host")
app.add_typer(machine.app, name="machine")

StateOption = Annotated[
    Path, typer.Option("--state", help="The folder that holds the cloud's stores, images and guests.")
]
ConfigOption = Annotated[Path | None, typer.Option("--config", help="A TOML file of settings.")]


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"freehold {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say the version.")
    ] = False,
) -> None:
    """What comes before the command."""


@app.command()
def up(
    state: StateOption,
    config: ConfigOption = None,
    hypervisor: Annotated[str | None, typer.Option(help="qemu (real guests) or simulated.")] = None,
    hosts: Annotated[int | None, typer.Option(help="How many simulated hosts.")] = None,
    listen: Annotated[str | None, typer.Option(help="The address the API listens on (127.0.0.1).")] = None,
    port: Annotated[int | None, typer.Option(help="The API's port (8780); 0 for a free one.")] = None,
    registrar_shards: Annotated[
        int | None, typer.Option(help="How many shards the registrar of a new cloud has (1).")
    ] = None,
    demo_image: Annotated[Path | None, typer.Option(help="An image file that a new cloud starts with.")] = None,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error.")] = None,
) -> None:
    """Runs a whole cloud in the foreground, until SIGTERM or Ctrl-C. Prints `ready URL` when it answers."""
    from freehold.cli import run

    run.up(
        config,
        state=state,
        hypervisor=hypervisor,
        hosts=hosts,
        listen=listen,
        port=port,
        registrar_shards=registrar_shards,
        demo_image=demo_image,
        log_level=log_level,
    )


@app.command()
def simulate(
    state: StateOption,
    hosts: Annotated[int, typer.Option(help="How many hosts.")] = 1000,
    clusters: Annotated[int, typer.Option(help="How many clusters they are spread over.")] = 1,
    config: ConfigOption = None,
    port: Annotated[int | None, typer.Option(help="The API's port (8780); 0 for a free one.")] = None,
    boot_s: Annotated[float | None, typer.Option(help="How long a guest takes to be launched (0).")] = None,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error.")] = "warning",
) -> None:
    """Runs a whole region of simulated hosts in one process, by the same code as `up`. Its guests end with it."""
    from freehold.cli import run

    run.up(
        config,
        state=state,
        hypervisor="simulated",
        one_disk=True,
        hosts=hosts,
        clusters=clusters,
        port=port,
        simulated_boot_s=boot_s,
        log_level=log_level,
    )


def _role_command(role: str) -> None:
    def start(state: StateOption, config: ConfigOption = None, hypervisor: str | None = None) -> None:
        from freehold.cli import run

        run.up(config, state=state, roles=(role,), hypervisor=hypervisor)

    app.command(name=role, help=f"Runs the {role} role alone, by the same code as `up`.")(start)


for _role in EVERY_ROLE:
    if _role != "host":  # which has commands of its own beside it
        _role_command(_role)


@app.command()
def enroll(
    state: StateOption,
    invitation: Annotated[str, typer.Option(help="What `freehold machine invite` has printed.")],
    url: Annotated[str, typer.Option("--from", help="Where the cloud's API is.")],
    config: ConfigOption = None,
) -> None:
    """Makes this machine one of the cloud's: its keys are made here, and never leave it."""
    from freehold.cli import machines

    machines.enroll(config, state, invitation, url)


app.command("revoke")(machine.bar)

app.command()(backup.restore)


@app.command()
def check(
    state: StateOption,
    config: ConfigOption = None,
    role: Annotated[list[str] | None, typer.Option(help="A role it is to have; more than once for several.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Says what this machine lacks for its roles, or has unsafely, and how to mend it. Exits with 1 if it won't do."""
    from freehold.cli.check import show

    show.check(config, state, tuple(role or ()), as_json=as_json)


@app.command()
def status(state: StateOption) -> None:
    """Shows the owners of a running cloud: where their logs stand, and how long ago each was heard."""
    from freehold.cli import ask

    ask.status(state)


@app.command()
def evacuate(
    host: Annotated[str, typer.Argument(metavar="HOST", help="A fenced host's name or id.")],
    state: StateOption,
    guest: Annotated[list[str] | None, typer.Option(help="Only this one; more than once for several.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would go, and what is lost.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="I know that what is on the guests' disks is lost.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Until each is up elsewhere, or can't be.")] = False,
    show: Annotated[bool, typer.Option("--show", help="Only show how far the guests have come.")] = False,
    from_backup: Annotated[
        str, typer.Option("--backup", help="Where the host's backup is: folder:/PATH, s3://… It has their secrets.")
    ] = "",
    key: backup.KeyOption = None,
    secrets: backup.SecretOption = None,
    plain: backup.PlainOption = False,
) -> None:
    """Has the guests of a fenced host built elsewhere, from their images. What is on their disks is lost."""
    from freehold.cli import evacuating
    from freehold.cli.restore import Source

    source = Source(from_backup, None, state, key, secrets, plain) if from_backup else None
    if source is None and (key or secrets or plain):
        typer.echo("--key, --secret-file and --plain say how to read a --backup: say where it is", err=True)
        raise typer.Exit(2)
    if show:
        evacuating.show(state, host)
    elif not (dry_run or yes):
        typer.echo("what is on the guests' disks is lost: look with --dry-run, and say --yes then", err=True)
        raise typer.Exit(2)
    else:
        evacuating.evacuate(state, host, tuple(guest or ()), source, dry_run=dry_run, wait=wait)


@app.command()
def story(
    about: Annotated[str, typer.Argument(metavar="ID", help="A guest's id, a request's URN, or any other id.")],
    state: StateOption,
) -> None:
    """Tells everything that happened to a guest or a request, in order, with causes."""
    from freehold.cli import ask

    ask.story(state, about)


@app.command()
def why(
    urn: Annotated[str, typer.Argument(metavar="URN", help="A request that made a guest: its URN, or its id.")],
    state: StateOption,
) -> None:
    """Says which hosts a scheduler leaves out for a request's guest, what for, and which are the best of the rest."""
    from freehold.cli import ask

    ask.why(state, urn)


@admin.command()
def bootstrap(
    state: StateOption,
    config: ConfigOption = None,
) -> None:
    """Gives the admin a new password, while the cloud is down, and writes it to openrc and clouds.yaml."""
    from freehold.cli import run

    run.bootstrap(config, state)


@admin.command()
def wipe(
    state: StateOption,
    yes: Annotated[bool, typer.Option("--yes", help="I know that this destroys every guest of this machine.")] = False,
) -> None:
    """Destroys every guest of this machine, while the cloud is down, with disks, taps, bridges and rules."""
    from freehold.cli import run

    if not yes:
        typer.echo("this destroys every guest of this machine; say --yes if that is what you want", err=True)
        raise typer.Exit(2)
    run.wipe(None, state)
