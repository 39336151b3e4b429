"""Webhooks of a project: who is told what, and how that goes. The notifier owns them; it signs as Standard Webhooks has
it.
"""

from typing import Annotated, Any, Final

import msgspec

from freehold.api.asking import notifier
from freehold.api.call import Answer, Body, Call
from freehold.api.reading import every, find, not_found
from freehold.views.feed import TYPES
from freehold.vocabulary.envelope import Done
from freehold.vocabulary.errors import BadRequest, Forbidden, NotFound
from freehold.vocabulary.notification import (
    FILTERS_MAX,
    NAME_LETTERS_MAX,
    Attempt,
    CreateWebhook,
    DeleteWebhook,
    Deliveries,
    DeliveriesOf,
    Delivery,
    PingWebhook,
    RenewSecret,
    Resend,
    UpdateWebhook,
    Webhook,
    WebhookMade,
)
from freehold.vocabulary.receiver import URL_LETTERS_MAX
from freehold.vocabulary.units import iso_millis

PING_DEADLINE_S: Final = 25.0
"""The receiver has 15 s, and others may be before it."""

_Names = Annotated[tuple[Annotated[str, msgspec.Meta(max_length=100)], ...], msgspec.Meta(max_length=FILTERS_MAX)]
_Url = Annotated[str, msgspec.Meta(max_length=URL_LETTERS_MAX)]
_Name = Annotated[str, msgspec.Meta(max_length=NAME_LETTERS_MAX)]


class _New(Body, frozen=True, kw_only=True):
    url: _Url
    name: _Name = ""
    types: _Names = ()
    about: _Names = ()


class NewBody(Body, frozen=True, kw_only=True):
    """POST /v1/webhooks."""

    webhook: _New


class _Changed(Body, frozen=True, kw_only=True):
    url: _Url | msgspec.UnsetType = msgspec.UNSET
    name: _Name | msgspec.UnsetType = msgspec.UNSET
    types: _Names | msgspec.UnsetType = msgspec.UNSET
    about: _Names | msgspec.UnsetType = msgspec.UNSET
    enabled: bool | msgspec.UnsetType = msgspec.UNSET


class ChangedBody(Body, frozen=True, kw_only=True):
    """PUT /v1/webhooks/{id}: what isn't given stays."""

    webhook: _Changed


async def index(call: Call) -> Answer:
    """GET /v1/webhooks: the project's; an admin's with ``?all_projects=true``: everybody's."""
    everybodys = bool(call.query.flag("all_projects"))
    if everybodys and not call.caller.is_admin:
        raise Forbidden("Only an admin can list the webhooks of all projects.")
    project = None if everybodys else project_of(call)
    hooks = await every(call, Webhook, project, newest_first=False)
    return Answer(body={"webhooks": [_shown(hook) for hook in hooks]})


async def show(call: Call) -> Answer:
    """GET /v1/webhooks/{id}."""
    return Answer(body={"webhook": _shown(await _one(call))})


async def create(call: Call) -> Answer:
    """POST /v1/webhooks: `secret` is shown this once."""
    wanted = call.read(NewBody).webhook
    _check_types(wanted.types)
    hook = Webhook(
        id="",
        project=project_of(call),
        user=call.caller.user,
        name=wanted.name,
        url=wanted.url,
        types=wanted.types,
        about=wanted.about,
    )
    made = await notifier(call, CreateWebhook(webhook=hook), WebhookMade)
    return Answer(201, {"webhook": _shown(await _made(call, made)) | {"secret": made.secret.reveal()}})


async def update(call: Call) -> Answer:
    """PUT /v1/webhooks/{id}: also enables one that was disabled; it is told that it missed what happened meanwhile."""
    wanted, stands = call.read(ChangedBody).webhook, await _one(call)
    given = {name: value for name, value in msgspec.structs.asdict(wanted).items() if value is not msgspec.UNSET}
    _check_types(given.get("types", ()))
    await notifier(call, UpdateWebhook(webhook=msgspec.structs.replace(stands, **given)), Done)
    return await show(call)


async def delete(call: Call) -> Answer:
    """DELETE /v1/webhooks/{id}: what waits isn't sent."""
    hook = await _one(call)
    await notifier(call, DeleteWebhook(webhook=hook.id, project=hook.project), Done)
    return Answer(204)


async def renew(call: Call) -> Answer:
    """POST /v1/webhooks/{id}/secret: a fresh one; for a day both sign."""
    hook = await _one(call)
    made = await notifier(call, RenewSecret(webhook=hook.id, project=hook.project), WebhookMade)
    return Answer(201, {"webhook": _shown(await _made(call, made)) | {"secret": made.secret.reveal()}})


async def ping(call: Call) -> Answer:
    """POST /v1/webhooks/{id}/ping: sends a `freehold.ping` now, and says what came of it."""
    hook = await _one(call)
    question = PingWebhook(webhook=hook.id, project=hook.project)
    attempt = await notifier(call, question, Attempt, PING_DEADLINE_S)
    return Answer(body={"attempt": _attempt(attempt)})


async def deliveries(call: Call) -> Answer:
    """GET /v1/webhooks/{id}/deliveries: what waits, the oldest of it, and the last that were tried; newest first.
    `waiting`: how many more wait.
    """
    hook = await _one(call)
    found = await notifier(call, DeliveriesOf(webhook=hook.id, project=hook.project), Deliveries)
    return Answer(body={"deliveries": [_delivery(one) for one in found.deliveries], "waiting": found.waiting})


async def resend(call: Call) -> Answer:
    """POST /v1/webhooks/{id}/deliveries/{delivery}/resend: once more, behind what waits; with the same event id."""
    hook = await _one(call)
    question = Resend(webhook=hook.id, project=hook.project, delivery=call.params["delivery"])
    await notifier(call, question, Done)
    return Answer(202)


def project_of(call: Call) -> str:
    """The project that the token is for. Raises BadRequest if it is for none."""
    if not call.caller.project:
        raise BadRequest("the token is for no project; ask for one that is")
    return call.caller.project


async def _one(call: Call) -> Webhook:
    webhook = call.params["id"]
    found = await find(call, Webhook, webhook)
    if found is None or not call.caller.owns(found.project):
        raise NotFound(not_found("Webhook", webhook))
    return found


async def _made(call: Call, made: WebhookMade) -> Webhook:
    found = await find(call, Webhook, made.done.key)
    if found is None:
        raise NotFound(not_found("Webhook", made.done.key))
    return found


def _check_types(types: tuple[str, ...]) -> None:
    for wanted in types:
        fits = (kind.startswith(wanted[:-1]) if wanted.endswith("*") else kind == wanted for kind in TYPES)
        if not any(fits):
            raise BadRequest(
                f"'types' has {wanted!r}; it can have a type like freehold.guest.active, or what several begin with "
                "and *, like freehold.guest.*"
            )


def _shown(hook: Webhook) -> dict[str, Any]:
    return {
        "id": hook.id,
        "project_id": hook.project,
        "user_id": hook.user,
        "name": hook.name,
        "url": hook.url,
        "types": list(hook.types),
        "about": list(hook.about),
        "enabled": hook.enabled,
        "disabled_reason": hook.reason or None,
        "created_at": iso_millis(hook.created),
        "updated_at": iso_millis(hook.updated),
    }


def _delivery(one: Delivery) -> dict[str, Any]:
    return {
        "id": one.id,
        "event": one.event,
        "type": one.type,
        "subject": "/".join(one.subject),
        "state": "waiting" if one.waits else "taken" if one.attempt is not None and one.attempt.taken else "given up",
        "tries": one.tries,
        "last_attempt": None if one.attempt is None else _attempt(one.attempt),
    }


def _attempt(attempt: Attempt) -> dict[str, Any]:
    return {
        "time": iso_millis(attempt.time),
        "taken": attempt.taken,
        "status": attempt.status or None,
        "reason": attempt.reason or None,
        "took_ms": attempt.took_ms,
    }
