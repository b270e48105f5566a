"""What a source teaches about its own noise."""

from __future__ import annotations

import numpy as np
import pytest

from stillsift.selection.noise import NoiseFloor


def test_what_noise_puts_together_is_learned_while_calm_and_outlives_a_restart() -> None:
    floor = NoiseFloor(0.4)
    cells = np.zeros((2, 2), np.float32)
    for number in range(40):
        calm = number < 30
        floor.learn(cells, 0.3 * (number % 3) if calm else None, float(number))
    later = NoiseFloor(0.4)
    later.restore(floor.arrays())

    assert floor.chance() == later.chance() == pytest.approx(0.6)

    floor.restart()
    assert floor.chance() == 0
