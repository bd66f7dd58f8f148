import pytest
from django.db import DatabaseError, transaction

from postal_server.models import Delivery, Message, Server
from postal_server.services.shared.rows import insert, insert_values, update_each
from tests.postal_server.services.conftest import NOW, store


def test_each_row_gets_its_own_values_in_one_statement(world, django_assert_num_queries):
    one, two, three = (claim.id for claim in store(world, "a@x.example", "b@x.example", "c@x.example"))
    with django_assert_num_queries(1):
        update_each(
            Message,
            ("status", "hold_expires_at", "prefix", "is_spam", "spam_score"),
            {one: ("Sent", None, b"\x00A: 1\r\n", True, 1.5), two: ("Held", NOW, b"", False, -2)},
        )
    rows = Message.objects.in_bulk([one, two, three])
    assert (rows[one].status, rows[one].hold_expires_at, bytes(rows[one].prefix)) == (
        "Sent",
        None,
        b"\x00A: 1\r\n",
    )
    assert (rows[one].is_spam, rows[one].spam_score) == (True, 1.5)
    assert (rows[two].status, rows[two].hold_expires_at, rows[two].spam_score) == ("Held", NOW, -2.0)
    assert rows[three].status == "Pending"


def test_null_keeps_what_is_to_be_kept(world):
    [claim] = store(world, tag="t")
    update_each(Message, ("tag", "subject"), {claim.id: (None, None)}, keep=("tag",))
    row = Message.objects.get()
    assert (row.tag, row.subject) == ("t", None)


def test_nothing_needs_no_query(db, django_assert_num_queries):
    with django_assert_num_queries(0):
        update_each(Message, ("tag",), {})


@pytest.mark.django_db
def test_many_rows_are_split():
    update_each(Message, ("tag",), dict.fromkeys(range(1200), ("x",)))


def row(number, **values):
    return Message(
        **{"id": number, "server_id": 1, "scope": "outgoing", "size_bytes": 1, "created_at": NOW, **values}
    )


class TestInsert:
    def test_what_is_inserted_reads_back_alike(self, db, django_assert_num_queries):
        made = row(
            7,
            subject="Grüße",
            prefix=b"\x00\xff",
            is_spam=True,
            spam_score=1.5,
            hold_expires_at=NOW,
            tag=None,
        )
        with django_assert_num_queries(1):
            insert([made, row(8)])
        read = Message.objects.get(pk=7)
        for field in Message._meta.concrete_fields:
            expected, found = getattr(made, field.attname), getattr(read, field.attname)
            assert (bytes(found) if field.name == "prefix" else found) == expected, field.name
        assert Message.objects.get(pk=8).status == "Pending"

    def test_keys_that_the_database_makes_are_left_to_it(self, db):
        insert([Delivery(message_id=1, status="Sent", details="x", created_at=NOW) for _ in range(3)])
        assert Delivery.objects.count() == 3

    @pytest.mark.django_db
    @pytest.mark.parametrize("count", [0, 1, 1201])
    def test_any_number(self, count):
        insert([row(number) for number in range(1, count + 1)])
        assert Message.objects.count() == count

    def test_values_get_the_defaults_of_what_is_not_named(self, db):
        insert_values(
            Message,
            [
                {
                    "id": number,
                    "server_id": 1,
                    "scope": "outgoing",
                    "size_bytes": 1,
                    "created_at": NOW,
                    "tag": tag,
                }
                for number, tag in ((1, "a"), (2, None))
            ],
        )
        made = [row(1, tag="a"), row(2)]
        names = [field.attname for field in Message._meta.concrete_fields]
        for read, expected in zip(Message.objects.order_by("id"), made, strict=True):
            assert [getattr(read, name) for name in names] == [getattr(expected, name) for name in names]

    def test_a_row_that_the_database_refuses_is_an_error_of_djangos(self, db):
        with pytest.raises(DatabaseError), transaction.atomic():
            insert([row(1), row(1)])

    def test_defaults_that_differ_from_row_to_row_are_not_left_out(self, db):
        with pytest.raises(AssertionError, match="uuid"):
            insert_values(Server, [{"name": "a", "permalink": "a"}])


HOSTILE = "a\0b\ud83d"


def test_text_of_peers_is_made_fit_for_the_database(world):
    [claim] = store(world, tag=HOSTILE, subject=HOSTILE, mail_from=HOSTILE)
    row = Message.objects.get()
    assert {row.tag, row.subject, row.mail_from} == {"ab\ufffd"}
    insert([Delivery(message_id=claim.id, status="Sent", details=HOSTILE, output=HOSTILE, created_at=NOW)])
    update_each(Message, ("tag", "subject"), {claim.id: (HOSTILE, None)})
    assert Message.objects.get().tag == "ab\ufffd"
    row = Delivery.objects.get()
    assert (row.details, row.output) == ("ab\ufffd", "ab\ufffd")
