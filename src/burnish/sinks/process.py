"""The process of one sink: `python -m burnish.sinks.process RUN NAME`, which its shipper starts, watches and kills.

It reads commands as JSON lines from standard input, says how it is on standard output, and ends with its parent.
Whatever a sink prints goes to standard error.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import traceback
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final, TextIO

from burnish.core.files import FileLock
from burnish.core.paths import RunPaths
from burnish.core.processes import end_with
from burnish.core.secrets import MaskedStream, Masker
from burnish.sinks.base import Gone, Refused
from burnish.sinks.pump import Pump
from burnish.sinks.registry import make_sink

POLL_S: Final = 0.5
_BACKOFF_S: Final = (1.0, 60.0)
_NICENESS: Final = 10
_ENDING_BACKOFF_S: Final = 0.5


@dataclass(slots=True)
class _Control:
    """What the parent wants, and what it is told.

    Attributes:
        out: Where reports go.
        masker: Hides credentials in what a sink's exception says.
        options: The sink's options, once they have come.
        batch_bytes: How much is shipped at once; 0 for what the sink prefers.
        from_start: Forget what was shipped before.
        status: How the run ended; None while it goes on.
        has_begun: Whether the options have come.
    """

    out: TextIO
    masker: Masker
    options: dict[str, object] = field(default_factory=dict)
    batch_bytes: int = 0
    from_start: bool = False
    status: str | None = None
    has_begun: bool = False
    _rest: bytes = b""

    def wait(self, timeout_s: float) -> None:
        """Wait for a command, no longer than this; end this process where the parent is gone."""
        ready, _, _ = select.select([sys.stdin], [], [], timeout_s)
        if not ready:
            return
        raw = os.read(sys.stdin.fileno(), 1 << 16)
        if not raw:
            os._exit(0)
        *lines, self._rest = (self._rest + raw).split(b"\n")
        for line in lines:
            told = json.loads(line)
            if "options" in told:
                self.options, self.batch_bytes = told["options"], told["batch_bytes"]
                self.from_start, self.has_begun = told["from_start"], True
            elif "end" in told:
                self.status = told["end"]

    def say(self, **told: object) -> None:
        """Tell the parent."""
        try:
            self.out.write(json.dumps(told) + "\n")
            self.out.flush()
        except OSError:
            os._exit(0)

    def fail(self, error: Exception) -> None:
        """Tell the parent what went wrong."""
        name = "" if isinstance(error, Refused) else f"{type(error).__name__}: "
        traceback.print_exception(error)  # to the log, masked
        self.say(error=self.masker.text(f"{name}{error}")[:2_000], refused=isinstance(error, Refused | ImportError))


def main(argv: list[str]) -> int:
    """Ship until the run has ended, or the parent has."""
    if not end_with(int(argv[2])):
        return 0
    os.nice(_NICENESS)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no report
    masker = Masker.from_environment(os.environ)
    sys.stderr = MaskedStream(sys.stderr, masker)
    sys.stdout = sys.stderr
    run, name = RunPaths(Path(argv[0])), argv[1]
    control = _Control(out, masker)
    lock = None
    while lock is None:
        lock = FileLock.try_acquire(run.cursors / f"{name}.lock")
        if lock is None:
            control.say(error="another process ships this run to it")
        control.wait(POLL_S if lock is None else 0)
    while not control.has_begun:
        control.wait(POLL_S)
    with lock:
        return _work(
            Pump(run, name, partial(make_sink, name, control.options), batch_bytes=control.batch_bytes), control
        )


def _work(pump: Pump, control: _Control) -> int:
    pump.on_batch = lambda: control.say(alive=True)
    pump.on_shipped = lambda: control.say(alive=True, error="")
    delay, is_gone = _BACKOFF_S[0], control.from_start
    while True:
        ending = control.status  # read before the journals: what came before it must be shipped
        try:
            if is_gone:
                pump.start_over()
                is_gone = False
                control.say(alive=True, begun=True)
            pump.round()
            if ending is not None:
                pump.close(ending)
                control.say(error="", closed=True)
                return 0
            control.say(error="", idle=True)
            delay = _BACKOFF_S[0]
            control.wait(POLL_S)
        except (Refused, ImportError) as error:  # no retry will install a package
            control.fail(error)
            return 0
        except Exception as error:  # noqa: BLE001  one of the five walls: whatever a sink raises stays here
            control.fail(error)
            is_gone = is_gone or isinstance(error, Gone)
            pump.drop()
            control.wait(delay if ending is None else min(delay, _ENDING_BACKOFF_S))
            delay = min(delay * 2, _BACKOFF_S[1])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
