"""One looks up, the others do not wait."""

from __future__ import annotations

import threading

from perilune.web.lately import Lately


def test_a_value_is_looked_up_once_in_its_time() -> None:
    now, looked = [0.0], []
    value = Lately(lambda: looked.append(now[0]) or len(looked), 5.0, lambda: now[0])
    assert [value.get(), value.get()] == [1, 1]
    now[0] = 6.0
    assert [value.get(), value.get()] == [2, 2]
    value.forget()
    assert value.get() == 3


def test_while_one_looks_the_others_get_the_last_value() -> None:
    now, entered, go = [0.0], threading.Event(), threading.Event()

    def look() -> float:
        if now[0]:
            entered.set()
            assert go.wait(10)
        return now[0]

    value = Lately(look, 5.0, lambda: now[0])
    assert value.get() == 0.0
    now[0] = 6.0
    slow = threading.Thread(target=value.get)
    slow.start()
    assert entered.wait(10)
    assert value.get() == 0.0  # at once, though old
    go.set()
    slow.join()
    assert value.get() == 6.0
