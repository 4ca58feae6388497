"""SFT with LoRA on the real SmolLM2-135M-Instruct: one-digit sums, before and after."""

from __future__ import annotations

import sys
import time

from burnish.core.clock import duration
from burnish.core.files import read_json
from burnish.core.paths import find_project
from burnish.journal.series import load_scalars
from examples.demo import HELDOUT, heldout_size, run_stage, say
from examples.statistics import change


def main() -> int:
    """Run the demo; return the exit code."""
    started = time.monotonic()
    say("SmolLM2-135M-Instruct, 140 steps of 16 sums, some seven CPU-minutes")
    paths = run_stage("smollm2", find_project().make().runs)
    if paths is None:
        return 1
    record = read_json(paths.state)
    scores = load_scalars(paths.journals).of(HELDOUT)[1]
    print(f"\nSFT: {change('held-out exact match', scores[0], scores[-1], heldout_size(paths))}.")
    print(f"It took {duration(time.monotonic() - started)}; next, try: .venv/bin/burnish show {record['id']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
