"""The one path of a request, seen from outside."""

from tests.api.conftest import Api


async def test_the_root_lists_the_doors(api: Api) -> None:
    reply = await api.nobody.get("/")
    assert {"identity", "image", "network"} <= {service["name"] for service in reply.json["services"]}


async def test_an_unknown_path_is_not_found_in_the_service_s_own_format(api: Api) -> None:
    assert (await api.nobody.get("/identity/v3/none")).json["error"]["code"] == 404
    assert (await api.nobody.get("/image/v2/none")).json["code"] == 404
    assert (await api.nobody.get("/network/v2.0/none")).json["NeutronError"]["type"] == "HTTPNotFound"
    assert (await api.nobody.get("/elsewhere")).status == 404
