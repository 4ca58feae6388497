"""Where the time of a step goes: seconds spent in named, nested phases, on the host and on a CUDA device.

No phase ever waits for a device: its events are read later, once they have passed.
"""

from __future__ import annotations

import functools
import logging
import os
import sys
import time
import weakref
from collections import deque
from collections.abc import Callable
from contextvars import ContextVar
from threading import RLock
from types import CodeType, TracebackType
from typing import Any, Final, ParamSpec, Protocol, TypeVar

_log = logging.getLogger(__name__)
_P = ParamSpec("_P")
_R = TypeVar("_R")

_DEVICE: Final = "gpu"
_MOST_WAITING: Final = 256
_SUSPENDS: Final = 0x20 | 0x80 | 0x200  # CO_GENERATOR, CO_COROUTINE, CO_ASYNC_GENERATOR; `inspect` takes 5 ms to load


class Event(Protocol):
    """The part of `torch.cuda.Event` that phases use; one is given only to another of its own library."""

    def record(self) -> None:
        """Put the event on the current stream."""
        ...

    def query(self) -> bool:
        """Return whether the device has passed it."""
        ...

    def elapsed_time(self, end: Any, /) -> float:  # noqa: ANN401
        """Return milliseconds between two events that have passed."""
        ...


class Cuda(Protocol):
    """The part of `torch.cuda` that phases use."""

    @property
    def Event(self) -> Callable[..., Event]:
        """Make an event."""
        ...

    def is_current_stream_capturing(self) -> bool:
        """Return whether the stream records a CUDA graph, in which no event can be timed."""
        ...


class _Open:
    """A phase that is under way, and the one around it."""

    __slots__ = ("event", "name", "outer", "phase", "started")

    def __init__(self, phase: Phase, name: str, outer: _Open | None) -> None:
        self.phase = phase
        self.name = name
        self.outer = outer
        self.event: Event | None = None
        self.started = 0.0


# A context variable, so that each thread has its own nesting, and each task of an event loop too.
_innermost: ContextVar[_Open | None] = ContextVar("burnish_phase", default=None)


def loaded_cuda() -> Cuda | None:
    """Return `torch.cuda` where it is loaded and in use; it is never initialised for this."""
    torch = sys.modules.get("torch")
    cuda: Any = getattr(torch, "cuda", None)
    return cuda if cuda is not None and cuda.is_initialized() else None


class Phases:
    """Seconds by phase since they were last drained. Any thread may enter phases, and any may drain them.

    A forked child starts from nothing. A phase counts when it is left, so one that is still open at a drain
    counts in a later one; the seconds of an outer phase include those of the inner ones.

    Args:
        clock: Returns seconds.
        cuda: Returns the device's events, None where there is no device in use.
    """

    def __init__(
        self, clock: Callable[[], float] = time.perf_counter, cuda: Callable[[], Cuda | None] = loaded_cuda
    ) -> None:
        self._clock = clock
        self._cuda = cuda
        self._lock = RLock()  # a signal's handler may log, and so drain, at any moment
        self._seconds: dict[str, float] = {}
        self._device_seconds: dict[str, float] = {}
        self._waiting: deque[tuple[str, Event, Event]] = deque()
        self._has_warned = False
        _every.add(self)

    def phase(self, name: str) -> Phase:
        """Return a phase, to be entered with `with` or put over a function as a decorator.

        A name may hold `/`; inside another phase it is named after both, `outer/inner`. A generator that is
        suspended inside a phase leaves it open meanwhile: put the `with` around what computes, not around `yield`.

        Raises:
            TypeError: The name is no string.
            ValueError: The name is empty, or its last part is `gpu`, which holds the seconds on the device.
        """
        if not isinstance(name, str):
            raise TypeError(f"a phase's name must be a string, not {name!r}")
        if not name or name == _DEVICE or name.endswith("/" + _DEVICE):
            raise ValueError(f"a phase cannot be called {name!r}: phase/<name>/gpu holds the seconds on the device")
        return Phase(self, name)

    def drain(self) -> dict[str, float]:
        """Return the seconds since the last drain by name, and under `<name>/gpu` what the device has passed.

        The latter is the time on the current stream between entry and exit. It belongs to phases
        of this drain or an earlier one: those that the device has not finished yet are left for the next.
        """
        if not self._seconds and not self._waiting and not self._device_seconds:
            return {}
        with self._lock:
            self._collect()
            seconds, self._seconds = self._seconds, {}
            device, self._device_seconds = self._device_seconds, {}
        seconds.update((f"{name}/{_DEVICE}", value) for name, value in device.items())
        return seconds

    def _begin(self, open_: _Open) -> None:
        if (cuda := self._cuda()) is not None:
            open_.event = self._recorded(cuda)
        open_.started = self._clock()

    def _end(self, open_: _Open) -> None:
        seconds = self._clock() - open_.started
        name, start, end = open_.name, open_.event, None
        if start is not None and (cuda := self._cuda()) is not None:
            end = self._recorded(cuda)
        with self._lock:
            self._seconds[name] = self._seconds.get(name, 0.0) + seconds
            if start is None or end is None:
                return
            if len(self._waiting) >= _MOST_WAITING:
                self._collect()
            if len(self._waiting) < _MOST_WAITING:
                self._waiting.append((name, start, end))
            else:
                self._warn("more than %d phases wait for the device; its time in the others is not counted")

    def _recorded(self, cuda: Cuda) -> Event | None:
        try:
            if cuda.is_current_stream_capturing():
                return None
            event = cuda.Event(enable_timing=True)
            event.record()
            return event
        except Exception as error:  # noqa: BLE001  a device in trouble tells the training itself soon enough
            self._warn("cannot time phases on the device: %s", error)
            return None

    def _collect(self) -> None:
        """Count the events that have passed; they pass in their order but for those of other streams."""
        for _ in range(len(self._waiting)):
            name, start, end = self._waiting.popleft()
            try:
                if not end.query():
                    self._waiting.append((name, start, end))
                    continue
                seconds = start.elapsed_time(end) / 1000
            except Exception as error:  # noqa: BLE001  as above; two devices in one phase land here too
                self._warn("cannot time phases on the device: %s", error)
                continue
            self._device_seconds[name] = self._device_seconds.get(name, 0.0) + seconds

    def _warn(self, message: str, detail: object = _MOST_WAITING) -> None:
        if not self._has_warned:
            self._has_warned = True
            _log.warning(message, detail)

    def _forget_after_fork(self) -> None:
        self._lock = RLock()  # another thread of the parent may have held it
        self._seconds, self._device_seconds = {}, {}
        # Kept alive: the events belong to a CUDA context that this process must not touch.
        _of_parents.append(self._waiting)
        self._waiting = deque()


class Phase:
    """One named phase: enter it, or decorate a function with it. It may be entered again, also inside itself."""

    __slots__ = ("_name", "_phases")

    def __init__(self, phases: Phases, name: str) -> None:
        self._phases = phases
        self._name = name

    def __enter__(self) -> None:
        outer = _innermost.get()
        open_ = _Open(self, self._name if outer is None else f"{outer.name}/{self._name}", outer)
        _innermost.set(open_)
        self._phases._begin(open_)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        open_ = _innermost.get()
        while open_ is not None and open_.phase is not self:  # a generator was left inside a phase of its own
            open_ = open_.outer
        if open_ is not None:
            self._phases._end(open_)
            _innermost.set(open_.outer)

    def __call__(self, function: Callable[_P, _R]) -> Callable[_P, _R]:
        """Return the function so that each of its calls is a phase.

        Raises:
            TypeError: Its calls return before its work is done: a generator or a coroutine.
        """
        code = getattr(function, "__code__", None)
        if isinstance(code, CodeType) and code.co_flags & _SUSPENDS:
            name = getattr(function, "__qualname__", function)
            raise TypeError(f"phase {self._name!r} cannot time {name}, a generator or coroutine: use `with` inside it")

        @functools.wraps(function)
        def timed(*args: _P.args, **kwargs: _P.kwargs) -> _R:
            with self:
                return function(*args, **kwargs)

        return timed


_every: weakref.WeakSet[Phases] = weakref.WeakSet()
_of_parents: list[object] = []


def _after_fork_in_child() -> None:
    for phases in list(_every):
        phases._forget_after_fork()


os.register_at_fork(after_in_child=_after_fork_in_child)
