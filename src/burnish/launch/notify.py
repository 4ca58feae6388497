"""Telling people: alerts go to channels, each in a thread of its own, so that none can delay or fail a run."""

from __future__ import annotations

import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Final, Protocol

from burnish.core.environment import WEBHOOK_VARIABLE
from burnish.core.secrets import Masker
from burnish.launch.alerts import Alert
from burnish.launch.notice import Notice

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

_log = logging.getLogger(__name__)
GROUP: Final = "burnish.alerts"
"""The entry point group by which others add channels."""
CONSOLE: Final = "console"
WEBHOOK: Final = "webhook"
_MOST_WAITING = 100
_JOIN_S = 0.1


class Channel(Protocol):
    """A way to tell people. `send` is called from one thread; what it raises is a warning."""

    def send(self, notice: Notice) -> None:
        """Tell one alert, or raise."""


class _Courier:
    """Hands notices to one channel, in a thread that begins with the first."""

    def __init__(self, name: str, make: Callable[[], Channel], masker: Masker) -> None:
        self.name = name
        self._make = make
        self._masker = masker
        self._waiting: queue.Queue[Notice | None] = queue.Queue(_MOST_WAITING)
        self._thread: threading.Thread | None = None
        self._is_full = False
        self._given_up = threading.Event()

    def send(self, notice: Notice) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name=f"burnish-alerts-{self.name}", daemon=True)
            self._thread.start()
        try:
            self._waiting.put_nowait(notice)
        except queue.Full:
            if not self._is_full:
                _log.warning("alerts: %s is too slow, some are not sent", self.name)
            self._is_full = True

    def finish(self, until: float, hurry: Callable[[], bool]) -> None:
        if self._thread is None:
            return
        try:
            self._waiting.put_nowait(None)
        except queue.Full:
            pass  # the rest of a full queue is not waited for
        while self._thread.is_alive() and time.monotonic() < until and not hurry():
            self._thread.join(_JOIN_S)
        if self._thread.is_alive():
            self._given_up.set()
            _log.warning("alerts: %s has not taken all in time", self.name)

    def _work(self) -> None:
        channel: Channel | None = None
        while (notice := self._waiting.get()) is not None and not self._given_up.is_set():
            try:
                channel = channel or self._make()
                channel.send(notice)
            except Exception as error:  # noqa: BLE001  the user's callables are one of the five walls
                if self._given_up.is_set():
                    return  # which has been told
                told = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
                told = self._masker.text(f"cannot tell {notice.alert.title!r}: {told}")
                _log.warning("alerts: %s %s", self.name, told)


class Notifier:
    """Sends alerts to the channels that a run names.

    Args:
        run: The run's full name.
        channels: Their names: `console`, `webhook`, or an entry point of the group `burnish.alerts`.
        environ: Where the webhook's address is, a credential.
        on_alert: Shows an alert on the console; without it the console's alerts are warnings of the log.
    """

    def __init__(
        self,
        run: str,
        channels: Iterable[str],
        environ: Mapping[str, str],
        on_alert: Callable[[Notice], None] | None = None,
    ) -> None:
        self._run = run
        self._on_alert = on_alert
        self._host = os.uname().nodename
        wanted = list(channels)
        self._has_console = CONSOLE in wanted
        self._couriers = [c for name in wanted if name != CONSOLE and (c := _courier(name, environ)) is not None]

    def send(self, alert: Alert) -> None:
        """Hand an alert to every channel; returns at once."""
        notice = Notice(self._run, self._host, alert)
        if self._has_console and self._on_alert is not None:
            self._on_alert(notice)
        elif self._has_console:
            _log.warning("run %s", notice.line)
        for courier in self._couriers:
            courier.send(notice)

    def finish(self, timeout_s: float, hurry: Callable[[], bool] = lambda: False) -> None:
        """Wait for what is on its way, all channels together no longer than this."""
        until = time.monotonic() + timeout_s
        for courier in self._couriers:
            courier.finish(until, hurry)


def _courier(name: str, environ: Mapping[str, str]) -> _Courier | None:
    masker = Masker.from_environment(environ)
    if name == WEBHOOK:
        url = environ.get(WEBHOOK_VARIABLE, "")
        if not url:
            _log.warning("alerts: a webhook is wanted, but %s is not set", WEBHOOK_VARIABLE)
            return None
        return _Courier(name, lambda: _webhook(url), masker)
    from importlib import metadata

    found = list(metadata.entry_points(group=GROUP, name=name))
    if not found:
        known = sorted({CONSOLE, WEBHOOK, *(point.name for point in metadata.entry_points(group=GROUP))})
        _log.warning("alerts: no channel is called %r; there are %s", name, ", ".join(known))
        return None
    if len(found) > 1:
        makers = " and ".join(sorted(point.dist.name if point.dist else point.value for point in found))
        _log.warning("alerts: %s both have a channel %r; none is used", makers, name)
        return None
    return _Courier(name, lambda: _load(found[0]), masker)


def _webhook(url: str) -> Channel:
    from burnish.launch.webhook import Webhook  # urllib and email, which few runs need

    return Webhook(url)


class _Callable:
    """A plugin that is a plain function."""

    def __init__(self, call: Callable[[Notice], object]) -> None:
        self._call = call

    def send(self, notice: Notice) -> None:
        self._call(notice)


def _load(point: EntryPoint) -> Channel:
    loaded = point.load()
    made = loaded() if isinstance(loaded, type) else loaded
    if hasattr(made, "send"):
        channel: Channel = made
        return channel
    if callable(made):
        return _Callable(made)
    raise TypeError(f"{point.value} is neither callable nor has it a method send")
