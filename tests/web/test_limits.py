from perilune.web import limits
from perilune.web.limits import Limit


def test_a_burst_is_granted_then_the_rate() -> None:
    now = 100.0
    limit = Limit(burst=3, rate=0.5, clock=lambda: now)
    assert [limit.wait("a") for _ in range(4)] == [0, 0, 0, 2.0]
    assert limit.wait("b") == 0
    now += 2
    assert [limit.wait("a"), limit.wait("a")] == [0, 2.0]


def test_those_who_ask_are_bounded() -> None:
    limit = Limit(burst=1, rate=1, clock=lambda: 0.0)
    for number in range(limits.ASKERS_MOST + 50):
        limit.wait(str(number))
    assert len(limit._buckets) == limits.ASKERS_MOST
