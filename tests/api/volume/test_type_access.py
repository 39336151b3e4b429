"""Who may use private volume types."""

from typing import Any

from tests.api.volume.conftest import V3, VolumeCloud
from tests.api.volume.test_types import made


async def test_access_is_given_and_taken(volumes: VolumeCloud) -> None:
    vault = await made(volumes, "vault", is_public=False)
    path, project = f"{V3}/types/{vault}", volumes.api.project
    add, remove = {"addProjectAccess": {"project": project}}, {"removeProjectAccess": {"project": project}}
    assert (await volumes.admin.post(f"{path}/action", remove)).status == 404
    assert (await volumes.admin.post(f"{path}/action", add)).status == 202
    assert (await volumes.admin.post(f"{path}/action", add)).status == 409
    rows = (await volumes.admin.get(f"{path}/os-volume-type-access")).json["volume_type_access"]
    assert rows == [{"volume_type_id": vault, "project_id": project}]
    assert (await volumes.admin.post(f"{path}/action", remove)).status == 202
    assert (await volumes.member.get(path)).status == 404


async def test_a_public_type_has_no_list_of_projects(volumes: VolumeCloud) -> None:
    path = f"{V3}/types/{await made(volumes, 'fast')}"
    assert (await volumes.admin.get(f"{path}/os-volume-type-access")).status == 404
    body = {"addProjectAccess": {"project": volumes.api.project}}
    assert (await volumes.admin.post(f"{path}/action", body)).status == 409


async def test_what_isn_t_an_action_is_refused(volumes: VolumeCloud) -> None:
    path = f"{V3}/types/{await made(volumes, 'vault', is_public=False)}/action"
    one = {"project": volumes.api.project}
    bodies: list[Any] = [{}, {"addProjectAccess": {}}, {"addProjectAccess": {"project": "none"}}, {"other": one}]
    for body in (*bodies, {"addProjectAccess": one, "removeProjectAccess": one}, []):
        assert (await volumes.admin.post(path, body)).status == 400, body
