"""What lies beside a trainer's log and says how it was trained; `training_args.bin` is not: nothing is unpickled."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from burnish.config.layer import plain
from burnish.config.sources.yaml import parse_yaml
from burnish.core.errors import ConfigError
from burnish.project.importers.json_text import read_object

_JSON: Final = {
    "config.json": "model",
    "adapter_config.json": "adapter",
    "training_args.json": "training_args",
    "args.json": "args",
    "finetuning_args.json": "finetuning_args",
    "generation_config.json": "generation",
}
_YAML: Final = {"training_args.yaml": "training_args", "llamaboard_config.yaml": "llamaboard", "args.yaml": "args"}
_OTHER: Final = "recipe"
_LARGEST: Final = 1 << 20
_MOST_LISTED: Final = 10_000
_DULL: Final = frozenset(
    {"output", "outputs", "out", "results", "result", "runs", "logs", "log", "checkpoints", "save"}
)
"""Names of folders that say nothing of what lies in them."""


def config_beside(folders: Iterable[Path]) -> dict[str, object]:
    """Return the config files of some folders as sections, the first folder's where several have one."""
    found: dict[str, object] = {}
    for folder in folders:
        for name, key in _JSON.items():
            if key not in found and _is_small(folder / name) and (told := read_object(folder / name)):
                found[key] = told
        for name, key in _YAML.items():
            if key not in found and _is_small(folder / name) and (told := _read_yaml(folder / name)):
                found[key] = told
        if _OTHER not in found and (told := _only_recipe(folder)):
            found[_OTHER] = told
    return found


def results_beside(folder: Path) -> dict[str, object]:
    """Return what a trainer wrote down at its end."""
    return read_object(folder / "all_results.json") if _is_small(folder / "all_results.json") else {}


def name_of_folder(folder: Path) -> str:
    """Return what a training is called that wrote to a folder.

    >>> name_of_folder(Path("/home/me/llama-sft/outputs")), name_of_folder(Path("/data/dpo-7b"))
    ('llama-sft', 'dpo-7b')
    """
    while folder.name.lower() in _DULL and folder.parent.name:
        folder = folder.parent
    return folder.name or "imported"


def _only_recipe(folder: Path) -> dict[str, object]:
    """Return the recipe of a folder, where there is one YAML file in it that can be one."""
    try:
        names = [path for path, _ in zip(folder.iterdir(), range(_MOST_LISTED), strict=False)]
    except OSError:
        return {}
    files = [path for path in names if path.suffix in (".yaml", ".yml") and path.name not in _YAML]
    return _read_yaml(files[0]) if len(files) == 1 and _is_small(files[0]) else {}


def _read_yaml(path: Path) -> dict[str, object]:
    try:
        found = plain(parse_yaml(path.read_bytes(), path.name))
    except (ConfigError, OSError, RecursionError):
        return {}
    return dict(found) if isinstance(found, dict) else {}


def _is_small(path: Path) -> bool:
    try:
        return path.is_file() and path.stat().st_size <= _LARGEST
    except OSError:
        return False
