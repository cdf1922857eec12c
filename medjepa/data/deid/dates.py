"""Dates and times of a patient, moved by one offset; what cannot be read is not let through."""

import re
from dataclasses import dataclass
from datetime import date as Day  # the methods below carry the names of the types
from datetime import datetime as Moment
from datetime import timedelta
from typing import Literal

_DATE = re.compile(r"(\d{4})\.?(\d{2})\.?(\d{2})")
_TIME = re.compile(r"(\d{2})(?::?(\d{2})(?::?(\d{2})(?:\.(\d{1,6}))?)?)?")
_ZONE = re.compile(r"[+-]\d{4}$")
_EARLIEST = Day(1800, 1, 1)


@dataclass(frozen=True)
class Clock:
    """How one patient's dates and times are changed (Retain Longitudinal Temporal Information).

    A time of day is turned within its day, so that a date and a time stay a valid pair; two times
    of one study may change their order around midnight.
    """

    days: timedelta
    turn: timedelta
    dates: Literal["shift", "remove", "keep"] = "shift"
    times: Literal["remove", "shift", "keep"] = "remove"

    def date(self, text: str) -> str:
        """A DA value, moved; "" where it is no date or dates are removed."""
        found = _DATE.fullmatch(text.strip(" \0"))
        day = None if found is None else _day(*found.groups())
        if day is None or self.dates == "remove":
            return ""
        return f"{self._moved(day):%Y%m%d}"

    def time(self, text: str) -> str:
        """A TM value, turned; "" where it is no time or times are removed."""
        found = _TIME.fullmatch(text.strip(" \0"))
        if found is None or self.times == "remove":
            return ""
        hour, minute, second, fraction = found.groups()
        if int(hour) > 23 or int(minute or 0) > 59 or int(second or 0) > 60:
            return ""
        if self.times == "keep":
            return text.strip(" \0")
        moment = Moment(2000, 1, 1, int(hour), int(minute or 0), min(int(second or 0), 59))
        moment += timedelta(microseconds=int((fraction or "0").ljust(6, "0"))) + self.turn
        return f"{moment:%H%M%S.%f}"

    def datetime(self, text: str) -> str:
        """A DT value: the day moved, the time of day turned or left out; the zone goes."""
        content = _ZONE.sub("", text.strip(" \0"))
        if not content:
            return ""
        if len(content) < 8:  # a year, or a year and a month: a day is needed to move it
            return content if self.dates == "keep" else ""
        day = self.date(content[:8])
        if not day:
            return ""
        return day + (self.time(content[8:]) if len(content) > 8 else "")

    def _moved(self, day: Day) -> Day:
        if self.dates == "keep":
            return day
        # A date before 1800 is a placeholder (00010101, 19000101 is not): nothing to move it to.
        return day - self.days if day - self.days > _EARLIEST else day + self.days


def _day(year: str, month: str, day: str) -> Day | None:
    try:
        found = Day(int(year), int(month), int(day))
    except ValueError:
        return None
    return found if found >= _EARLIEST else None
