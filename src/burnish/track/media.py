"""What a run keeps beside scalars (pictures, tables, texts, histograms), in the words of its record.

`media` of a `run.json` is `{key: {"kind", "count", "last_step"}}`; of very many keys the rest is one, `…`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

_PLURALS: Final = {
    "image": "images",
    "figure": "figures",
    "attention": "attention",
    "graph": "graphs",
    "table": "tables",
    "text": "texts",
    "histogram": "histograms",
    "other": "others",
}
_MOST_ALIKE: Final = 3
_MOST_NAMED: Final = 12


def kept_by_kind(media: Mapping[str, object]) -> dict[str, list[str]]:
    """Return by kind, in words, what is kept under which key, how often, and when last.

    >>> kept_by_kind({"samples": {"kind": "image", "count": 3, "last_step": 40}})
    {'images': ['samples (3, last at step 40)']}
    """
    found: dict[str, dict[str, Mapping[str, object]]] = {}
    for key, told in media.items():
        if isinstance(told, dict):
            kind = str(told.get("kind", ""))
            found.setdefault(_PLURALS.get(kind, kind), {})[key] = told
    return {kind: list(_told(by_key)) for kind, by_key in sorted(found.items())}


def _told(by_key: Mapping[str, Mapping[str, object]]) -> Iterator[str]:
    groups: dict[str, list[str]] = {}
    for key in sorted(by_key):
        prefix, slash, _ = key.partition("/")
        groups.setdefault(f"{prefix}/*" if slash else key, []).append(key)
    told = [
        text
        for group, keys in groups.items()
        for text in ([f"{group} ({len(keys)} keys)"] if len(keys) > _MOST_ALIKE else [_one(k, by_key[k]) for k in keys])
    ]
    yield from told[:_MOST_NAMED]
    if len(told) > _MOST_NAMED:
        yield f"… and {len(told) - _MOST_NAMED} more"


def _one(key: str, told: Mapping[str, object]) -> str:
    count, step = told.get("count"), told.get("last_step")
    number = [str(count)] if isinstance(count, int) and count != 1 else []
    at = [f"last at step {step}" if number else f"step {step}"] if isinstance(step, int) else []
    about = ", ".join([*number, *at])
    return f"{key} ({about})" if about else key
