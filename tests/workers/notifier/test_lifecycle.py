"""The rules of telling, as tables."""

import pytest

from freehold.vocabulary.errors import BadRequest, NotFound, QuotaExceeded
from freehold.vocabulary.notification import FEEDS_MAX, WAITING_MAX, WEBHOOKS_MAX, Attempt, Feed, Webhook
from freehold.vocabulary.secret import Secret
from freehold.workers.notifier import lifecycle
from freehold.workers.notifier.lifecycle import PATIENCE_S, PAUSE_S_MAX, WELL, Again, Done, Health, Over, Target

HOOK = Webhook(id="w", project="p", user="u", url="https://hooks.example/a", created=1, updated=1)
NO_ANSWER = Attempt(time=1, taken=False, reason="no answer within 15 s")


def failing(failures: int, waited_s: float = 0.0) -> Health:
    return Health(failures=failures, waited_s=waited_s)


def test_what_is_taken_is_done_however_it_was_before() -> None:
    assert lifecycle.after(failing(7, PATIENCE_S), Attempt(time=1, taken=True, status=204), 0.5) == Done()


@pytest.mark.parametrize(
    ("failures", "pause_s"),
    [(0, 5), (1, 15), (2, 45), (3, 135), (4, 405), (5, 1215), (6, 3645), (7, 10935), (8, 14400)],
)
def test_pauses_grow_threefold_to_four_hours(failures: int, pause_s: float) -> None:
    for drawn, share in ((0.0, 0.75), (0.5, 1.0), (1.0, 1.25)):
        outcome = lifecycle.after(failing(failures), NO_ANSWER, drawn)
        assert isinstance(outcome, Again) and outcome.health.pause_s == pytest.approx(pause_s * share)
        assert outcome.health.failures == failures + 1


def test_a_day_of_pauses_is_enough_and_less_is_not() -> None:
    assert isinstance(lifecycle.after(failing(13, PATIENCE_S - 1), NO_ANSWER, 0.5), Again)
    outcome = lifecycle.after(failing(13, PATIENCE_S), NO_ANSWER, 0.5)
    assert outcome == Over("It failed 14 times within 24 hours, the last time so: no answer within 15 s")


def test_a_receiver_given_up_has_had_a_days_tries() -> None:
    health, tries = WELL, 0
    while isinstance(outcome := lifecycle.after(health, NO_ANSWER, 0.5), Again):
        health, tries = outcome.health, tries + 1
    assert 10 <= tries <= 20 and PATIENCE_S <= health.waited_s < PATIENCE_S + PAUSE_S_MAX * 1.25


def test_gone_is_over_at_once() -> None:
    assert isinstance(lifecycle.after(WELL, Attempt(time=1, taken=False, status=410), 0.5), Over)


@pytest.mark.parametrize(
    ("header", "asked_s"),
    [("120", 120), ("0", 0), ("", 0), ("Wed, 21 Oct 2026 07:28:00 GMT", 0), ("9" * 12, 0), ("²", 0)],
)
def test_a_pause_that_is_asked_for_is_given_within_bounds(header: str, asked_s: float) -> None:
    assert lifecycle.retry_after_s(header) == asked_s
    outcome = lifecycle.after(WELL, NO_ANSWER, 0.5, asked_s)
    assert isinstance(outcome, Again) and outcome.health.pause_s == max(5.0, asked_s)
    outcome = lifecycle.after(WELL, NO_ANSWER, 0.5, 1e9)
    assert isinstance(outcome, Again) and outcome.health.pause_s == PAUSE_S_MAX


@pytest.mark.parametrize(
    ("types", "about", "project", "wanted"),
    [
        ((), (), "p", True),
        ((), (), "q", False),
        (("freehold.guest.active",), (), "p", True),
        (("freehold.guest.*",), (), "p", True),
        (("freehold.guest",), (), "p", False),
        (("freehold.request.*", "freehold.guest.a*"), (), "p", True),
        (("freehold.request.*",), (), "p", False),
        ((), ("g",), "p", True),
        ((), ("urn:1",), "p", True),
        ((), ("h",), "p", False),
        (("freehold.request.*",), ("g",), "p", False),
        (("*",), ("g",), "q", False),
    ],
)
def test_who_wants_an_event(types: tuple[str, ...], about: tuple[str, ...], project: str, wanted: bool) -> None:
    target = Target(id="t", project="p", url=Secret(""), types=types, about=about)
    assert lifecycle.wants(target, project, "freehold.guest.active", ("g", "g", "urn:1")) is wanted


def test_so_much_may_wait() -> None:
    assert lifecycle.is_full(WAITING_MAX - 1) == "" and lifecycle.is_full(WAITING_MAX)


def test_a_new_webhook_is_enabled_and_has_its_own_times() -> None:
    hook = lifecycle.created(HOOK, "new", 0, 7)
    assert (hook.id, hook.enabled, hook.created, hook.updated) == ("new", True, 7, 7)
    with pytest.raises(QuotaExceeded, match=str(WEBHOOKS_MAX)):
        lifecycle.created(HOOK, "new", WEBHOOKS_MAX, 7)


def test_a_change_leaves_whose_it_is() -> None:
    given = Webhook(id="other", project="q", user="v", url="https://hooks.example/b", enabled=False)
    hook = lifecycle.updated(HOOK, given, 9)
    assert (hook.id, hook.project, hook.user, hook.created) == ("w", "p", "u", 1)
    assert (hook.url, hook.enabled, hook.updated) == ("https://hooks.example/b", False, 9) and hook.reason
    assert lifecycle.updated(hook, HOOK, 10).reason == ""


@pytest.mark.parametrize("fields", [{"url": "file:///x"}, {"types": ("A",)}, {"about": ("a/b",)}, {"name": "n" * 256}])
def test_a_webhook_that_isnt_well_formed_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(BadRequest):
        lifecycle.checked(Webhook(**{"id": "w", "project": "p", "user": "u", "url": HOOK.url} | fields))  # type: ignore[arg-type]


def test_a_thing_is_its_projects_and_an_admins() -> None:
    lifecycle.owned(HOOK, "p", "Webhook", "w")
    lifecycle.owned(HOOK, "", "Webhook", "w")
    for stands, project in ((HOOK, "q"), (None, "p"), (None, "")):
        with pytest.raises(NotFound):
            lifecycle.owned(stands, project, "Webhook", "w")


def test_a_project_has_so_many_feeds() -> None:
    feed = Feed(id="", project="p", user="u", about="g")
    assert lifecycle.created_feed(feed, "f", FEEDS_MAX - 1, 3).created == 3
    with pytest.raises(QuotaExceeded):
        lifecycle.created_feed(feed, "f", FEEDS_MAX, 3)
