"""Times that clients send."""

from datetime import UTC, datetime

from freehold.vocabulary.errors import BadRequest


def milliseconds(name: str, value: str) -> int:
    """An ISO 8601 time (UTC where it names no zone) as milliseconds since 1970. Raises BadRequest naming `name`."""
    try:
        told = datetime.fromisoformat(value.replace("Z", "+00:00"))
    except ValueError as error:
        raise BadRequest(
            f"Invalid input for query parameters {name}. Value: {value[:64]}. It must be an ISO 8601 time"
        ) from error
    told = told if told.tzinfo is not None else told.replace(tzinfo=UTC)
    return int(told.timestamp() * 1000)
