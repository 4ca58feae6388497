"""Stopping when asked to: SIGTERM and SIGINT set a flag, the loop saves after its step and exits with 75."""

from __future__ import annotations

import signal
import threading
from types import FrameType

from burnish.track.run import EXIT_RESUME_ME, Run


class GracefulStop:
    """Becomes `requested` on the first SIGTERM or SIGINT; the second SIGINT interrupts at once."""

    def __init__(self) -> None:
        self.requested = False

    def listen(self) -> GracefulStop:
        """Take over the two signals; outside the main thread, where Python forbids it, nothing happens."""
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._request)
            signal.signal(signal.SIGINT, self._request)
        return self

    def _request(self, number: int, frame: FrameType | None) -> None:
        if self.requested and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.requested = True

    def leave(self, run: Run) -> None:
        """Close the record as stopped and end the process so that it is resumed.

        Raises:
            SystemExit: Always, with code 75.
        """
        run.finish("stopped", exit_code=EXIT_RESUME_ME)
        raise SystemExit(EXIT_RESUME_ME)
