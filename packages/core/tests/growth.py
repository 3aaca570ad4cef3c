"""How the work grows with what there is to do, whatever the machine."""

import time
from collections.abc import Callable

LINEAR = 8.0
"""Four times as much takes about four times as long; sixteen times if each thing is held against each other."""


def growth(work: Callable[[int], object], size: int) -> float:
    """How many times longer `size` takes than a quarter of it, in the processor's time: the quickest of three."""

    def quickest(of: int) -> float:
        times = []
        for _ in range(3):
            began = time.process_time()
            work(of)
            times.append(time.process_time() - began)
        return min(times)

    return quickest(size) / quickest(size // 4)
