import pytest
from django.db import transaction

from postal_server.services.shared.sequence import allocate_ids


@pytest.mark.django_db
class TestAllocateIds:
    def test_ids_rise_and_are_never_given_twice(self):
        with transaction.atomic():
            first = allocate_ids(3)
            second = allocate_ids(2)
        assert first == sorted(set(first))
        assert second == sorted(set(second))
        assert max(first) < min(second)

    def test_no_ids_need_no_query(self, django_assert_num_queries):
        with django_assert_num_queries(0):
            assert allocate_ids(0) == []
