"""Reading dumps of MariaDB."""

from __future__ import annotations

import contextlib
import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postal_server.errors import HostileInput
from postal_server.importing import mariadb_dump
from tests.each import each

VECTORS = Path(__file__).resolve().parents[2] / "vectors" / "database"
TABLE = "CREATE TABLE `t` (\n  `id` int(11) NOT NULL,\n  `text` text,\n  PRIMARY KEY (`id`)\n);\n"


def read(text: str, tables=("t",)):
    return list(mariadb_dump.rows(text.splitlines(keepends=True), tables))


@each(
    "literal, value",
    [
        ("NULL", None),
        ("5", 5),
        ("-7", -7),
        ("1795373897.169618", 1795373897.169618),
        ("1e3", 1000.0),
        ("'plain'", "plain"),
        ("'it''s'", "it's"),
        (r"'it\'s'", "it's"),
        (r"'a\nb\\c\t'", "a\nb\\c\t"),
        ("'); DROP TABLE x; --'", "); DROP TABLE x; --"),
        ("'two\nlines;\nand more'", "two\nlines;\nand more"),
        ("_binary 'ab'", b"ab"),
        ("0x6162", b"ab"),
        ("x'6162'", b"ab"),
    ],
)
def test_literals(literal, value):
    assert read(f"{TABLE}INSERT INTO `t` VALUES\n(1,{literal});\n") == [("t", {"id": 1, "text": value})]


def test_many_rows_in_one_statement_and_tables_that_are_not_wanted():
    text = TABLE + "INSERT INTO `u` VALUES (1);\nINSERT INTO `t` VALUES (1,'a'),\n(2,'b');\n"
    assert [row["id"] for _, row in read(text)] == [1, 2]


def test_named_columns_win_over_the_order_of_the_table():
    assert read(f"{TABLE}INSERT INTO `t` (`text`, `id`) VALUES ('a',1);\n") == [("t", {"text": "a", "id": 1})]


@each(
    "text",
    [
        f"{TABLE}INSERT INTO `t` VALUES (1);\n",
        f"{TABLE}INSERT INTO `t` VALUES (1,'a'\n",
        f"{TABLE}INSERT INTO `t` VALUES (1,?);\n",
        f"{TABLE}INSERT INTO `t` VALUES (1,1.2.3);\n",
        f"{TABLE}INSERT INTO `t` VALUES (1,0x123);\n",
        f"{TABLE}INSERT INTO `t` VALUES (1,{'9' * 5000});\n",
    ],
)
def test_what_cannot_be_read_is_one_error(text):
    with pytest.raises(HostileInput):
        read(text)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=200))
def test_any_text_is_read_or_refused(text):
    with contextlib.suppress(HostileInput):
        read(f"{TABLE}INSERT INTO `t` VALUES (1,'{text}');\n")


def test_recorded_dump():
    with gzip.open(VECTORS / "postal.sql.gz", "rt") as lines:
        found = list(mariadb_dump.rows(lines, ("servers", "domains", "credentials")))
    by_table = {table: [row for t, row in found if t == table] for table in ("servers", "domains")}
    assert {row["name"] for row in by_table["servers"]} >= {"Live", "Dev", "Suspended"}
    assert all(row["dkim_private_key"].startswith("-----BEGIN RSA") for row in by_table["domains"])
