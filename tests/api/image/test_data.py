"""Bytes in and out."""

import hashlib
from collections.abc import AsyncIterator

import pytest

from freehold.vocabulary.image import UPLOAD_BYTES_MAX
from tests.api.conftest import Api
from tests.api.image.making import BYTES, RAW, V2, made_image, uploaded


async def test_an_image_is_made_uploaded_and_read_back(api: Api) -> None:
    image = await made_image(api.member, hw_disk_bus="virtio", tags=["a", "a", "b"])
    assert (image["status"], image["visibility"], image["hw_disk_bus"]) == ("queued", "shared", "virtio")
    assert image["tags"] == ["a", "b"]
    assert (await api.member.get(f"{V2}/images/{image['id']}/file")).status == 204
    assert (await uploaded(api.member, image["id"])).status == 204
    shown = (await api.member.get(f"{V2}/images/{image['id']}")).json
    assert (shown["status"], shown["size"]) == ("active", len(RAW))
    assert shown["checksum"] == hashlib.md5(RAW).hexdigest()
    assert (shown["os_hash_algo"], shown["os_hash_value"]) == ("sha256", hashlib.sha256(RAW).hexdigest())
    read = await api.member.get(f"{V2}/images/{image['id']}/file")
    assert (read.body, read.headers["content-length"]) == (RAW, str(len(RAW)))
    assert read.headers["content-md5"] == shown["checksum"]


async def test_an_upload_that_breaks_off_leaves_no_image(api: Api) -> None:
    image = await made_image(api.member)

    async def broken_off() -> AsyncIterator[bytes]:
        yield RAW
        raise ConnectionError

    sent = {**BYTES, "content-length": str(2 * len(RAW))}
    with pytest.raises(ConnectionError, match="nothing was answered"):
        await api.member.ask("PUT", f"{V2}/images/{image['id']}/file", headers=sent, chunks=broken_off())
    assert (await api.member.get(f"{V2}/images/{image['id']}")).json["status"] in ("queued", "saving")
    assert (await api.member.get(f"{V2}/images/{image['id']}/file")).status in (204, 409)


@pytest.mark.parametrize("declared", [True, False])
async def test_an_upload_over_the_limit_is_413(api: Api, declared: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    image = await made_image(api.member)
    if declared:
        sent = {**BYTES, "content-length": str(UPLOAD_BYTES_MAX + 1)}
        reply = await api.member.ask("PUT", f"{V2}/images/{image['id']}/file", b"", sent)
    else:
        monkeypatch.setattr("freehold.api.image.data.UPLOAD_BYTES_MAX", len(RAW) - 1)

        async def chunks() -> AsyncIterator[bytes]:
            yield RAW

        reply = await api.member.ask("PUT", f"{V2}/images/{image['id']}/file", headers=BYTES, chunks=chunks())
    assert reply.status == 413


async def test_bytes_that_aren_t_what_they_are_said_to_be_are_refused(api: Api) -> None:
    image = await made_image(api.member, disk_format="qcow2")
    reply = await uploaded(api.member, image["id"])
    assert reply.status == 400
    assert (await api.member.get(f"{V2}/images/{image['id']}")).json["status"] == "killed"


async def test_an_upload_needs_formats_its_media_type_and_to_come_once(api: Api) -> None:
    unformatted = (await api.member.post(f"{V2}/images", {"name": "x"})).json
    assert (await uploaded(api.member, unformatted["id"])).status == 409
    image = await made_image(api.member)
    assert (await api.member.put(f"{V2}/images/{image['id']}/file", RAW)).status == 415
    assert (await uploaded(api.member, image["id"])).status == 204
    assert (await uploaded(api.member, image["id"])).status == 409
