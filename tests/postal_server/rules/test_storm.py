from datetime import datetime, timezone

from postal_server.rules.storm import Tally, is_storm, slot_of
from tests.each import each


@each(
    "hour, day_before, expected",
    [
        ((20, 20), (0, 0), True),
        ((133, 20), (0, 0), True),
        ((134, 20), (0, 0), False),  # 14.9 %
        ((19, 19), (0, 0), False),
        ((100, 30), (1000, 90), True),
        ((100, 30), (1000, 110), False),  # a bad list: it was as bad before
        ((10_000, 10_000), (500_000, 5000), True),
    ],
)
def test_a_storm_is_many_bad_addresses_and_many_more_than_before(hour, day_before, expected):
    assert is_storm(Tally(*hour), Tally(*day_before)) is expected


def test_answers_are_counted_by_ten_minutes():
    at = datetime(2026, 1, 2, 3, 49, 59, 999, tzinfo=timezone.utc)
    assert slot_of(at) == datetime(2026, 1, 2, 3, 40, tzinfo=timezone.utc)
