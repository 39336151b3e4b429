"""What is made of the figures of a measurement."""

from benchmarks.record import growth


def test_the_exponent_says_how_a_cost_grows() -> None:
    assert growth([1], [1.0]) == 0.0
    assert growth([1, 2, 3], [3.0, 3.0, 3.0]) == 0.0
    assert growth([10, 100, 1000], [1.0, 10.0, 100.0]) == 1.0
    assert growth([1, 2, 3], [1.0, 4.0, 9.0]) == 2.0
