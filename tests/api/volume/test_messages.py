"""Why something is in error, for those whose it is."""

from tests.api.volume.conftest import V3, VolumeCloud


async def test_a_volume_in_error_has_a_message_that_says_why(volumes: VolumeCloud) -> None:
    await volumes.made()
    volume = await volumes.create(size=500)
    await volumes.settled(volume, "error")
    (message,) = (await volumes.member.get(f"{V3}/messages")).json["messages"]
    assert (message["resource_uuid"], message["message_level"]) == (volume, "ERROR")
    assert message["user_message"] == "No pool has room for it."
    assert "pool" not in message["user_message"].replace("No pool has", "")
    told = (await volumes.admin.get(f"{V3}/messages?all_tenants=1")).json["messages"][0]["user_message"]
    assert "3 GiB left" in told
    assert (await volumes.member.get(f"{V3}/messages/{message['id']}")).json["message"] == message
    assert (await volumes.other.get(f"{V3}/messages")).json == {"messages": []}
    assert (await volumes.other.get(f"{V3}/messages/{message['id']}")).status == 404
    assert (await volumes.at("3.2").get(f"{V3}/messages")).status == 404
