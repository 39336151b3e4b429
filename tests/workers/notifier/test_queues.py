"""What waits for a receiver: who is next, for every order in which things may come and go."""

from hypothesis import given
from hypothesis import strategies as st

from freehold.workers.notifier.queues import AT_ONCE_MAX, Queues


class Bench:
    """Queues, with a clock that is moved by hand."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.sent: list[int] = []
        self.wakes: list[float] = []
        self.queues = Queues(lambda: self.now_s, lambda _target, number: self.sent.append(number), self._wake)
        self.queues.open = True

    def _wake(self, _target: str, seconds: float) -> None:
        assert seconds > 0
        self.wakes.append(self.now_s + seconds)

    def add(self, *lanes: str) -> None:
        for number, lane in enumerate(lanes, 1):
            self.queues.add("t", number, lane)
        self.queues.pump()

    def move(self) -> None:
        """To the next time at which it wants to be woken."""
        self.wakes.sort()
        self.now_s = max(self.now_s, self.wakes.pop(0))
        self.queues.woken("t")


def test_of_a_lane_one_after_another_and_lanes_side_by_side() -> None:
    bench = Bench()
    bench.add("a", "a", "b")
    assert bench.sent == [1, 3]
    bench.queues.end("t", 1, taken=True)
    assert bench.sent == [1, 3, 2]


def test_so_many_at_once() -> None:
    bench = Bench()
    bench.add(*(f"lane {number}" for number in range(10)))
    assert len(bench.sent) == AT_ONCE_MAX


def test_to_one_that_fails_one_at_a_time_after_a_pause() -> None:
    bench = Bench()
    bench.add("a", "b", "c")
    for number in (1, 2, 3):
        bench.queues.fail("t", number, 10.0, 10.0)
    assert bench.sent == [1, 2, 3]
    bench.move()
    assert bench.sent == [1, 2, 3, 1]
    bench.queues.end("t", 1, taken=True)
    assert sorted(bench.sent[4:]) == [2, 3]


def test_what_is_never_taken_lets_the_others_pass() -> None:
    bench = Bench()
    bench.add("poison")
    bench.queues.fail("t", 1, 5.0, 500.0)
    bench.queues.add("t", 2, "a")
    bench.queues.add("t", 3, "poison")
    bench.queues.pump()
    bench.move()
    assert bench.sent == [1, 2]
    bench.queues.end("t", 2, taken=True)
    assert bench.sent == [1, 2]
    while bench.now_s < 600:
        bench.move()
    assert bench.sent == [1, 2, 1], "and its own lane waits behind it"


def test_what_is_cleared_is_not_sent_and_who_comes_later_is() -> None:
    bench = Bench()
    bench.add("a", "a")
    assert bench.queues.clear("t") == [1, 2]
    bench.queues.add("t", 3, "a")
    bench.queues.pump()
    bench.queues.end("t", 1, taken=True)
    assert bench.sent == [1, 3]


@given(st.lists(st.sampled_from("abc"), max_size=12), st.lists(st.integers(0, 2), max_size=60))
def test_everything_arrives_in_its_lanes_order_whatever_fails(lanes: list[str], fates: list[int]) -> None:
    bench = Bench()
    bench.add(*lanes)
    arrived: list[int] = []
    under_way, seen, turns = list[int](), 0, 0
    while len(arrived) < len(lanes):
        turns += 1
        assert turns < 1000, "it stands still"
        under_way += bench.sent[seen:]
        seen = len(bench.sent)
        assert len({lanes[number - 1] for number in under_way}) == len(under_way), "one of a lane at a time"
        if not under_way:
            bench.move()
            continue
        number = under_way.pop(0)
        if fates and fates.pop():
            bench.queues.fail("t", number, 5.0, 7.0)
        else:
            arrived.append(number)
            bench.queues.end("t", number, taken=True)
    for lane in "abc":
        of_lane = [number for number in arrived if lanes[number - 1] == lane]
        assert of_lane == sorted(of_lane)
    assert bench.queues.targets() == []
