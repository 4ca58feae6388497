"""State of a torch training as files: modules, optimizers and schedulers, and every random generator."""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

_FILE = "state.pt"


def save_state(folder: Path, objects: Mapping[str, Any]) -> None:
    """Write the state of objects that have a `state_dict`, and of the random generators."""
    content = {
        "objects": {name: item.state_dict() for name, item in objects.items()},
        "random": _random_state(),
    }
    torch.save(content, folder / _FILE)


def load_state(folder: Path, objects: Mapping[str, Any]) -> None:
    """Bring objects and random generators back to what `save_state` wrote. Tensors only: no code is run.

    Raises:
        KeyError: An object was not saved.
    """
    content = torch.load(folder / _FILE, map_location="cpu", weights_only=True)
    for name, item in objects.items():
        item.load_state_dict(content["objects"][name])
    _restore_random(content["random"])


def preserve_random() -> Any:
    """Return a context in which the random generators of torch may be used without a trace."""
    return torch.random.fork_rng()


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
