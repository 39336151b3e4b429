"""A config drive: an ISO 9660 image, label ``config-2``, with the files that a guest reads at its first boot.

The plain ISO names are numbers, for they allow eight capitals; Rock Ridge (Linux) and Joliet (Windows) carry the real
ones. Layout of the files: https://docs.openstack.org/nova/latest/user/metadata.html
"""

from io import BytesIO

import pycdlib

from freehold.vocabulary.secret import Secret

LABEL = "config-2"


def config_drive(files: dict[str, Secret]) -> bytes:
    """The image that holds `files`, by relative paths such as ``openstack/latest/meta_data.json``."""
    iso = pycdlib.PyCdlib()
    iso.new(interchange_level=3, vol_ident=LABEL, rock_ridge="1.09", joliet=3)
    folders = {"": ""}
    for folder in sorted({parent for path in files for parent in _parents(path)}):
        above, _, name = folder.rpartition("/")
        folders[folder] = f"{folders[above]}/D{len(folders):06}"
        iso.add_directory(folders[folder], rr_name=name, joliet_path=f"/{folder}")
    for number, (path, text) in enumerate(sorted(files.items())):
        above, _, name = path.rpartition("/")
        content = text.reveal().encode()
        plain = f"{folders[above]}/F{number:06}.;1"
        iso.add_fp(BytesIO(content), len(content), plain, rr_name=name, joliet_path=f"/{path}")
    image = BytesIO()
    iso.write_fp(image)
    iso.close()
    return image.getvalue()


def _parents(path: str) -> list[str]:
    """The folders above `path`, outermost first."""
    parts = path.split("/")[:-1]
    return ["/".join(parts[: depth + 1]) for depth in range(len(parts))]
