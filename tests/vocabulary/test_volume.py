"""A pool's figures."""

import pytest

from freehold.vocabulary.volume import Pool


@pytest.mark.parametrize(("total_gib", "used_gib", "free_gib"), [(10, 0, 10), (10, 4, 6), (10, 10, 0), (10, 12, -2)])
def test_what_can_still_be_promised(total_gib: int, used_gib: int, free_gib: int) -> None:
    pool = Pool(id="s", name="n", cluster="c", driver="d", total_gib=total_gib, used_gib=used_gib)
    assert pool.free_gib() == free_gib
