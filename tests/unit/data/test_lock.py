"""One writer at a time, and the second is told that it waits."""

import logging
import threading

from medjepa.data.lock import locked


def test_the_second_says_that_it_waits_and_goes_on_after_the_first(tmp_path, caplog):
    caplog.set_level(logging.WARNING)
    path, order = tmp_path / "lock", []

    def second():
        with locked(path):
            order.append("second")

    waiting = threading.Thread(target=second)
    with locked(path):
        waiting.start()
        while "waiting" not in caplog.text:
            assert waiting.is_alive()
        order.append("first")
    waiting.join(5)
    assert order == ["first", "second"]
    assert str(tmp_path) not in caplog.text


def test_a_free_lock_says_nothing(tmp_path, caplog):
    for _ in range(2):
        with locked(tmp_path / "lock"):
            pass
    assert caplog.text == ""
