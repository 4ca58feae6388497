"""What an experiment card says of the machine, the packages and the environment, as Markdown."""

from __future__ import annotations

from collections.abc import Mapping

from burnish.core.shape import items, section, words
from burnish.track.markdown import cell, code, more, size, table, text

_FIRST_PACKAGES = (
    "torch",
    "transformers",
    "trl",
    "peft",
    "datasets",
    "accelerate",
    "numpy",
    "vllm",
    "deepspeed",
    "bitsandbytes",
    "flash-attn",
    "tokenizers",
    "safetensors",
    "jax",
    "flax",
    "tensorflow",
    "lightning",
    "scikit-learn",
    "pandas",
    "polars",
)
_MOST_VARIABLES = 40
_MOST_LINES = 20

Facts = Mapping[str, object]


def machine(card: Facts) -> list[str]:
    """Return where a run trained."""
    system, reported = section(card, "system"), section(card, "reported")
    python = text(reported.get("python", system.get("python")))
    disk = section(system, "disk")
    free = f", {size(disk['free_bytes'])} free of {size(disk['total_bytes'])} disk" if disk else ""
    lines = [
        f"- {text(system.get('host'))}, user {text(system.get('user'))}, {text(system.get('platform'))}",
        f"- {_cpus(system)}, {size(system.get('memory_bytes'))} memory{free}",
        f"- Python {python}, `{code(reported.get('executable', system.get('executable')))}`",
    ]
    if cuda := section(reported, "cuda"):
        lines.append(f"- torch runs on {', '.join(f'{text(name)} {text(value)}' for name, value in cuda.items())}")
    gpus = [gpu for gpu in items(system, "gpus") if isinstance(gpu, dict)]
    if not gpus:
        return [*lines, f"- no GPU ({text(system.get('gpu_note'))})"]
    driver = f"- NVIDIA driver {text(gpus[0].get('driver'))}"
    if gpus[0].get("cuda"):
        driver += f", which runs CUDA up to {gpus[0]['cuda']}"
    rows = [_gpu(gpu) for gpu in gpus]
    return [*lines, driver, "", *table(["GPU", "name", "memory", "capability", "power limit", "UUID"], rows)]


def _cpus(system: Facts) -> str:
    cores = f", {system['cpu_cores']} cores" if system.get("cpu_cores") else ""
    return f"{system.get('cpus')} CPUs ({text(system.get('cpu'))}{cores})"


def _gpu(gpu: Facts) -> list[str]:
    capability = ".".join(map(str, items(gpu, "compute_capability"))) or "?"
    limit = gpu.get("power_limit_w")
    power = f"{limit:.0f} W" if isinstance(limit, int | float) else "?"
    name = f"{gpu.get('name')}{', MIG' if gpu.get('mig') else ''}"
    return [
        str(gpu.get("index")),
        cell(name),
        size(gpu.get("memory_bytes")),
        capability,
        power,
        cell(gpu.get("uuid")),
    ]


def packages(card: Facts) -> list[str]:
    """Return what it imported, and what the project declares."""
    imported, declared = section(card, "imported"), items(card, "declared")
    lines: list[str] = []
    if imported:
        by_name = {name.lower().replace("_", "-"): name for name in imported}
        first = [by_name[name] for name in _FIRST_PACKAGES if name in by_name][:10] or list(imported)[:10]
        left = len(imported) - len(first)
        told = ", ".join(f"{text(name)} {text(imported[name])}" for name in first)
        lines.append(f"- imported: {told}{f', and {left} more' if left else ''}")
    else:
        lines.append("- imported: not known")
    if own := words(card, "own_modules"):
        lines.append(
            f"- own modules: {', '.join(map(text, own[:_MOST_LINES]))}{', …' if len(own) > _MOST_LINES else ''}"
        )
    files = sorted({str(one.get("file")) for one in declared if isinstance(one, dict)})
    lines.append(f"- declared: {len(declared)} in {', '.join(map(text, files))}" if declared else "- declared: none")
    locks = section(card, "locked")
    lines += [f"- locked: {len(section(locks, name))} in {text(name)}" for name in locks]
    return [*lines, f"- installed: {len(section(card, 'packages'))}, see `card.json`"]


def environment(variables: Facts) -> list[str]:
    """Return the variables that were recorded."""
    lines = [f"- `{code(name)}={code(value)}`" for name, value in variables.items()]
    return lines[:_MOST_VARIABLES] + more(len(lines) - _MOST_VARIABLES)
