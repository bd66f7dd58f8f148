"""Many inputs in one test: a test of its own for each costs more in pytest than in testing."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any


def each(
    names: str, cases: Iterable[Any], ids: Callable[[Any], str] = repr
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Like `pytest.mark.parametrize`, as one test, which tries all and says which fail and why.

    `names` are one argument or several, as there; `ids` names a case. The cases share the test's fixtures.
    """
    arguments = [name.strip() for name in names.split(",")]

    def decorate(check: Callable[..., None]) -> Callable[..., None]:
        signature = inspect.signature(check)
        fixtures = [value for name, value in signature.parameters.items() if name not in arguments]

        @functools.wraps(check)
        def test(*self: Any, **given: Any) -> None:
            failed = []
            for case in cases:
                values = dict(zip(arguments, case if len(arguments) > 1 else [case], strict=True))
                try:
                    check(*self, **values, **given)
                except Exception as error:
                    failed.append(f"{ids(case)}: {type(error).__name__}: {error}")
            assert not failed, "\n\n".join(failed)

        test.__signature__ = signature.replace(parameters=fixtures)  # type: ignore[attr-defined]
        return test

    return decorate
