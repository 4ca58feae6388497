"""Times of one library's job in a process that has done it before: `python warm.py NAME ROUNDS FLAG…`."""

from __future__ import annotations

import gc
import importlib
import json
import sys
from time import perf_counter_ns

from finish import finish  # type: ignore[import-not-found]


def main() -> None:
    """Compose and validate until warm, then time it."""
    name, rounds, *flags = sys.argv[1:]
    load = importlib.import_module(f"{name}_job").load
    finish(load(flags))
    for _ in range(3):
        load(flags)
    gc.collect()
    times_ns = []
    for _ in range(int(rounds)):
        start = perf_counter_ns()
        load(flags)
        times_ns.append(perf_counter_ns() - start)
    print(json.dumps(times_ns))


if __name__ == "__main__":
    main()
