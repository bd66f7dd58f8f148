"""DNS for threads: services ask a batch of questions, the event loop's resolver answers them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from postal_server.services.shared.dns_questions import Answers, Question

from .ports import Lookup, Resolver

TOGETHER = 20  # questions under way at a time: a list of domains must not flood the resolver
TIMEOUT = 120.0  # seconds for a batch


class DomainQuestions:
    """Callable from any thread but the loop's, once bound."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self._loop: asyncio.AbstractEventLoop | None = None

    def bind(self, loop: asyncio.AbstractEventLoop) -> None:
        """Ask in this loop."""
        self._loop = loop

    def __call__(self, questions: Sequence[Question]) -> Answers:
        """The records of each question: empty where there are none, None where the look-up failed."""
        assert self._loop is not None, "not bound to a loop"
        return asyncio.run_coroutine_threadsafe(self.ask(questions), self._loop).result(TIMEOUT)

    async def ask(self, questions: Sequence[Question]) -> Answers:
        """The same, in the running loop."""
        turn = asyncio.Semaphore(TOGETHER)

        async def ask(question: Question) -> Sequence[str] | None:
            async with turn:
                answer = await self._resolver.records(question.name, question.kind)
            return None if answer.lookup in (Lookup.FAILED, Lookup.TIMED_OUT) else answer.values

        answers = await asyncio.gather(*(ask(question) for question in questions))
        return dict(zip(questions, answers, strict=True))
