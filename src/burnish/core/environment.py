"""What environment variables mean: system (recorded), project (paths, credentials), experiment (names and values).

`LLM_` is the prefix unless the project file sets `env_prefix`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from burnish.core.errors import UsageError
from burnish.core.paths import Project

VARIABLES = ("EXPERIMENT_NAME", "RUN_ID", "DEBUG_MODE", "DATA_ROOT", "CHECKPOINT_DIR")
"""What may follow the prefix, besides the path of a config value."""

WEBHOOK_VARIABLE = "BURNISH_WEBHOOK_URL"
"""Where alerts are posted to: a credential, which is never written anywhere."""

Tier = Literal["system", "project", "experiment"]

_SYSTEM = (
    r"(CUDA|CUDNN|CUBLAS|NVIDIA|HIP|ROCR|NCCL|GLOO|UCX|OMP|MKL|OPENBLAS|KMP|PYTORCH|TORCH|TRITON|XLA|JAX)_"
    r"|(ACCELERATE|FSDP|VLLM|SLURM|TOKENIZERS)_"
    r"|(WORLD_SIZE|RANK|LOCAL_RANK|LOCAL_WORLD_SIZE|MASTER_ADDR|MASTER_PORT|PYTHONHASHSEED)$"
)
_PROJECT = r"(WANDB|MLFLOW|HF|HUGGINGFACE|TRANSFORMERS|BURNISH)_"
# What tells a training process which run it is, and config values on their way to it: nothing that a person has set.
_OF_ONE_PROCESS = frozenset({"BURNISH_RUN_DIR", "BURNISH_ATTEMPT", "BURNISH_JOINED", "BURNISH_SECRET_VALUES"})
_RUN_ID = r"[A-Za-z0-9][A-Za-z0-9.-]{0,39}\Z"
_YES, _NO = ("1", "true", "yes"), ("", "0", "false", "no")


def tier_of(name: str, prefix: str) -> Tier | None:
    """Return the tier of a variable, None for one that is none of ours.

    >>> [tier_of(n, "LLM_") for n in ("NCCL_DEBUG", "HF_TOKEN", "LLM_DATA_ROOT", "LLM_TRAINING__LR", "HOME")]
    ['system', 'project', 'project', 'experiment', None]
    """
    if name in _OF_ONE_PROCESS:
        return None
    if name in (f"{prefix}DATA_ROOT", f"{prefix}CHECKPOINT_DIR") or re.match(_PROJECT, name):
        return "project"
    if name.startswith(prefix):
        return "experiment"
    return "system" if re.match(_SYSTEM, name) else None


def experiment_name(environ: Mapping[str, str], prefix: str) -> str:
    """Return what `LLM_EXPERIMENT_NAME` says, for the run's name and group."""
    return environ.get(f"{prefix}EXPERIMENT_NAME", "").strip()


def wanted_run_id(environ: Mapping[str, str], prefix: str) -> str:
    """Return what `LLM_RUN_ID` says, for the last part of the run's name; empty where it says nothing.

    Raises:
        UsageError: It cannot be part of a folder's name.
    """
    name = f"{prefix}RUN_ID"
    wanted = environ.get(name, "").strip()
    if wanted and not re.match(_RUN_ID, wanted):
        hint = "up to 40 letters, digits, dots and hyphens"
        raise UsageError(f"{wanted!r} cannot be the id of a run", origin=f"env {name}", hint=hint)
    return wanted


def is_debug(environ: Mapping[str, str], prefix: str) -> bool:
    """Return whether `LLM_DEBUG_MODE` asks for what `--debug` does.

    Raises:
        UsageError: It says neither yes nor no.
    """
    name = f"{prefix}DEBUG_MODE"
    value = environ.get(name, "").strip().lower()
    if value not in (*_YES, *_NO):
        raise UsageError(
            f"{value!r} is neither yes nor no", origin=f"env {name}", hint="1, true or yes; 0, false or no"
        )
    return value in _YES


def data_root(environ: Mapping[str, str], project: Project) -> tuple[Path, str]:
    """Return the folder that data lies in, and what said so.

    The first that is stated: `LLM_DATA_ROOT`, `data_root` in the project file. Where neither is, the first that
    exists: `data` in the project, `~/data`.

    Raises:
        UsageError: The stated one is no folder, or none exists; every place that was tried is named.
    """
    name = f"{project.env_prefix}DATA_ROOT"
    setting = str(project.settings.get("data_root", ""))
    stated = [(environ.get(name, ""), f"env {name}"), (setting, f"data_root in {project.file}")]
    for text, origin in stated:
        if text:
            folder = (project.root / _expanded(text)).absolute()
            if _exists(folder) and folder.is_dir():
                return folder, origin
            raise UsageError(f"the data root {folder} is no folder", origin=origin, hint=f"mkdir -p {folder}")
    tried = [project.root / "data", Path.home() / "data"]
    found = next((folder for folder in tried if _exists(folder) and folder.is_dir()), None)
    if found is not None:
        return found, "there is such a folder"
    unset = f"{name} (not set), data_root in {project.file or 'burnish.toml'} (not set)"
    places = ", ".join(f"{folder} (no such folder)" for folder in tried)
    raise UsageError(f"no data root; tried {unset}, {places}", hint=f"export {name}=/path/to/data")


def find_data(name: str, environ: Mapping[str, str], project: Project) -> str:
    """Return the path of a file or folder below the data root.

    Raises:
        UsageError: There is no data root, or nothing of that name in it.
    """
    root, origin = data_root(environ, project)
    path = root / name
    if not name or Path(name).is_absolute() or ".." in Path(name).parts:
        raise UsageError(f"${{data:{name}}} is no path below the data root", hint="${data:folder/file.jsonl}")
    if not _exists(path):
        raise UsageError(
            f"no {name} in the data root {root} ({origin})", hint=f"put it there, or set {project.env_prefix}DATA_ROOT"
        )
    return str(path)


def checkpoint_root(environ: Mapping[str, str], prefix: str) -> Path | None:
    """Return where `LLM_CHECKPOINT_DIR` wants checkpoints, None for inside the run directory."""
    text = environ.get(f"{prefix}CHECKPOINT_DIR", "").strip()
    return _expanded(text).absolute() if text else None


def _expanded(text: str) -> Path:
    try:
        return Path(text).expanduser()
    except RuntimeError:  # `~nobody`
        return Path(text)


def _exists(path: Path) -> bool:
    """Return whether there is such a file or folder; of a name that is too long or holds a NUL there is none."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False
