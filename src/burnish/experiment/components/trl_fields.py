"""Which arguments TRL's config classes have, read from the installed source: importing them takes seconds."""

from __future__ import annotations

import ast
import functools
from importlib.util import find_spec
from pathlib import Path

_FILES = {
    "SFTConfig": ("trl", "trainer/sft_config.py"),
    "DPOConfig": ("trl", "trainer/dpo_config.py"),
    "GRPOConfig": ("trl", "trainer/grpo_config.py"),
    "_BaseConfig": ("trl", "trainer/base_config.py"),
    "TrainingArguments": ("transformers", "training_args.py"),
}


@functools.cache
def trl_fields(name: str) -> frozenset[str] | None:
    """Return the field names of a TRL config class; None where TRL's source cannot be read."""
    if name not in _FILES:
        return frozenset()
    package, inside = _FILES[name]
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    try:
        tree = ast.parse((Path(spec.submodule_search_locations[0]) / inside).read_text())
    except (OSError, SyntaxError):
        return None
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            own = {s.target.id for s in node.body if isinstance(s, ast.AnnAssign) and isinstance(s.target, ast.Name)}
            parents = [trl_fields(base.id) for base in node.bases if isinstance(base, ast.Name)]
            if None in parents:
                return None
            return frozenset(own.union(*(parent for parent in parents if parent is not None)))
    return None
