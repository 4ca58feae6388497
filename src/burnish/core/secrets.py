"""Keeping credentials out of everything that Burnish writes: by name, by known value, and inside URLs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

MASK = "***"

_NAME = re.compile(
    r"(^|[_\-.])(api[_-]?key|access[_-]?key|private[_-]?key|secret|secrets|token|passwd|password|credential|credentials"
    r"|auth)($|[_\-.])|passw(or)?d$|_pwd$",
    re.IGNORECASE,
)
_URL_PASSWORD = re.compile(r"(?<=://)([^/\s:@]*):([^/\s@]+)(?=@)")
_SHORTEST_VALUE = 6  # masking every "1" in a log because TOKEN=1 would ruin the log


def is_secret_name(name: str) -> bool:
    """Return whether a field or variable of this name holds a credential.

    >>> is_secret_name("HF_TOKEN"), is_secret_name("max_tokens"), is_secret_name("tracking.wandb.api_key")
    (True, False, True)
    """
    return _NAME.search(name) is not None


@dataclass(frozen=True, slots=True)
class Masker:
    """Replaces credentials in text. Longer values first, so that none is masked in part.

    Attributes:
        values: The credentials themselves.
    """

    values: tuple[str, ...] = field(default=(), repr=False)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str], extra: Sequence[str] = ()) -> Self:
        """Know the values of all credential variables of an environment."""
        found = {v for k, v in environ.items() if is_secret_name(k)} | set(extra)
        return cls(tuple(sorted((v for v in found if len(v) >= _SHORTEST_VALUE), key=len, reverse=True)))

    def text(self, text: str) -> str:
        """Return text with every known credential and URL password replaced."""
        for value in self.values:
            text = text.replace(value, MASK)
        return _URL_PASSWORD.sub(rf"\1:{MASK}", text)

    def command(self, argv: Sequence[str]) -> list[str]:
        """Return a command line with the values of secret flags replaced too."""
        shown: list[str] = []
        hide_next = False
        for word in argv:
            name, equals, _ = word.partition("=")
            if hide_next:
                shown.append(MASK)
            elif equals and is_secret_name(name.lstrip("-")):
                shown.append(f"{name}={MASK}")
            else:
                shown.append(self.text(word))
            hide_next = word.startswith("-") and not equals and is_secret_name(word.lstrip("-"))
        return shown
