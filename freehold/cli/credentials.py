"""The admin's credentials as files that the `openstack` command reads: `openrc` and `clouds.yaml`, readable by the
operator alone.
"""

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from freehold.vocabulary.errors import NotFound
from freehold.vocabulary.secret import Secret

CLOUD: Final = "freehold"


@dataclass(frozen=True, slots=True)
class Admin:
    """Who the operator is to the API at `url`."""

    url: str
    password: Secret
    region: str = "RegionOne"
    user: str = "admin"
    project: str = "admin"


def write_admin(state: Path, admin: Admin) -> None:
    """Writes both files, each whole or not at all."""
    _write(state / "openrc", _openrc(admin))
    _write(state / "clouds.yaml", _clouds(admin))


def read_admin(state: Path) -> Admin:
    """The admin of a state folder. Raises NotFound if no cloud was started there."""
    try:
        text = (state / "openrc").read_text()
    except OSError as error:
        raise NotFound(f"there is no {state / 'openrc'}; start a cloud with `freehold up --state {state}`") from error
    found = dict(re.findall(r"^export (\w+)='([^']*)'$", text, re.MULTILINE))
    return Admin(
        url=found["OS_AUTH_URL"].removesuffix("/identity/v3"),
        password=Secret(found["OS_PASSWORD"]),
        region=found["OS_REGION_NAME"],
        user=found["OS_USERNAME"],
        project=found["OS_PROJECT_NAME"],
    )


def _settings(admin: Admin) -> dict[str, str]:
    return {
        "auth_url": f"{admin.url}/identity/v3",
        "username": admin.user,
        "password": admin.password.reveal(),
        "project_name": admin.project,
        "user_domain_id": "default",
        "project_domain_id": "default",
    }


def _openrc(admin: Admin) -> str:
    names = {f"OS_{name.upper()}": value for name, value in _settings(admin).items()}
    names |= {"OS_REGION_NAME": admin.region, "OS_IDENTITY_API_VERSION": "3", "OS_AUTH_TYPE": "password"}
    return "".join(f"export {name}='{value}'\n" for name, value in names.items())


def _clouds(admin: Admin) -> str:
    cloud = {"auth": _settings(admin), "region_name": admin.region, "identity_api_version": 3}
    return json.dumps({"clouds": {CLOUD: cloud}}, indent=2) + "\n"  # JSON is YAML too, and needs no library


def _write(path: Path, text: str) -> None:
    part = path.with_name(path.name + ".part")
    with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    part.rename(path)
