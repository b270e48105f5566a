"""Lets passwords be tried at a rate that makes guessing hopeless and keeps nobody out for long."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

OF_ONE_S = 1.0
"""Seconds from a wrong password to the next one of the same client: a person needs longer to type
it again."""
OF_ALL_S = 0.25
"""Seconds from a wrong password to the next one of anybody: 126 million in a year, where a password
of eight random letters and digits is one of 10^14. Who has the right one waits for those
before him, at most `_MOST_WAITING` times as long."""
_MOST_WAITING = 32
_MOST_OF_ONE = 4
"""Most that wait for their turn, half of the requests that the server takes, and most of them from
one client."""


class TooManyTry(Exception):
    """Says that nobody else may wait now until a password is looked at."""


@dataclass(slots=True)
class _Turns:
    """Lets one after the other, with a pause after one that was wrong."""

    pause_s: float
    free_at: float = 0.0
    waiting: int = 0
    one: asyncio.Lock = field(default_factory=asyncio.Lock)


class Throttle:
    """Holds who tries a password, and when the next one may. For one event loop."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._all = _Turns(OF_ALL_S)
        self._clients: dict[str | None, _Turns] = {}
        """Those who wait or have been wrong within the last `OF_ONE_S`."""

    async def tried(self, client: str | None, is_right: Callable[[], bool]) -> bool:
        """Waits for a turn, and returns whether the password is right then.

        `client`: whose turn it is. None: a browser that has given the right one before; these
        wait for each other alone, so that no one who guesses keeps out who is in. Raises
        TooManyTry.
        """
        mine = self._clients.get(client) or _Turns(OF_ONE_S)
        turns = (mine,) if client is None else (mine, self._all)
        if mine.waiting >= _MOST_OF_ONE or (
            client is not None and self._all.waiting >= _MOST_WAITING
        ):
            raise TooManyTry
        self._clients[client] = mine
        for each in turns:
            each.waiting += 1
        try:
            return await self._in_turn(turns, is_right)
        finally:
            for each in turns:
                each.waiting -= 1
            now = self._clock()
            self._clients = {
                name: each
                for name, each in self._clients.items()
                if each.waiting or each.free_at > now
            }

    async def _in_turn(self, turns: tuple[_Turns, ...], is_right: Callable[[], bool]) -> bool:
        first, *others = turns
        async with first.one:
            while (wait_s := first.free_at - self._clock()) > 0:
                await self._sleep(wait_s)
            right = await self._in_turn(tuple(others), is_right) if others else is_right()
            if not right:
                first.free_at = self._clock() + first.pause_s
            return right
