"""Versions, schemas and what the door tells about itself."""

from tests.api.conftest import Api
from tests.api.image.making import V2


async def test_versions_schemas_and_info(api: Api) -> None:
    assert (await api.nobody.get("/image")).status == 300
    assert (await api.nobody.get("/image/versions")).json["versions"][0]["status"] == "CURRENT"
    assert "os_hidden" in (await api.member.get(f"{V2}/schemas/image")).json["properties"]
    assert (await api.member.get(f"{V2}/info/import")).json["import-methods"]["value"] == []
    assert (await api.member.get(f"{V2}/info/stores")).json == {"stores": []}
    assert (await api.member.get(f"{V2}/tasks")).json["tasks"] == []
    assert "status" in (await api.member.get(f"{V2}/schemas/member")).json["properties"]
    assert (await api.member.get(f"{V2}/schemas/members")).json["name"] == "members"
