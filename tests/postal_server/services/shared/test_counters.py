import pytest

from postal_server.models import Counter
from postal_server.services.shared import counters

pytestmark = pytest.mark.django_db


def test_counts_are_added_to_what_is_there(django_assert_num_queries):
    counters.add({"b": 1, "a": 2})
    with django_assert_num_queries(1):
        counters.add({"a": 3, "c": 4})
    assert dict(Counter.objects.filter(name__in="abc").values_list("name", "value")) == {
        "a": 5,
        "b": 1,
        "c": 4,
    }


def test_no_counter_takes_no_query(django_assert_num_queries):
    with django_assert_num_queries(0):
        counters.add({})
