"""Extra specs: an admin's notes on a volume type."""

from typing import Final

from freehold.api.call import Answer, Call
from freehold.api.volume.types import told_specs, type_of, with_specs
from freehold.api.volume.wire.types import Specs, SpecsBody
from freehold.vocabulary.errors import BadRequest, NotFound
from freehold.vocabulary.tenant import VolumeType

SPECS_MAX: Final = 128


async def index(call: Call) -> Answer:
    """GET /types/{id}/extra_specs."""
    return Answer(body={"extra_specs": told_specs(call, await type_of(call))})


async def create(call: Call) -> Answer:
    """POST /types/{id}/extra_specs: adds to those that are there."""
    given = call.read(SpecsBody).extra_specs
    kind = await type_of(call)
    await _save(call, kind, kind.extra_specs | given)
    return Answer(body={"extra_specs": given})


async def show(call: Call) -> Answer:
    """GET /types/{id}/extra_specs/{key}."""
    key, kind = call.params["key"], await type_of(call)
    return Answer(body={key: _value(told_specs(call, kind), kind, key)})


async def update(call: Call) -> Answer:
    """PUT /types/{id}/extra_specs/{key}."""
    given, key = call.read(Specs), call.params["key"]
    if list(given) != [key]:
        raise BadRequest("Request body and URI mismatch")
    kind = await type_of(call)
    await _save(call, kind, kind.extra_specs | given)
    return Answer(body=given)


async def delete(call: Call) -> Answer:
    """DELETE /types/{id}/extra_specs/{key}."""
    key, kind = call.params["key"], await type_of(call)
    _value(kind.extra_specs, kind, key)
    await _save(call, kind, {name: value for name, value in kind.extra_specs.items() if name != key})
    return Answer(202)


def _value(specs: dict[str, str], kind: VolumeType, key: str) -> str:
    if key not in specs:
        raise NotFound(f"Volume type {kind.id} has no extra specs with key {key[:64]}.")
    return specs[key]


async def _save(call: Call, kind: VolumeType, specs: dict[str, str]) -> None:
    if len(specs) > SPECS_MAX:
        raise BadRequest(f"a volume type can have at most {SPECS_MAX} extra specs")
    await with_specs(call, kind, specs)
