import io

import pytest

from medjepa.utils.progress import progress, time_left


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_lines_are_seldom_and_say_how_long_it_takes():
    stream, clock = io.StringIO(), Clock()
    with progress("decode", 100, stream=stream, clock=clock) as advance:
        for _ in range(100):
            clock.now += 1
            advance(note="fast")
    lines = stream.getvalue().splitlines()
    assert lines[0] == "decode: 10/100 (10 %, 90 s left), fast"
    assert lines[-1] == "decode: 100/100 (100 %, took 2 min), fast"
    assert len(lines) == 10


def test_what_was_done_before_says_nothing_about_the_speed():
    stream, clock = io.StringIO(), Clock()
    with progress("train", 100, done=90, stream=stream, clock=clock) as advance:
        clock.now = 20
        advance(5)
        assert "95/100 (95 %, 20 s left)" in stream.getvalue()


def test_nothing_to_do_and_quiet_are_no_trouble():
    stream = io.StringIO()
    with progress("nothing", 0, stream=stream):
        pass
    assert "0/0" in stream.getvalue()
    with progress("quiet", 3, quiet=True, stream=stream) as advance:
        advance(3)
    assert "quiet" not in stream.getvalue()


def test_a_terminal_gets_a_bar():
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    stream = Terminal()
    with progress("train", 4, done=1, stream=stream) as advance:
        advance(1, "loss 0.5")
        advance()
    assert "train" in stream.getvalue() and "3/4" in stream.getvalue()


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0 s"), (99.4, "99 s"), (120, "2 min"), (11100, "3 h 05 min")]
)
def test_durations_are_for_people(seconds, words):
    assert time_left(seconds) == words
