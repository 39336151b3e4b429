"""What the commands about machines do."""

import base64
import re
from pathlib import Path
from typing import Any, Final

import aiohttp
from msgspec.structs import replace
from rich.console import Console
from rich.table import Table

from freehold import config
from freehold.bus import passports
from freehold.cli.client import Client
from freehold.cli.credentials import read_admin
from freehold.cli.ending import run
from freehold.runtime.chance import SystemChance
from freehold.runtime.keys import SigningKey, opened
from freehold.store.identity import KeptIdentity, keep_identity, own_stores, read_identity
from freehold.vocabulary.errors import BadRequest, Conflict, NotFound, Unavailable
from freehold.vocabulary.machine import Papers, Passported, mac, route_key
from freehold.vocabulary.secret import Secret

DEADLINE_S: Final = 30.0
_FORM: Final = re.compile(r"fh1\.([0-9a-f-]{36})\.([0-9a-f]{16,128})\.([0-9a-f]{64})")


def show(state: Path) -> None:
    """Prints the machines."""
    run(_show(state))


def invite(state: Path, name: str, roles: tuple[str, ...], cluster: str, life_s: float) -> None:
    """Prints an invitation."""
    run(_invite(state, name, roles, cluster, life_s))


def bar(state: Path, name: str) -> None:
    """Shuts a machine out."""
    run(_bar(state, name))


def enroll(path: Path | None, state: Path, invitation: str, url: str) -> None:
    """Takes an invitation up."""
    run(_enroll(path, state, invitation, url))


async def _show(state: Path) -> None:
    async with Client(read_admin(state)) as client:
        machines = (await client.get("/freehold/v1/machines"))["machines"]
    table = Table("name", "id", "roles", "cluster", "passport until", "barred")
    for one in machines:
        table.add_row(
            one["name"], one["id"], " ".join(one["roles"]), one["cluster"], one["expires"], one["barred"] or ""
        )
    Console().print(table)


async def _invite(state: Path, name: str, roles: tuple[str, ...], cluster: str, life_s: float) -> None:
    asked = {"invitation": {"name": name, "roles": list(roles), "cluster": cluster, "life_s": life_s}}
    async with Client(read_admin(state)) as client:
        print((await client.post("/freehold/v1/invitations", asked))["invitation"]["text"])


async def _bar(state: Path, name: str) -> None:
    async with Client(read_admin(state)) as client:
        machines = (await client.get("/freehold/v1/machines"))["machines"]
        found = [one for one in machines if name == one["id"] or (name == one["name"] and not one["barred"])]
        if len(found) != 1:
            raise NotFound(f"there is no machine {name} that isn't barred; see `freehold machine list`")
        await client.delete(f"/freehold/v1/machines/{found[0]['id']}")
    print(f"{found[0]['name']} is shut out; nobody hears it any more")


async def _enroll(path: Path | None, state: Path, invitation: str, url: str) -> None:
    form = _FORM.fullmatch(invitation.strip())
    if form is None:
        raise BadRequest("that is no invitation; take the whole line that `freehold machine invite` has printed")
    if read_identity(state) is not None:
        raise Conflict(f"the machine of {state} has a passport already; use another folder, or remove {state}/identity")
    number, secret, authority = form[1], Secret(form[2]), bytes.fromhex(form[3])
    settings = config.read(path, state=state)
    key_bytes = SystemChance().bytes(32)
    request = passports.machine_request(SigningKey(key_bytes), own_stores(settings, SystemChance()), number)
    body = {"request": _text(request), "invitation": number, "mac": _text(mac(secret, request))}
    answer = await _asked(url, {"machine": body})
    text = base64.b64decode(answer["machine"]["papers"])
    if base64.b64decode(answer["machine"]["mac"]) != mac(secret, text):
        raise Unavailable("what answered isn't the directory that has invited this machine; nothing was kept")
    papers = passports.read_papers(Passported(papers=text))
    passport = passports.opened_passport(papers.passport, authority)
    if passport is None:
        raise Unavailable("the passport isn't signed by the authority that the invitation names; nothing was kept")
    keep_identity(state, _identity(Secret(key_bytes.hex()), papers, authority, secret))
    print(
        f"this machine is {passport.name} ({passport.machine}): {' '.join(passport.roles)}, cluster {passport.cluster}"
    )


def _identity(key: Secret, papers: Papers, authority: bytes, invitation: Secret) -> KeptIdentity:
    kept = KeptIdentity(
        key=key, passport=papers.passport, authority=authority, ticket=papers.ticket, centre=papers.centre
    )
    if papers.broker is None:
        return kept
    route = opened(route_key(invitation), papers.broker.route)
    return replace(kept, roll=papers.broker.roll, route=Secret(route.decode()))


async def _asked(url: str, body: dict[str, Any]) -> Any:
    timeout = aiohttp.ClientTimeout(total=DEADLINE_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.post(f"{url.rstrip('/')}/freehold/v1/machines", json=body) as answer,
        ):
            if answer.status != 201:
                raise Unavailable(f"the cloud answered {answer.status}: {(await answer.text())[:500]}")
            return await answer.json()
    except (aiohttp.ClientError, TimeoutError) as error:
        raise Unavailable(f"the cloud at {url} can't be reached: {error}") from error


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
