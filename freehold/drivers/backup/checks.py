"""What every member refuses, in the same words."""

from freehold.vocabulary.errors import BadRequest, Conflict, NotFound
from freehold.vocabulary.ids import is_uuid


def checked(store: str) -> str:
    """The id, if it is one. Raises BadRequest."""
    if not is_uuid(store):
        raise BadRequest(f"{store!r} isn't the id of a store: it must be a UUID in lower case.")
    return store


def held_elsewhere(store: str, holder: str = "") -> Conflict:
    """Another process writes this backup."""
    who = f" ({holder})" if holder else ""
    return Conflict(f"the backup of store {store} is being written by its owner{who}. Stop that process first.")


def not_held(store: str) -> Conflict:
    """A write without `hold`."""
    return Conflict(f"the backup of store {store} is written by nobody who holds it.")


def there_already(store: str, number: int) -> Conflict:
    """A second segment of one number."""
    return Conflict(f"the backup of store {store} has a segment {number} already; segments are never written over.")


def out_of_order(store: str, number: int) -> Conflict:
    """A segment that would stand on nothing."""
    return Conflict(f"the backup of store {store} no longer has the segment before {number}.")


def absent(store: str, number: int) -> NotFound:
    """No such segment."""
    return NotFound(f"the backup of store {store} has no segment {number}.")
