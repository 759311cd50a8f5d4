"""``time.tzset``, which the guest's C library lacks: TZ takes effect without it, but the constants
of the time module do not follow.
"""

import time

_JANUARY = 4
_JULY = 185
_YEAR_DAYS = 365.2425


def tzset() -> None:
    """Initialize, or reinitialize, the local timezone to the value stored in os.environ['TZ']."""
    # As CPython's own init_timezone: the offsets of this January and July.
    year = int((time.time() // 86400) / _YEAR_DAYS)
    halves = [time.localtime((year * _YEAR_DAYS + day) * 86400) for day in (_JANUARY, _JULY)]
    standard, daylight = sorted(halves, key=lambda half: half.tm_isdst)
    time.timezone = -standard.tm_gmtoff
    time.altzone = -daylight.tm_gmtoff
    time.daylight = int(standard.tm_gmtoff != daylight.tm_gmtoff)
    time.tzname = (standard.tm_zone, daylight.tm_zone)


def install() -> None:
    """Give the time module the function, where it has none."""
    if not hasattr(time, "tzset"):
        tzset.__module__ = "time"
        time.tzset = tzset
