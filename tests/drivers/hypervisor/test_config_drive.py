"""A config drive as guests read it."""

from io import BytesIO

import pycdlib

from freehold.drivers.hypervisor.config_drive import config_drive
from freehold.vocabulary.secret import Secret

FILES = {
    "openstack/latest/meta_data.json": Secret('{"hostname": "birne"}'),
    "openstack/latest/meta_data.jsox": Secret("its ISO name would be the same"),
    "openstack/latest/user_data": Secret("#!/bin/sh\necho grüße\n"),
    "openstack/2018-08-27/meta_data.json": Secret("{}"),
    "empty": Secret(""),
}


def read(image: bytes, by: str) -> dict[str, str]:
    iso = pycdlib.PyCdlib()
    iso.open_fp(BytesIO(image))
    found = {}
    for path in FILES:
        content = BytesIO()
        iso.get_file_from_iso_fp(content, **{by: f"/{path}"})
        found[path] = content.getvalue().decode()
    iso.close()
    return found


def test_linux_and_windows_find_every_file_by_its_name() -> None:
    image = config_drive(FILES)
    wanted = {path: text.reveal() for path, text in FILES.items()}
    assert read(image, "rr_path") == wanted
    assert read(image, "joliet_path") == wanted


def test_the_label_is_what_guests_look_for() -> None:
    image = config_drive(FILES)
    assert image[0x8001:0x8006] == b"CD001"
    assert image[0x8028:0x8048].rstrip() == b"config-2"
