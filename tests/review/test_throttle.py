"""How fast passwords may be tried."""

from __future__ import annotations

import asyncio
import heapq
from collections import Counter
from collections.abc import Awaitable, Callable

import pytest

from stillsift.review.throttle import OF_ALL_S, OF_ONE_S, Throttle, TooManyTry


class World:
    """A clock that jumps to when the next of those who sleep wakes up."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._asleep: list[tuple[float, int, asyncio.Future[None]]] = []
        self._number = 0

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        woken = asyncio.get_running_loop().create_future()
        self._number += 1
        heapq.heappush(self._asleep, (self.now + seconds, self._number, woken))
        await woken

    async def run(self, until: float) -> None:
        """Lets time pass."""
        while True:
            for _ in range(200):  # until all wait for the clock
                await asyncio.sleep(0)
            if not self._asleep or self._asleep[0][0] > until:
                self.now = until
                return
            self.now, _, woken = heapq.heappop(self._asleep)
            woken.set_result(None)


def played(play: Callable[[World, Throttle], Awaitable[None]]) -> None:
    async def run() -> None:
        world = World()
        await play(world, Throttle(world.clock, world.sleep))

    asyncio.run(run())


async def guess(throttle: Throttle, client: str | None, done: Counter[str]) -> None:
    """Tries wrong passwords for ever."""
    while True:
        try:
            await throttle.tried(client, lambda: False)
            done[str(client)] += 1
        except TooManyTry:
            done["refused"] += 1
            return


def test_an_address_guesses_once_a_second_over_all_its_connections() -> None:
    async def play(world: World, throttle: Throttle) -> None:
        done = Counter[str]()
        tasks = [asyncio.create_task(guess(throttle, "a", done)) for _ in range(64)]
        await world.run(world.now + 60)
        assert 58 <= done["a"] <= 61
        assert done["refused"] == 60  # at once: nobody holds a connection by waiting
        for task in tasks:
            task.cancel()

    assert OF_ONE_S == 1.0
    played(play)


def test_all_together_guess_four_times_a_second_and_each_in_its_turn() -> None:
    async def play(world: World, throttle: Throttle) -> None:
        done = Counter[str]()
        names = [f"a{n}" for n in range(20)]
        tasks = [asyncio.create_task(guess(throttle, name, done)) for name in names]
        await world.run(world.now + 60)
        assert sum(done.values()) == pytest.approx(60 / OF_ALL_S, abs=2)
        assert min(done[name] for name in names) >= 11
        for task in tasks:
            task.cancel()

    assert OF_ALL_S == 0.25
    played(play)


def test_who_is_right_waits_for_those_before_and_who_is_known_for_nobody() -> None:
    async def play(world: World, throttle: Throttle) -> None:
        done = Counter[str]()
        tasks = [asyncio.create_task(guess(throttle, f"a{n}", done)) for n in range(31)]
        await world.run(world.now + 10)
        began = world.now
        assert await throttle.tried(None, lambda: True)
        assert world.now == began
        owner = asyncio.create_task(throttle.tried("owner", lambda: True))
        await world.run(began + 9)
        assert owner.done()
        assert owner.result()
        for task in tasks:
            task.cancel()

    played(play)


def test_one_slip_costs_a_second_at_most() -> None:
    async def play(world: World, throttle: Throttle) -> None:
        assert not await throttle.tried("me", lambda: False)
        right = asyncio.create_task(throttle.tried("me", lambda: True))
        await world.run(world.now + 0.9)
        assert not right.done()
        await world.run(world.now + 0.2)
        assert right.result()
        # Whoever is right keeps nobody waiting: a page asks for many pictures at once.
        began = world.now
        assert all([await throttle.tried("me", lambda: True) for _ in range(50)])
        assert world.now == began

    played(play)


def test_a_browser_that_is_known_guesses_no_faster() -> None:
    async def play(world: World, throttle: Throttle) -> None:
        done = Counter[str]()
        tasks = [asyncio.create_task(guess(throttle, None, done)) for _ in range(4)]
        await world.run(world.now + 30)
        assert done["None"] <= 31
        for task in tasks:
            task.cancel()

    played(play)


def test_nothing_is_remembered_of_whoever_is_gone() -> None:
    async def play(world: World, throttle: Throttle) -> None:
        for number in range(500):
            trying = asyncio.create_task(throttle.tried(str(number), lambda: False))
            await world.run(world.now + 1)
            assert trying.done()
        assert len(throttle._clients) < 10

    played(play)
