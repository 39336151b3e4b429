"""What names bytes in every image store, and what is said where there are none."""

from freehold.vocabulary.errors import BadRequest, NotFound
from freehold.vocabulary.ids import is_uuid


def checked(image: str) -> str:
    """The id of an image, which may be part of a path. Raises BadRequest for anything else."""
    if not is_uuid(image):
        raise BadRequest(f"{image!r} isn't the id of an image: it must be a UUID in lower case.")
    return image


def absent(image: str) -> NotFound:
    """There are no bytes."""
    return NotFound(f"the image store has no bytes of image {image}.")
