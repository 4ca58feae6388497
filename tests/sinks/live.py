"""A run that is logged to while a sink ships it."""

import os
import time

from burnish.core.files import write_json
from burnish.core.paths import RunPaths
from burnish.journal import JournalWriter
from burnish.sinks import Shipper, finish_all

EACH = 50


class Live:
    """A run with two metrics, NaN among their values, and the shipper of one sink."""

    def __init__(self, root, name, options, eventually):
        self.run = RunPaths(root / f"20260101_toy_{os.urandom(4).hex()}")
        for folder in (self.run.journals, self.run.cursors):
            folder.mkdir(parents=True)
        write_json(self.run.state, {"experiment": "toy", "project": str(root), "created": time.time()})
        self.writer = JournalWriter(self.run.journals, 0, lambda: {"attempt": 1})
        self.shipper = Shipper(self.run, name, options)
        self._eventually = eventually
        self._step = 0

    def log(self):
        for step in range(self._step, self._step + EACH):
            values = (1 / (step + 1), float("nan") if step % 7 == 0 else float(step))
            self.writer.row(("loss", "odd"), values, step, time.time())
        self._step += EACH

    def until(self, condition, what):
        def holds():
            self.shipper.look()
            return condition(self.shipper.status)

        self._eventually(holds, what, 60)

    def until_shipped(self):
        self.until(lambda status: status.shipped and not status.behind_bytes and not status.error, "all is shipped")

    def until_failed(self):
        self.until(lambda status: status.error, "an error")

    def finish(self):
        """Ship the rest; return how many points were logged."""
        assert finish_all([self.shipper], "finished", 90), self.shipper.status
        return 2 * self._step

    def close(self):
        self.shipper.stop()
        self.writer.close()
