"""Words and errors over the bus: what is sent is checked when it arrives, what was raised there is raised here."""

from collections.abc import Awaitable, Callable
from functools import cache, lru_cache
from typing import Any, Final, TypeVar

import msgspec

from freehold.bus.interface import Bus, Hearing, Subscription
from freehold.runtime.log import logger
from freehold.vocabulary import unknown
from freehold.vocabulary.codec import decode, decoder, encode
from freehold.vocabulary.envelope import Beats, Frame, Heartbeat
from freehold.vocabulary.errors import Broken, Busy, Fault, Forbidden, FreeholdError, raised_from
from freehold.vocabulary.word import Word

A = TypeVar("A")

AT_ONCE_MAX: Final = 4096
"""Questions in progress at one answerer, where its owner doesn't set fewer."""

HEARD_MAX: Final = 128
HEARD_BYTES_MAX: Final = 128 * 1024
"""What several readers in one process hear one after another is decoded once: so much of it is remembered, nothing that
is longer than that.
"""
_HEARD_BY_MANY: Final = (Beats, Frame, Heartbeat)

_log = logger("talk")


class Answer(Word, frozen=True, kw_only=True):
    """An answer as it travels: the word that was asked for, encoded, or why there is none."""

    body: bytes = b""
    fault: Fault | None = None


async def ask(bus: Bus, subject: str, question: Word, answer: type[A], deadline_s: float = 5.0) -> A:
    """Asks `question` and gives the answer as `answer`.

    Raises NoAnswer at the deadline, the FreeholdError that the answerer raised, or Broken for an answer that isn't one.
    """
    raw = await bus.ask(subject, encode(question), deadline_s)
    try:
        reply = decode(raw, Answer)
        if reply.fault is not None:
            raise raised_from(reply.fault)
        return decode(reply.body, answer)
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        raise Broken(f"the answer to {type(question).__name__} on {subject} can't be read: {error}") from error


async def serve(
    bus: Bus,
    subject: str,
    questions: Any,
    handler: Callable[[Any], Awaitable[Word]],
    group: str,
    at_once_max: int = AT_ONCE_MAX,
    subject_of: Callable[[Any, str], str] | None = None,
) -> Subscription:
    """Answers questions of the union `questions` with `handler`. What it raises is sent as a fault; a bug is sent as
    Broken and logged. Past `at_once_max` questions in progress, the next is answered with Busy at once.

    `subject_of`: where a question that was asked on a subject must have been asked, for who it says it comes from. The
    bus lets everybody use only what is theirs: who asks in another's name is answered with Forbidden.
    """
    in_progress, read = 0, decoder(questions)

    async def answerer(subject_asked: str, body: bytes) -> bytes:
        nonlocal in_progress
        if in_progress >= at_once_max:
            return encode(Answer(fault=_busy(subject_asked, in_progress)))
        in_progress += 1
        try:
            return await answer(subject_asked, body)
        finally:
            in_progress -= 1

    async def answer(subject_asked: str, body: bytes) -> bytes:
        try:
            question = read(body)
            if subject_of is not None and subject_of(question, subject_asked) != subject_asked:
                raise Forbidden("A question was asked in another's name.")
            return encode(Answer(body=encode(await handler(question))))
        except FreeholdError as error:
            return encode(Answer(fault=error.fault()))
        except (msgspec.ValidationError, msgspec.DecodeError) as error:
            _log.warning("question can't be read", subject=subject_asked, error=str(error))
            return encode(Answer(fault=Fault(code="BadRequest", message=f"the question can't be read: {error}")))
        except Exception as error:  # noqa: BLE001 - a bug in an answer is told to the asker
            _log.error("answering failed", subject=subject_asked, exc_info=error)
            return encode(Answer(fault=Fault(code="Broken", message="an internal error happened; it is in the log")))

    return await bus.answer(subject, answerer, group)


def _busy(subject: str, in_progress: int) -> Fault:
    _log.warning("too many questions at once; one was sent away", subject=subject, in_progress=in_progress)
    return Busy("Whoever answers this has too many questions in progress. Try again.").fault()


async def hear(
    bus: Bus,
    subject: str,
    shape: type[A],
    handler: Callable[[A], Awaitable[None]],
    group: str = "",
    subject_of: Callable[[A], str] | None = None,
) -> Hearing:
    """Hears publications of one shape. One that can't be read, or that breaks the handler, is logged and dropped:
    senders send again. So is one that didn't come where `subject_of` says: it speaks in another's name.
    """

    dropped, read = 0, _reader(shape)

    async def listener(subject_heard: str, body: bytes) -> None:
        try:
            word = read(body)
        except (msgspec.ValidationError, msgspec.DecodeError) as error:
            _log.warning("message can't be read", subject=subject_heard, error=str(error))
            return
        if subject_of is not None and subject_of(word) != subject_heard:
            nonlocal dropped
            dropped += 1
            if dropped.bit_count() == 1:
                _log.error("a message spoke in another's name; it was dropped", subject=subject_heard, dropped=dropped)
            return
        try:
            await handler(word)
        except FreeholdError as error:
            _log.warning("message not taken", subject=subject_heard, error=error.message)

    return await bus.subscribe(subject, listener, group)


async def say(bus: Bus, subject: str, word: Word) -> None:
    """Publishes a word."""
    await bus.publish(subject, unknown.as_sent(word))


@cache
def _recent(shape: Any) -> Callable[[bytes], Any]:
    read = decoder(shape)
    remembered = lru_cache(maxsize=HEARD_MAX)(read)
    return lambda body: remembered(body) if len(body) <= HEARD_BYTES_MAX else read(body)


def _reader(shape: type[A]) -> Callable[[bytes], A]:
    """Reads a publication. One that will be passed on keeps what a newer version has put into it."""
    read: Callable[[bytes], A] = _recent(shape) if shape in _HEARD_BY_MANY else decoder(shape)  # type: ignore[arg-type]
    if not unknown.is_carried(shape):
        return read
    return lambda body: unknown.carrying(read(body), body)
