"""The name that someone meant: for errors that end in "did you mean"."""

from __future__ import annotations

from collections.abc import Iterable


def nearest(word: str, choices: Iterable[str]) -> str | None:
    """Return the choice that a misspelt or abbreviated word most likely stands for, None if none is near.

    >>> nearest("lr", ["learning_rate", "max_steps"]), nearest("trainng", ["training", "model"])
    ('learning_rate', 'training')
    """
    import difflib  # an error path: every start would pay for it

    names = sorted(set(choices))
    folded = {_fold(name): name for name in names}
    key = _fold(word)
    if key in folded:
        return folded[key]
    initials = [name for name in names if _initials(name) == key and len(key) > 1]
    if len(initials) == 1:
        return initials[0]
    close = difflib.get_close_matches(key, list(folded), n=1, cutoff=0.6)
    if close:
        return folded[close[0]]
    within = [name for name in names if len(key) > 2 and key in _fold(name)]
    return min(within, key=len) if within else None


def nearest_path(path: str, choices: Iterable[str]) -> str | None:
    """Return the dotted path that a misspelt one stands for, mending one segment at a time.

    >>> nearest_path("trainng.lr", ["training.learning_rate", "training.max_steps", "model.name"])
    'training.learning_rate'
    """
    known = list(choices)
    mended: list[str] = []
    for segment in path.split("."):
        depth = len(mended)
        here = [k.split(".") for k in known]
        options = {k[depth] for k in here if len(k) > depth and k[:depth] == mended}
        best = segment if segment in options else nearest(segment, options)
        if best is None:
            break
        mended.append(best)
    found = ".".join(mended)
    if len(mended) == len(path.split(".")) and found in {*known, *_prefixes(known)}:
        return found
    last = path.rsplit(".", 1)[-1]
    same_leaf = [k for k in known if k.rsplit(".", 1)[-1] == last]
    return min(same_leaf, key=len) if same_leaf else nearest(path, known)


def _fold(name: str) -> str:
    return name.lower().replace("-", "_")


def _initials(name: str) -> str:
    return "".join(part[0] for part in _fold(name).split("_") if part)


def _prefixes(paths: Iterable[str]) -> set[str]:
    return {path.rsplit(".", n)[0] for path in paths for n in range(1, path.count(".") + 1)}
