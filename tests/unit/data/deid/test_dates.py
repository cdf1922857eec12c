from datetime import timedelta

import pytest

from medjepa.data.deid.dates import Clock

CLOCK = Clock(timedelta(days=10), timedelta(hours=1))


def test_a_date_moves_by_whole_days_back_and_old_formats_are_read():
    assert CLOCK.date("20010203") == CLOCK.date("2001.02.03 ") == "20010124"
    assert CLOCK.date("19000105") == "18991226"


@pytest.mark.parametrize("text", ["", "Doe", "20011301", "20010230", "2001020", "20010203X"])
def test_what_is_no_date_is_left_out(text):
    assert CLOCK.date(text) == ""


def test_times_are_removed_unless_asked_for():
    assert CLOCK.time("101112.5") == ""
    assert CLOCK.datetime("20010203101112.5+0100") == "20010124"
    assert Clock(CLOCK.days, CLOCK.turn, times="keep").time("101112.5") == "101112.5"
    assert Clock(CLOCK.days, CLOCK.turn, times="shift").time("233000") == "003000.000000"


def test_dates_are_kept_or_removed_on_request():
    assert Clock(CLOCK.days, CLOCK.turn, dates="keep").date("20010203") == "20010203"
    assert Clock(CLOCK.days, CLOCK.turn, dates="remove").date("20010203") == ""


def test_a_year_alone_cannot_be_moved():
    assert CLOCK.datetime("2001") == ""
