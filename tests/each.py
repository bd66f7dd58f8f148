"""Many inputs in one test: a test of its own for each costs more in pytest than in testing."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest

Parameters = type(pytest.param())


def each(
    names: str, cases: Iterable[Any], ids: Callable[[Any], str] | Iterable[str] = repr
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Like `pytest.mark.parametrize`, as one test, which tries all and says which fail and why.

    `names` are one argument or several, as there; `ids` names a case, or all of them, as `pytest.param` may.
    The cases share the test's fixtures.
    """
    arguments = [name.strip() for name in names.split(",")]
    cases = list(cases)
    labels = [None] * len(cases) if callable(ids) else list(ids)

    def decorate(check: Callable[..., None]) -> Callable[..., None]:
        signature = inspect.signature(check)
        fixtures = [value for name, value in signature.parameters.items() if name not in arguments]

        @functools.wraps(check)
        def test(*self: Any, **given: Any) -> None:
            failed = []
            for case, label in zip(cases, labels, strict=True):
                values = dict(zip(arguments, _values(arguments, case), strict=True))
                try:
                    check(*self, **values, **given)
                except Exception as error:
                    name = label or getattr(case, "id", None) or (ids(case) if callable(ids) else "")
                    failed.append(f"{name}: {type(error).__name__}: {error}")
            assert not failed, "\n\n".join(failed)

        test.__signature__ = signature.replace(parameters=fixtures)  # type: ignore[attr-defined]
        return test

    return decorate


def _values(arguments: Sequence[str], case: Any) -> Sequence[Any]:
    if isinstance(case, Parameters):
        return case.values
    return case if len(arguments) > 1 else [case]
