import pytest

from postal_server.models import ImportedToken
from postal_server.services.shared import token
from postal_server.services.shared.loader import load


@pytest.mark.parametrize("number", [0, 1, 2, 77, 2**31, 2**48 - 1])
def test_a_token_gives_back_its_id_in_any_case(number):
    made = token.message_token(number)
    assert len(made) == 16
    assert made.isalnum()
    assert made == made.lower()
    assert token.message_id_of(made) == token.message_id_of(made.upper()) == number


@pytest.mark.parametrize("number", [-1, 2**48])
def test_what_is_no_id_has_no_token(number):
    with pytest.raises(ValueError, match="not an id"):
        token.message_token(number)


@pytest.mark.parametrize(
    "junk", ["", "a" * 16, "nosuchtoken", "a" * 15, "a" * 17, "ÄÖÜ" * 6, "0" * 16, "a\n" * 8]
)
def test_junk_is_no_token(junk):
    assert token.message_id_of(junk) is None


def test_one_changed_character_makes_a_token_junk():
    made = token.message_token(4711)
    changed = ("b" if made[0] != "b" else "c") + made[1:]
    assert token.message_id_of(changed) is None


def test_neighbours_do_not_look_alike():
    tokens = {token.message_token(number) for number in range(1000)}
    assert len(tokens) == 1000
    assert len({made[:4] for made in tokens}) > 900


def test_link_and_message_tokens_differ():
    assert token.link_id_of(token.link_token(5)) == 5
    assert token.link_id_of(token.message_token(5)) is None


def test_imported_messages_keep_their_tokens(db):
    ImportedToken.objects.create(token="ftbsTOe5ZBhzNrQn", server_id=1, message_id=8)
    assert token.tokens_of([7, 8]) == {7: token.message_token(7), 8: "ftbsTOe5ZBhzNrQn"}
    assert token.message_ids_of(["ftbsTOe5ZBhzNrQn", token.message_token(7), "x y"], server_id=1) == [7, 8]
    assert token.message_ids_of(["ftbsTOe5ZBhzNrQn"], server_id=2) == []


def test_computed_tokens_need_no_query(db, django_assert_num_queries):
    with django_assert_num_queries(0):
        assert token.message_ids_of([token.message_token(7)], server_id=1) == [7]


def test_a_return_path_names_server_and_message(world, config):
    directory = world.directory()
    server = directory.servers[world.server.pk]
    path = token.return_path(server, None, 12, config)
    assert path == f"s8halm+{token.message_token(12)}@rp.postal.example.test"
    assert token.read_return_path(path.upper(), directory, config) == (server, 12)


def test_a_domain_with_a_return_path_of_its_own_uses_it(world, config):
    world.domain.return_path_status = "OK"
    world.domain.save()
    directory = load()
    path = token.return_path(
        directory.servers[world.server.pk], directory.domains[world.domain.pk], 12, config
    )
    assert path == "s8halm@psrp.example.test"
    assert token.read_return_path(path, directory, config) == (directory.servers[world.server.pk], None)


@pytest.mark.parametrize(
    ("address", "known"),
    [("nosuch@rp.postal.example.test", (None, None)), ("s8halm@example.test", None), ("s8halm", None)],
)
def test_other_addresses_are_no_return_paths(world, config, address, known):
    assert token.read_return_path(address, world.directory(), config) == known


def test_a_forged_message_token_names_no_message(world, config):
    server, number = token.read_return_path(
        "s8halm+aaaaaaaaaaaaaaaa@rp.postal.example.test", world.directory(), config
    )
    assert (server.token, number) == ("s8halm", None)
