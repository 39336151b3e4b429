"""Extra specs: an admin's notes on a flavor."""

from typing import Final

from msgspec.structs import replace

from freehold.api import asking
from freehold.api.call import Answer, Call
from freehold.api.compute.flavors import flavor_of
from freehold.api.compute.host_needs import check_specs
from freehold.api.compute.wire.flavors import Specs, SpecsBody
from freehold.vocabulary.errors import BadRequest, NotFound
from freehold.vocabulary.tenant import Flavor

SPECS_MAX: Final = 128


async def index(call: Call) -> Answer:
    """GET /flavors/{id}/os-extra_specs."""
    return Answer(body={"extra_specs": (await flavor_of(call)).extra_specs})


async def create(call: Call) -> Answer:
    """POST /flavors/{id}/os-extra_specs: adds to those that are there."""
    given = call.read(SpecsBody).extra_specs
    flavor = await flavor_of(call)
    await _save(call, flavor, flavor.extra_specs | given)
    return Answer(body={"extra_specs": given})


async def show(call: Call) -> Answer:
    """GET /flavors/{id}/os-extra_specs/{key}."""
    key, flavor = call.params["key"], await flavor_of(call)
    return Answer(body={key: _value(flavor, key)})


async def update(call: Call) -> Answer:
    """PUT /flavors/{id}/os-extra_specs/{key}."""
    given, key = call.read(Specs), call.params["key"]
    if list(given) != [key]:
        raise BadRequest("Request body and URI mismatch")
    flavor = await flavor_of(call)
    await _save(call, flavor, flavor.extra_specs | given)
    return Answer(body=given)


async def delete(call: Call) -> Answer:
    """DELETE /flavors/{id}/os-extra_specs/{key}."""
    key, flavor = call.params["key"], await flavor_of(call)
    _value(flavor, key)
    await _save(call, flavor, {name: value for name, value in flavor.extra_specs.items() if name != key})
    return Answer(200)


def _value(flavor: Flavor, key: str) -> str:
    if key not in flavor.extra_specs:
        raise NotFound(f"Flavor {flavor.id} has no extra specs with key {key[:64]}.")
    return flavor.extra_specs[key]


async def _save(call: Call, flavor: Flavor, specs: dict[str, str]) -> None:
    if len(specs) > SPECS_MAX:
        raise BadRequest(f"a flavor can have at most {SPECS_MAX} extra specs")
    check_specs(specs)
    await asking.save(call, flavor.id, replace(flavor, extra_specs=specs), new=False)
