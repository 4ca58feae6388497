"""Keeping credentials out of everything that Burnish writes: by name, by known value, and inside URLs."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self, TextIO

MASK = "***"

_NAME = re.compile(
    r"(^|[_\-.])(api[_-]?key|access[_-]?key|private[_-]?key|secret|secrets|passwd|password|credential|credentials)"
    # `token` and `auth` only where a word ends in them: `max_token_len` and `auth_type` are settings.
    r"($|[_\-.])|(^|[_\-.])(token|auth)($|\.)|passw(or)?d$|_pwd$",
    re.IGNORECASE,
)
# A language model's own tokens are no credentials.
_VOCABULARY = re.compile(
    r"(^|[_\-.])(eos|bos|pad|unk|sep|cls|mask|special|stop|image|decoder_start)_token$", re.IGNORECASE
)
# Whoever knows the address of a webhook may post to it. What else is said of one (`webhook_timeout_s`) is a setting.
_WEBHOOK = re.compile(r"webhook|(^|[_\-.])slack([_\-.]\w+)*[_\-.](url|uri|hook|endpoint)($|[_\-.])", re.IGNORECASE)
_WEBHOOK_SETTING = re.compile(
    r"[_\-.](timeout|retries|attempts|enabled|disabled|events?|levels?|type|kind|mode|format|template|name|port|method"
    r"|interval|every|count|s|ms)$",
    re.IGNORECASE,
)
_LOGIN = re.compile(r"://(?=[^/:]*:(?!\d+/))")  # `host:8080/a@b` is a port and a path
_SHORTEST_URL_TOKEN = 20
# What credentials look like when neither a name nor the environment gives them away, after the text that is looked for
# first: most text has none of them, and searching for a word is a hundred times faster than matching at every place.
_SHAPES = tuple(
    (probe, re.compile(pattern))
    for probe, pattern in (
        ("Bearer ", r"(?<=Bearer )[\w\-.~+/=]{8,}"),
        ("Basic ", r"(?<=Basic )[\w+/=]{8,}"),
        ("sk-", r"sk-(?<!\wsk-)[\w\-]{16,}"),
        ("hf_", r"hf_(?<!\whf_)\w{16,}"),
        ("gh", r"gh[pousr]_(?<!\wgh[pousr]_)\w{16,}"),
        ("github_pat_", r"github_pat_(?<!\wgithub_pat_)\w{16,}"),
        ("AKIA", r"AKIA(?<!\wAKIA)[A-Z0-9]{12,}"),
        ("xox", r"xox[abprs]-(?<!\wxox[abprs]-)[\w\-]{10,}"),
        ("//hooks.slack.com/", r"(?<=//hooks\.slack\.com/)[\w/\-]+"),
        ("/api/webhooks/", r"(?<=/api/webhooks/)[\w/\-]+"),
        (".webhook.office.com/", r"(?<=\.webhook\.office\.com/)[\w/@\-]+"),
    )
)
_ASSIGNED = re.compile(r"""(?<![\w.\-])([\w.\-]++)(["']?\s*[:=]\s*)(["'])([^"'\n]{6,})\3""")
_SHORTEST_VALUE = 6  # masking every "1" in a log because TOKEN=1 would ruin the log


def is_secret_name(name: str) -> bool:
    """Return whether a field or variable of this name holds a credential.

    >>> [is_secret_name(name) for name in ("HF_TOKEN", "PGPASSWORD", "tracking.wandb.api_key")]
    [True, True, True]
    >>> [is_secret_name(name) for name in ("BURNISH_WEBHOOK_URL", "slack_url", "webhook_timeout_s")]
    [True, True, False]
    >>> [is_secret_name(name) for name in ("max_tokens", "eos_token", "PWD")]
    [False, False, False]
    """
    if _WEBHOOK.search(name) is not None and _WEBHOOK_SETTING.search(name) is None:
        return True
    return _NAME.search(name) is not None and _VOCABULARY.search(name) is None


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
        return cls.knowing({v for k, v in environ.items() if is_secret_name(k)} | set(extra))

    @classmethod
    def knowing(cls, values: Iterable[str]) -> Self:
        """Know these values; those too short to tell from other text are left out."""
        return cls(tuple(sorted((v for v in values if len(v) >= _SHORTEST_VALUE), key=len, reverse=True)))

    def text(self, text: str) -> str:
        """Return text with known credentials replaced, and what looks like one: logins in URLs, webhooks, keys."""
        for value in self.values:
            text = text.replace(value, MASK)
        if "://" in text and "@" in text:
            # What stands before each "@" is looked at once: a run's text may be a megabyte of anything.
            *before, rest = text.split("@")
            text = "@".join([*map(_without_login, before), rest])
        found = [match.span() for probe, shape in _SHAPES if probe in text for match in shape.finditer(text)]
        return _without(found, text) if found else text

    def tree(self, value: object, name: str = "", secret: Container[str] = ()) -> Any:
        """Return a value in terms of JSON without credentials: by value, and by the name of a key or section around.

        Args:
            value: Mappings, lists and scalars; anything else becomes text.
            name: The dotted path of the value.
            secret: Paths that are credentials whatever they are called.
        """
        if isinstance(value, Mapping):
            return {str(k): self.tree(v, f"{name}.{k}" if name else str(k), secret) for k, v in value.items()}
        if isinstance(value, list | tuple):
            return [self.tree(item, f"{name}.{number}", secret) for number, item in enumerate(value)]
        if value not in (None, "") and (is_secret_name(name) or name in secret):
            return MASK
        return value if value is None or isinstance(value, bool | int | float) else self.text(str(value))

    def source(self, text: str) -> str:
        """Return program text with, besides, every literal masked that is assigned to a credential's name."""
        return self.text(_ASSIGNED.sub(_mask_assigned, text))

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


class MaskedStream:
    """Writes text with credentials replaced: a log stays, and may be sent to somebody."""

    def __init__(self, stream: TextIO, masker: Masker) -> None:
        self._stream = stream
        self._masker = masker

    def write(self, text: str) -> int:
        """Write a piece of text; a credential that comes in two pieces is not seen."""
        return self._stream.write(self._masker.text(text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def literals_of_secrets(source: str) -> list[str]:
    """Return the literals that program text assigns to names of credentials.

    >>> literals_of_secrets("API_KEY = 'abcdef123'")
    ['abcdef123']
    """
    return [match[4] for match in _ASSIGNED.finditer(source) if is_secret_name(match[1])]


def _without_login(before: str) -> str:
    """Return what stands before an `@` with the password or token masked that it may end in, as a URL has them."""
    if "://" not in before or before[-1].isspace():
        return before
    word = before.rsplit(maxsplit=1)[-1]
    start = len(before) - len(word)
    quote = max(word.rfind("'"), word.rfind('"'))  # a password has none: it would be the end of a string
    for login in _LOGIN.finditer(word):
        colon = word.index(":", login.end())
        if quote < colon < len(word) - 1:
            return f"{before[: start + colon]}:{MASK}"
    begin = word.rfind("://") + 3
    token = word[begin:]
    if begin >= 3 and len(token) >= _SHORTEST_URL_TOKEN and "/" not in token and ":" not in token:
        return before[: start + begin] + MASK
    return before


def _without(spans: Iterable[tuple[int, int]], text: str) -> str:
    """Return text with these parts masked, those that overlap as one."""
    parts: list[str] = []
    done = 0
    for start, end in sorted(spans):
        if start >= done:
            parts += (text[done:start], MASK)
        done = max(done, end)
    return "".join([*parts, text[done:]])


def _mask_assigned(match: re.Match[str]) -> str:
    name, between, quote, _ = match.groups()
    return f"{name}{between}{quote}{MASK}{quote}" if is_secret_name(name) else match[0]
