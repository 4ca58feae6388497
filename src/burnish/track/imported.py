"""What the training process has imported, for the card: names and versions that are loaded already.

It looks and never touches: nothing is imported, no lazy module is woken, CUDA is not initialised.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping

# `__main__`, hooks of editable installs, and what belongs to the interpreter itself.
_NO_PACKAGE = ("__", "_sysconfigdata_", "_distutils_hack", "sitecustomize", "usercustomize")
_LONGEST_VERSION = 100


def imported_modules() -> dict[str, object]:
    """Return the modules outside the standard library that this process has loaded, and torch's CUDA.

    It costs some 0.3 ms with 3,500 modules loaded, and never raises. Of a namespace package (`google`) its parts
    are named (`google.protobuf`), since several distributions share the name.

    Returns:
        `imported`: sorted names; `versions`: of those that say one; `cuda`: versions of `cuda`, `hip`, `cudnn` and
        `nccl` that torch has loaded, empty without torch.
    """
    modules = sys.modules.copy()  # another thread may import meanwhile
    top = [n for n in modules if "." not in n and n not in sys.stdlib_module_names and not n.startswith(_NO_PACKAGE)]
    names: list[str] = []
    versions: dict[str, str] = {}
    for name in top:
        inside = _attributes(modules[name])
        if inside.get("__spec__") is None:  # put there by code (Cython's own, a blocked import), not imported
            continue
        is_namespace = inside.get("__file__") is None and "__path__" in inside
        for part in _parts(name, modules) if is_namespace else (name,):
            names.append(part)
            if version := _version(_attributes(modules[part])):
                versions[part] = version
    return {"imported": sorted(names), "versions": versions, "cuda": _cuda(modules)}


def _parts(namespace: str, modules: Mapping[str, object]) -> list[str]:
    prefix = f"{namespace}."
    return [name for name in modules if name.startswith(prefix) and "." not in name[len(prefix) :]]


def _attributes(module: object) -> Mapping[str, object]:
    """Return what a module holds by now; asking it for an attribute could load it (`importlib.util.LazyLoader`)."""
    try:
        found = object.__getattribute__(module, "__dict__")
    except AttributeError:
        return {}
    return found if isinstance(found, dict) else {}


def _version(inside: Mapping[str, object]) -> str:
    """Return a module's version; transformers and its like keep theirs among the objects of a lazy module."""
    lazy = inside.get("_objects")
    found = inside.get("__version__") or (lazy.get("__version__") if type(lazy) is dict else None)
    return str.__str__(found)[:_LONGEST_VERSION] if isinstance(found, str) else ""


def _cuda(modules: Mapping[str, object]) -> dict[str, str]:
    """Return the versions of the libraries below torch.

    `torch.backends.cudnn.version()` asks for the devices, which initialises CUDA (torch 2.13): the number is taken
    from the binding below it.
    """
    torch = _attributes(modules.get("torch"))
    built_for = _attributes(torch.get("version"))
    found = {name: built_for.get(name) for name in ("cuda", "hip")}
    versions = {name: str.__str__(text) for name, text in found.items() if isinstance(text, str) and text}
    if not versions:
        return {}
    binding = _attributes(torch.get("_C"))
    cudnn = _number(_attributes(binding.get("_cudnn")).get("getVersionInt"))
    if cudnn:  # 8.9.7 is 8907, 9.1.2 is 90102
        major = cudnn // 10_000 or cudnn // 1000
        rest = cudnn - major * (10_000 if cudnn >= 10_000 else 1000)
        versions["cudnn"] = f"{major}.{rest // 100}.{rest % 100}"
    nccl = _number(binding.get("_nccl_version"))
    if nccl:
        versions["nccl"] = f"{nccl >> 32}.{(nccl >> 16) & 0xFFFF}.{nccl & 0xFFFF}"
    return versions


def _number(ask: object) -> int:
    """Return what a function of torch's binding says, 0 where there is none or it fails."""
    if not callable(ask):
        return 0
    try:
        answer = ask()
    except (RuntimeError, OSError):  # what the binding raises where a library does not load
        return 0
    return answer if isinstance(answer, int) else 0
