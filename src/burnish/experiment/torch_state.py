"""State of a torch training as files: modules, optimizers and schedulers, and every random generator."""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

_FILE = "state.pt"
_ARRAY = "__numpy__"


def save_state(folder: Path, objects: Mapping[str, Any]) -> None:
    """Write the state of objects that have a `state_dict`, and of the random generators.

    Raises:
        TypeError: A state holds something else than tensors, arrays, numbers, text, and lists and dictionaries of
            them. Better told at the first save than at the resume that needs it.
    """
    states = {name: _pack(item.state_dict(), name) for name, item in objects.items()}
    torch.save({"objects": states, "random": _random_state()}, folder / _FILE)


def load_state(folder: Path, objects: Mapping[str, Any]) -> None:
    """Bring objects and random generators back to what `save_state` wrote. Tensors only: no code is run.

    Raises:
        KeyError: An object was not saved.
    """
    content = torch.load(folder / _FILE, map_location="cpu", weights_only=True)
    for name, item in objects.items():
        item.load_state_dict(_unpack(content["objects"][name]))
    _restore_random(content["random"])


def preserve_random() -> Any:
    """Return a context in which the random generators of torch may be used without a trace."""
    return torch.random.fork_rng()


def _pack(value: Any, place: str) -> Any:
    """Return a state in terms of what `torch.load(weights_only=True)` reads back."""
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, torch.Tensor | bool | int | float | str):
        return value
    if isinstance(value, np.ndarray):
        return {_ARRAY: torch.from_numpy(np.ascontiguousarray(value))}
    if isinstance(value, dict):
        packed = {key: _pack(item, f"{place}.{key}") for key, item in value.items()}
        # As it is where nothing had to change: a module's state carries versions as an attribute.
        return value if all(packed[key] is item for key, item in value.items()) else packed
    if isinstance(value, list | tuple):
        return type(value)(_pack(item, f"{place}.{number}") for number, item in enumerate(value))
    raise TypeError(f"state {place!r} holds a {type(value).__name__}; use tensors, arrays, numbers and text")


def _unpack(value: Any) -> Any:
    if isinstance(value, dict):
        if value.keys() == {_ARRAY}:
            return value[_ARRAY].numpy()
        unpacked = {key: _unpack(item) for key, item in value.items()}
        return value if all(unpacked[key] is item for key, item in value.items()) else unpacked
    return type(value)(map(_unpack, value)) if isinstance(value, list | tuple) else value


def _random_state() -> dict[str, Any]:
    version, numbers, gauss = random.getstate()
    _, keys, position, has_gauss, cached = np.random.get_state(legacy=True)
    return {
        "python": [version, list(numbers), gauss],
        "numpy": [torch.from_numpy(np.asarray(keys, np.int64)), int(position), int(has_gauss), float(cached)],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def _restore_random(state: dict[str, Any]) -> None:
    version, numbers, gauss = state["python"]
    random.setstate((version, tuple(numbers), gauss))
    keys, position, has_gauss, cached = state["numpy"]
    np.random.set_state(("MT19937", keys.numpy().astype(np.uint32), position, has_gauss, cached))
    torch.set_rng_state(state["torch"])
    if state["cuda"]:
        torch.cuda.set_rng_state_all(state["cuda"])
