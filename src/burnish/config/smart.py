"""Smart defaults, all in one place: what is chosen where the run starts, and why.

| field marked with | where nobody wrote a value, or `auto` | becomes |
|---|---|---|
| `Smart("device")` | `auto` | `cuda` where the driver shows a GPU, else `cpu` |
| `Smart("bf16")` | `auto` | true on GPUs that compute in bfloat16 |
| `Smart("dtype")` | `auto` | `bfloat16` on such GPUs, else `float32` |
| `Smart("local_rank")` | `auto` | the launcher's: LOCAL_RANK, SLURM_LOCALID, else 0 |
| `Smart("world_size")` | `auto` | the launcher's: WORLD_SIZE, SLURM_NTASKS, else 1 |
| `Smart("batch")`, `Smart("accumulation")` | nothing written for either | half the batch and twice the accumulation \
where `gradient_checkpointing` beside them is on |

Checkpointing activations is what one does when memory is short, so the batch is lowered with it; twice the
accumulation keeps the effective batch size. What somebody wrote is never changed.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping as Environ
from dataclasses import dataclass, field

from burnish.config.fields import SmartKind
from burnish.config.layer import AUTO, Plain
from burnish.config.origin import Origin
from burnish.core.hardware import Machine

_RANKS = ("LOCAL_RANK", "SLURM_LOCALID", "OMPI_COMM_WORLD_LOCAL_RANK")
_SIZES = ("WORLD_SIZE", "SLURM_NTASKS", "OMPI_COMM_WORLD_SIZE")


@dataclass(slots=True)
class Choices:
    """What was chosen, by path, and what whoever starts the run should be told."""

    values: dict[str, tuple[Plain, Origin]] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def choose(
    smart: Environ[str, SmartKind],
    value: Callable[[str], Plain],
    written: Callable[[str], bool],
    machine: Machine,
    environ: Environ[str, str],
) -> Choices:
    """Choose the values that depend on where the run starts.

    Args:
        smart: The fields that are marked, by path.
        value: The value at a path as it stands; None where there is none.
        written: Whether somebody wrote a value at a path.
        machine: The hardware.
        environ: The environment of the launcher.
    """
    choices = Choices()
    device = next((str(v) for p, k in smart.items() if k == "device" and (v := value(p)) != AUTO), machine.device)
    has_bf16 = device.startswith("cuda") and machine.has_bf16
    here = Origin("machine", machine.summary)
    for path, kind in smart.items():
        if kind in ("batch", "accumulation") or value(path) != AUTO:
            continue
        if kind == "device":
            choices.values[path] = device, here
        elif kind == "bf16":
            choices.values[path] = has_bf16, here
        elif kind == "dtype":
            choices.values[path] = "bfloat16" if has_bf16 else "float32", here
        else:
            names, otherwise = (_RANKS, 0) if kind == "local_rank" else (_SIZES, 1)
            choices.values[path] = _from_launcher(environ, names, otherwise)
    for path, kind in smart.items():
        if kind == "batch":
            _lower(path, smart, value, written, choices)
    return choices


def switch_of(path: str) -> str:
    """Return what lowers a batch: the switch beside it."""
    section = path.rpartition(".")[0]
    return f"{section}.gradient_checkpointing" if section else "gradient_checkpointing"


def _from_launcher(environ: Environ[str, str], names: tuple[str, ...], otherwise: int) -> tuple[int, Origin]:
    for name in names:
        text = environ.get(name, "")
        if text.isdecimal() and text.isascii() and int(text) >= (names is _SIZES):
            return int(text), Origin("machine", f"{name}={text}")
        if text:
            return otherwise, Origin("machine", f"{name}={text!r} is no such number")
    return otherwise, Origin("machine", f"no launcher ({' or '.join(names[:2])} not set)")


def _lower(
    path: str,
    smart: Environ[str, SmartKind],
    value: Callable[[str], Plain],
    written: Callable[[str], bool],
    choices: Choices,
) -> None:
    section, switch = path.rpartition(".")[0], switch_of(path)
    steps = next((p for p, k in smart.items() if k == "accumulation" and p.rpartition(".")[0] == section), "")
    batch, accumulation = value(path), value(steps) if steps else None
    if value(switch) is not True or not isinstance(batch, int) or not isinstance(accumulation, int):
        return
    if written(path) or written(steps) or batch < 2 or batch % 2:
        return
    why = Origin("machine", f"{switch} is on, so memory is short")
    choices.values[path] = batch // 2, why
    choices.values[steps] = accumulation * 2, why
    choices.warnings.append(
        f"{switch} is on: {path} is {batch // 2}, not {batch}, and {steps} {accumulation * 2}, not {accumulation}; "
        f"the effective batch size is the same (set {path} to choose yourself)"
    )
