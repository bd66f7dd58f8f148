"""Give many rows values of their own in one statement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import connection
from django.db.models import Field, Model

ROWS_A_STATEMENT = 500


def update_each(
    model: type[Model], fields: Sequence[str], values: Mapping[int, Sequence[Any]], keep: Sequence[str] = ()
) -> None:
    """Set `fields` of each row, by its id, to its `values`. Null leaves the fields in `keep` as they are.

    One statement for 500 rows: `bulk_update` costs four times as much, and row by row ten times. SQLite and
    PostgreSQL both know `UPDATE ... FROM (VALUES ...)`.
    """
    by_name: dict[str, Field[Any, Any]] = {field.name: field for field in model._meta.concrete_fields}
    columns = [by_name[name] for name in fields]
    items = list(values.items())
    for start in range(0, len(items), ROWS_A_STATEMENT):
        chunk = items[start : start + ROWS_A_STATEMENT]
        # PostgreSQL takes the parameters of VALUES for text unless they are cast; SQLite has no such types.
        if connection.vendor == "postgresql":
            casts = ["CAST(%s AS bigint)", *(f"CAST(%s AS {c.db_type(connection)})" for c in columns)]
        else:
            casts = ["%s"] * (len(columns) + 1)
        row = f"({', '.join(casts)})"
        parameters: list[Any] = []
        for pk, own in chunk:
            parameters.append(pk)
            parameters += [c.get_db_prep_save(v, connection) for c, v in zip(columns, own, strict=True)]
        settings = ", ".join(
            f'"{c.column}" = '
            + (f'COALESCE(v.column{n}, t."{c.column}")' if c.name in keep else f"v.column{n}")
            for n, c in enumerate(columns, 2)
        )
        rows = ", ".join([row] * len(chunk))
        with connection.cursor() as cursor:
            cursor.execute(
                f'UPDATE "{model._meta.db_table}" AS t SET {settings} '  # noqa: S608 - names of ours only
                f"FROM (VALUES {rows}) AS v WHERE t.id = v.column1",
                parameters,
            )
