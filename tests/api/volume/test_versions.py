"""How clients find the volume API."""

from tests.api.conftest import Api


async def test_versions_are_told_to_everybody(api: Api) -> None:
    for path, status in (("/volume/", 300), ("/volume", 300), ("/volume/v3/", 200), ("/volume/v3", 200)):
        reply = await api.nobody.get(path)
        (version,) = reply.json["versions"]
        assert (reply.status, version["id"], version["status"]) == (status, "v3.0", "CURRENT")
        assert (version["min_version"], version["version"]) == ("3.0", "3.71")
        assert version["links"] == [{"rel": "self", "href": "http://cloud.example/volume/v3/"}]


async def test_the_root_lists_the_door(api: Api) -> None:
    services = (await api.nobody.get("/")).json["services"]
    assert {"name": "volume", "href": "http://cloud.example/volume"} in services
