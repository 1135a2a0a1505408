"""Where the numbers beside an axis stand."""

from __future__ import annotations

import math

_NARROWEST = 1e-300
"""Below it there are no powers of ten to count in."""


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers (1, 2 or 5 times a power of ten apart) from `low` to `high`, at most `most`."""
    if not high - low > _NARROWEST:
        return [low]
    rough = (high - low) / max(1, most - 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(number * step, 12) if abs(step) > 1e-9 else number * step for number in range(first, last + 1)]
