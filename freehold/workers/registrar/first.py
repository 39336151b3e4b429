"""What a new cloud starts with: an admin, their project, the roles that the policy table knows, four flavors."""

from typing import Final

from freehold.runtime.chance import new_id
from freehold.store.database import put
from freehold.store.writing import Change
from freehold.vocabulary.tenant import Assignment, Flavor, Project, Role, User
from freehold.workers.base import Means

ADMIN: Final = "admin"
ROLES: Final = ("admin", "member", "reader")

FLAVORS: Final = (
    Flavor(id="1", name="m1.tiny", vcpus=1, ram_mib=128, disk_gib=1),
    Flavor(id="2", name="m1.small", vcpus=1, ram_mib=512, disk_gib=5),
    Flavor(id="3", name="m1.medium", vcpus=2, ram_mib=2048, disk_gib=20),
    Flavor(id="4", name="m1.large", vcpus=4, ram_mib=8192, disk_gib=40),
)


def first_records(means: Means) -> tuple[User, list[Change]]:
    """The admin, and everything to put."""
    now = means.clock.now()
    project = Project(id=new_id(means.chance), name=ADMIN, description="The operator's own project", created=now)
    admin = User(id=new_id(means.chance), name=ADMIN, default_project=project.id, created=now)
    changes = [put(project.id, project), put(admin.id, admin)]
    for name in ROLES:
        role = Role(id=new_id(means.chance), name=name)
        assignment = Assignment(user=admin.id, project=project.id, role=role.id)
        changes += [put(role.id, role), put(f"{admin.id}/{project.id}/{role.id}", assignment)]
    return admin, changes + [put(flavor.id, flavor) for flavor in FLAVORS]
