"""The one path of a request, seen from outside."""

from collections.abc import AsyncIterator

import pytest

from freehold.api.call import JSON_BYTES_MAX, Answer, Call, Door, Route
from freehold.api.faults import nova
from freehold.api.server import Server, Table
from freehold.vocabulary.errors import Broken, NoAnswer
from tests.api.asgi import Client
from tests.api.conftest import Api


async def test_the_root_lists_the_doors(api: Api) -> None:
    reply = await api.nobody.get("/")
    assert {"identity", "image", "network"} <= {service["name"] for service in reply.json["services"]}


async def test_an_unknown_path_is_not_found_in_the_service_s_own_format(api: Api) -> None:
    assert (await api.nobody.get("/identity/v3/none")).json["error"]["code"] == 404
    assert (await api.nobody.get("/image/v2/none")).json["code"] == 404
    assert (await api.nobody.get("/network/v2.0/none")).json["NeutronError"]["type"] == "HTTPNotFound"
    assert (await api.nobody.get("/elsewhere")).status == 404


async def test_a_method_that_isn_t_served_is_405_and_says_which_are(api: Api) -> None:
    reply = await api.admin.ask("PUT", "/image/v2/images")
    assert (reply.status, reply.headers["allow"]) == (405, "GET, POST")


async def test_every_answer_has_a_request_id_and_identity_varies_by_token(api: Api) -> None:
    for path in ("/", "/identity/v3", "/identity/v3/none", "/network/v2.0/networks"):
        assert (await api.nobody.get(path)).headers["x-openstack-request-id"].startswith("req-")
    assert (await api.nobody.get("/identity/v3/none")).headers["vary"] == "X-Auth-Token"


async def test_without_a_token_the_answer_is_401_and_says_where_to_sign_in(api: Api) -> None:
    reply = await api.nobody.get("/image/v2/images")
    assert reply.status == 401
    assert reply.headers["www-authenticate"] == 'Keystone uri="http://cloud.example/identity/v3"'


async def test_head_is_get_without_a_body(api: Api) -> None:
    reply = await api.admin.ask("HEAD", "/identity/v3/projects")
    assert (reply.status, reply.body) == (200, b"")
    assert int(reply.headers["content-length"]) > 2


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"\xff\xfe", b'{"project":' * 3000, b'{"project": {"name": "a"} } x']
)
async def test_a_body_that_is_no_json_object_is_400(api: Api, body: bytes) -> None:
    assert (await api.admin.post("/identity/v3/projects", body)).status == 400


async def test_an_unknown_field_is_refused_by_name(api: Api) -> None:
    reply = await api.admin.post("/identity/v3/projects", {"project": {"name": "a", "is_admin_project": True}})
    assert reply.status == 400
    assert "is_admin_project" in reply.json["error"]["message"]


@pytest.mark.parametrize("name", ["a\0b", "a\nb", "\x7f", "", "x" * 65])
async def test_names_with_control_characters_or_no_bounds_are_refused(api: Api, name: str) -> None:
    assert (await api.admin.post("/identity/v3/projects", {"project": {"name": name}})).status == 400


async def test_a_body_over_the_limit_is_413_by_its_header_and_by_its_bytes(api: Api) -> None:
    declared = {"content-length": str(JSON_BYTES_MAX + 1)}
    assert (await api.admin.ask("POST", "/identity/v3/projects", b"{}", declared)).status == 413

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b" " * 65536

    assert (await api.admin.ask("POST", "/identity/v3/projects", chunks=endless())).status == 413


@pytest.mark.parametrize("length", ["-1", "1e3", "٣", "9" * 40])
async def test_a_content_length_that_is_no_number_is_400(api: Api, length: str) -> None:
    sent = {"content-length": length.encode().decode("latin-1")}
    assert (await api.admin.ask("POST", "/identity/v3/projects", b"{}", sent)).status == 400


@pytest.mark.parametrize(
    "identifier", ["x", "..", "%2e%2e%2f%2e%2e%2fetc%2fpasswd", "%00", "a%0Ab", "%ff%fe", "x" * 3000, "a%2Fb", "*", ">"]
)
@pytest.mark.parametrize(
    "collection",
    ["identity/v3/users", "identity/v3/projects", "image/v2/images", "network/v2.0/networks", "network/v2.0/ports"],
)
async def test_an_id_that_is_none_is_simply_not_found(api: Api, collection: str, identifier: str) -> None:
    assert (await api.admin.get(f"/{collection}/{identifier}")).status == 404


async def test_a_client_that_leaves_in_the_middle_harms_nothing(api: Api) -> None:
    async def broken_off() -> AsyncIterator[bytes]:
        yield b'{"project'
        raise ConnectionError

    with pytest.raises(ConnectionError, match="nothing was answered"):
        await api.admin.ask("POST", "/identity/v3/projects", chunks=broken_off())
    assert (await api.admin.get("/identity/v3/projects")).status == 200


async def _asked(api: Api, error: Exception) -> tuple[int, dict[str, str], bytes]:
    async def fail(call: Call) -> Answer:
        raise error

    door = Door("compute", {("GET", "/"): Route(fail, "discover")}, nova)
    reply = await Client(Server(api.cloud, (door,))).get("/compute")
    return reply.status, reply.headers, reply.body


async def test_an_owner_out_of_reach_is_503_with_a_time_to_come_back(api: Api) -> None:
    status, headers, body = await _asked(api, NoAnswer("nobody answers"))
    assert (status, headers["retry-after"]) == (503, "2")
    assert body == b'{"serviceUnavailable":{"code":503,"message":"nobody answers"}}'


async def test_a_defect_is_500_with_the_request_s_id_and_nothing_of_its_inside(api: Api) -> None:
    status, headers, body = await _asked(api, KeyError("secret detail"))
    assert status == 500
    assert headers["x-openstack-request-id"] in body.decode()
    assert b"secret detail" not in body
    assert (await _asked(api, Broken("a disk failed")))[0] == 500


async def _nothing(call: Call) -> Answer:
    return Answer()


def test_a_table_prefers_literal_parts_and_names_the_others() -> None:
    literal, named = Route(_nothing, "discover"), Route(_nothing, "discover")
    table = Table({("GET", "/v2/images/{id}"): named, ("GET", "/v2/images/detail"): literal})
    assert table.find("GET", ["v2", "images", "detail"]) == (literal, {})
    assert table.find("GET", ["v2", "images", "7"]) == (named, {"id": "7"})


def test_a_table_refuses_a_policy_that_doesn_t_exist() -> None:
    with pytest.raises(KeyError):
        Table({("GET", "/"): Route(_nothing, "no:such")})
