"""A `logging` handler that writes records into the journal: structured, masked, and never a failure of training."""

from __future__ import annotations

import logging
import os
import traceback
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Final

from burnish.core.secrets import Masker

_LONGEST_TEXT: Final = 100_000
_DEEPEST: Final = 20
_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_busy: ContextVar[bool] = ContextVar("burnish_writes_log_record", default=False)


class JournalHandler(logging.Handler):
    """Hands each record on as the payload of a LOG frame.

    Credentials are masked: those that the environment held when the handler was made, and what looks like one.
    A record that cannot be handed on is counted, not raised. What is logged while a record is being written,
    such as a warning that the journal cannot be, is not written in turn.

    Where it is the only handler of a logger, Python would no longer print warnings to standard error by itself
    (`logging.lastResort`); this handler has them printed as before.

    Args:
        write: Takes the logger's name and the payload.
        level: The lowest level that is written. A logger's own level decides first.

    Attributes:
        failed: How many records could not be written.

    Raises:
        ValueError: There is no such level.
    """

    def __init__(self, write: Callable[[str, Mapping[str, object]], None], level: int | str = logging.INFO) -> None:
        super().__init__(level)
        self.failed = 0
        self._write = write
        self._masker = Masker.from_environment(os.environ)

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record; whatever goes wrong is counted."""
        if _busy.get():
            return
        token = _busy.set(True)
        try:
            self._write(record.name, self._payload(record))
        except Exception:  # noqa: BLE001  a logging call never fails, and this one has nobody left to tell
            self.failed += 1
        finally:
            _busy.reset(token)
        self._print_as_before(record)

    def _payload(self, record: logging.LogRecord) -> dict[str, object]:
        payload: dict[str, object] = {
            "level": record.levelname,
            "message": self._text(_message(record)),
            "file": record.pathname,
            "line": record.lineno,
            "error": self._text(_error(record)),
        }
        extra = {name: value for name, value in vars(record).items() if name not in _STANDARD and _is_json(value)}
        if extra:
            payload["extra"] = self._masker.tree(extra)
        return payload

    def _text(self, text: str) -> str:
        shown = self._masker.text(text)  # before it is cut, or half a credential would be left
        more = len(shown) - _LONGEST_TEXT
        return shown if more <= 0 else f"{shown[:_LONGEST_TEXT]}… ({more:,} more characters)"

    def _print_as_before(self, record: logging.LogRecord) -> None:
        last = logging.lastResort
        if last is None or record.levelno < last.level:
            return
        logger: logging.Logger | None = logging.getLogger(record.name)
        while logger is not None:
            if any(not isinstance(handler, JournalHandler) for handler in logger.handlers):
                return
            logger = logger.parent if logger.propagate else None
        last.handle(record)


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception as error:  # noqa: BLE001  the user's own `%d` or `__str__`; the record is still worth keeping
        return f"{record.msg!r} (its arguments do not fit: {error})"


def _error(record: logging.LogRecord) -> str:
    if record.exc_info and record.exc_info[0] is not None:
        return "".join(traceback.format_exception(*record.exc_info)).rstrip("\n")
    return record.exc_text or record.stack_info or ""


def _is_json(value: object, depth: int = 0) -> bool:
    if value is None or isinstance(value, bool | int | float | str):
        return True
    if depth >= _DEEPEST:
        return False
    if isinstance(value, Mapping):
        return all(isinstance(key, str) and _is_json(item, depth + 1) for key, item in value.items())
    return isinstance(value, list | tuple) and all(_is_json(item, depth + 1) for item in value)
