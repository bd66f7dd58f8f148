import pytest

from postal_server.models import Domain, ImportedToken, Server
from postal_server.services.shared import token
from postal_server.services.shared.loader import load
from tests.each import each


@each("number", [0, 1, 2, 77, 2**31, 2**48 - 1])
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


@each("junk", ["", "a" * 16, "nosuchtoken", "a" * 15, "a" * 17, "ÄÖÜ" * 6, "0" * 16, "a\n" * 8])
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
    tokens = ["ftbsTOe5ZBhzNrQn", token.message_token(7), "x y"]
    assert list(token.ids_by_token(tokens, server_id=1).values()) == [7, 8]
    assert list(token.ids_by_token(["ftbsTOe5ZBhzNrQn"], server_id=2).values()) == []


def test_computed_tokens_need_no_query(db, django_assert_num_queries):
    with django_assert_num_queries(0):
        assert list(token.ids_by_token([token.message_token(7)], server_id=1).values()) == [7]


OURS, OWN = "rp.postal.example.test", "psrp.example.test"


@pytest.fixture
def server(world):
    return world.directory().servers[world.server.pk]


@pytest.fixture
def read(world, config):
    return lambda address: token.read_return_path(address, world.directory(), config)


def test_a_return_path_names_server_and_message(server, read, config):
    path = token.return_path(server, None, 12, config)
    assert path == f"bounces+s8halm-{token.message_token(12)}@{OURS}"
    assert read(path) == read(path.upper()) == (server, 12)


def test_a_domain_with_a_return_path_of_its_own_uses_it(world, server, read, config):
    world.domain.return_path_status = "OK"
    world.domain.save()
    path = token.return_path(server, load().domains[world.domain.pk], 12, config)
    assert path == f"bounces+s8halm-{token.message_token(12)}@{OWN}"
    assert read(path) == (server, 12)


@each("domain", [OURS, OWN, OWN.upper(), f"{OWN}."])
@each(
    "local, number",
    [("bounces+s8halm-{}", 12), ("s8halm+{}", 12), ("s8halm", None), ("BOUNCES+S8HALM-{}", 12)],
)
def test_every_form_that_was_ever_sent_is_read(server, read, local, number, domain):
    assert read(f"{local.format(token.message_token(12))}@{domain}") == (server, number)


@each(
    "local",
    [
        "nosuch",
        "nosuch+{}",
        "bounces+nosuch-{}",
        "bounces+-{}",
        "bounces+{}",
        "bounces+s8halm",
        "bounces+s8halm-",
        "bounces",
        "bounces+",
        "bounce+s8halm-{}",
        "s8halm+",
        "s8halm-{}",
        "s8halm+aaaaaaaaaaaaaaaa",
        "bounces+s8halm-aaaaaaaaaaaaaaaa",
        "bounces+s8halm-{}-{}",
        "bounces+bounces+s8halm-{}",
        "s8halm+{}+{}",
        '"s8halm"',
        "bounces+s8halm-{}" * 20_000,
        "bounces+" + "-" * 100_000,
    ],
)
def test_what_was_never_sent_names_neither(read, local):
    assert read(f"{local.replace('{}', token.message_token(12))}@{OURS}") == (None, None)


@each("address", ["s8halm@example.test", "s8halm", "s8halm@xpsrp.example.test", "@", ""])
def test_other_addresses_are_no_return_paths(read, address):
    assert read(address) is None


@pytest.mark.parametrize(
    ("name", "is_taken"),
    [
        ("example.test", True),
        ("unverified.test", True),
        ("shared.test", True),
        ("bücher.test", True),
        ("xn--bcher-kva.test", True),
        ("neighbour.test", False),
        ("other.test", False),
        ("sub.example.test", False),
    ],
)
@pytest.mark.parametrize("local", ["bounces+s8halm-{}", "s8halm+{}", "s8halm"])
def test_domains_own_return_paths_are_those_of_the_server_and_its_organization(
    world, server, read, local, name, is_taken
):
    neighbour = Server.objects.create(
        organization=world.organization, name="N", permalink="n", token="nextto"
    )
    Domain.objects.create(server=world.server, name="unverified.test")
    Domain.objects.create(server=world.server, name="xn--bcher-kva.test")
    Domain.objects.create(organization=world.organization, name="shared.test")
    Domain.objects.create(server=neighbour, name="neighbour.test")
    found = read(f"{local.format(token.message_token(12))}@psrp.{name}")
    assert found.server == (server if is_taken else None)


@each("local", ["bounces+s8halm-{}", "s8halm+{}", "s8halm"])
def test_the_server_of_a_return_path(local):
    assert token.server_token_of(f"{local.format(token.message_token(12))}@{OURS}") == "s8halm"
