"""Versions and extensions."""

from tests.api.conftest import Api
from tests.api.network.making import V2


async def test_extensions_are_those_that_are_there(api: Api) -> None:
    aliases = {row["alias"] for row in (await api.member.get(f"{V2}/extensions")).json["extensions"]}
    assert {"security-group", "quotas"} <= aliases
    assert "router" not in aliases
    assert (await api.member.get(f"{V2}/extensions/quotas")).status == 200
    missing = await api.member.get(f"{V2}/extensions/external-gateway-multihoming")
    assert (missing.status, missing.json["NeutronError"]["type"]) == (404, "ExtensionNotFound")


async def test_versions(api: Api) -> None:
    assert (await api.nobody.get("/network")).json["versions"][0]["id"] == "v2.0"
    assert {row["name"] for row in (await api.nobody.get(f"{V2}/")).json["resources"]} >= {"network", "port"}
