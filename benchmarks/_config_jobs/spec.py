"""The 125-value job: its fields, what three files, three variables and five flags set, and what must come out.

`write_job` writes the files and the config classes that each library's job reads, all from one table.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeAlias

Value: TypeAlias = "bool | int | float | str | list[str] | list[int]"
Tree: TypeAlias = "dict[str, Value | Tree]"

CHOICES = {"optimizer.name": ("adamw", "lion", "sgd", "muon"), "scheduler.kind": ("cosine", "linear", "constant")}

# positive: > 0; share: 0 to 1; choice: one of CHOICES. The value is the schema's default.
FIELDS: Mapping[str, Mapping[str, tuple[str, Value]]] = {
    "": {
        "experiment": ("str", "sft"),
        "name": ("str", "baseline"),
        "seed": ("int", 7),
        "tags": ("list[str]", ["first", "second"]),
        "notes": ("str", "what this run is for"),
    },
    "model": {
        "path": ("str", "models/small-1b"),
        "revision": ("str", "main"),
        "layers": ("positive int", 24),
        "hidden_size": ("positive int", 2048),
        "heads": ("positive int", 16),
        "kv_heads": ("positive int", 8),
        "context_length": ("positive int", 4096),
        "dropout": ("share", 0.1),
        "attention_dropout": ("share", 0.05),
        "tie_embeddings": ("bool", True),
        "trust_remote_code": ("bool", False),
        "attention": ("str", "flash"),
        "rope_theta": ("positive float", 10000.5),
        "torch_dtype": ("str", "bfloat16"),
        "vocabulary_size": ("positive int", 32000),
    },
    "lora": {
        "enabled": ("bool", True),
        "rank": ("positive int", 16),
        "alpha": ("positive float", 32.5),
        "dropout": ("share", 0.02),
        "target_modules": ("list[str]", ["q_proj", "v_proj"]),
        "use_rslora": ("bool", False),
        "use_dora": ("bool", False),
        "bias": ("str", "none"),
    },
    "data": {
        "path": ("str", "data/train.jsonl"),
        "eval_path": ("str", "data/eval.jsonl"),
        "max_samples": ("positive int", 100000),
        "max_length": ("positive int", 2048),
        "num_workers": ("positive int", 4),
        "shuffle": ("bool", True),
        "shuffle_seed": ("int", 11),
        "packing": ("bool", False),
        "streaming": ("bool", False),
        "eval_share": ("share", 0.01),
        "mixture_sizes": ("list[int]", [100, 200, 300]),
        "columns": ("list[str]", ["prompt", "completion"]),
        "chat_template": ("str", "chatml"),
        "pad_side": ("str", "left"),
        "drop_last": ("bool", True),
        "prefetch": ("positive int", 2),
    },
    "training": {
        "learning_rate": ("positive float", 0.0001),
        "batch_size": ("positive int", 8),
        "gradient_accumulation": ("positive int", 4),
        "max_steps": ("positive int", 1000),
        "epochs": ("positive float", 1.5),
        "warmup_steps": ("positive int", 50),
        "max_grad_norm": ("positive float", 1.25),
        "gradient_checkpointing": ("bool", False),
        "bf16": ("bool", True),
        "tf32": ("bool", True),
        "compile": ("bool", False),
        "device": ("str", "auto"),
        "eval_every": ("positive int", 100),
        "eval_batch_size": ("positive int", 16),
        "log_every": ("positive int", 10),
        "label_smoothing": ("share", 0.03),
        "neftune_alpha": ("positive float", 5.5),
        "group_by_length": ("bool", False),
        "deterministic": ("bool", False),
        "metric_for_best": ("str", "eval_loss"),
    },
    "optimizer": {
        "name": ("choice", "adamw"),
        "weight_decay": ("share", 0.01),
        "beta1": ("share", 0.91),
        "beta2": ("share", 0.95),
        "epsilon": ("positive float", 1e-08),
        "fused": ("bool", True),
        "amsgrad": ("bool", False),
        "momentum": ("share", 0.45),
        "clip_value": ("positive float", 2.5),
        "no_decay": ("list[str]", ["bias", "norm"]),
    },
    "scheduler": {
        "kind": ("choice", "cosine"),
        "warmup_share": ("share", 0.03),
        "min_ratio": ("share", 0.04),
        "cycles": ("positive float", 0.5),
        "decay_steps": ("positive int", 900),
        "power": ("positive float", 1.5),
        "milestones": ("list[int]", [300, 600]),
        "last_step": ("int", -1),
    },
    "preference": {
        "beta": ("positive float", 0.25),
        "loss": ("str", "sigmoid"),
        "label_smoothing": ("share", 0.02),
        "reference_free": ("bool", False),
        "max_prompt_length": ("positive int", 512),
        "max_completion_length": ("positive int", 1024),
        "sync_reference": ("bool", False),
        "sync_every": ("positive int", 64),
    },
    "generation": {
        "temperature": ("positive float", 0.75),
        "top_p": ("share", 0.45),
        "top_k": ("positive int", 50),
        "max_new_tokens": ("positive int", 256),
        "repetition_penalty": ("positive float", 1.05),
        "stop": ("list[str]", ["</s>", "END"]),
        "samples": ("positive int", 8),
        "greedy": ("bool", False),
    },
    "checkpoint": {
        "folder": ("str", "checkpoints"),
        "every_steps": ("positive int", 200),
        "keep_last": ("positive int", 2),
        "keep_best": ("positive int", 1),
        "save_optimizer": ("bool", True),
        "safetensors": ("bool", True),
        "resume": ("bool", False),
        "timeout_s": ("positive float", 600.5),
    },
    "logging": {
        "project": ("str", "post-training"),
        "level": ("str", "info"),
        "every_steps": ("positive int", 5),
        "system_metrics": ("bool", True),
        "interval_s": ("positive float", 10.5),
        "sinks": ("list[str]", ["console", "journal"]),
        "offline": ("bool", False),
    },
    "distributed": {
        "backend": ("str", "nccl"),
        "strategy": ("str", "fsdp"),
        "world_size": ("positive int", 8),
        "timeout_s": ("positive float", 1800.5),
        "find_unused": ("bool", False),
        "bucket_mb": ("positive int", 25),
        "cpu_offload": ("bool", False),
    },
    "distributed.fsdp": {
        "sharding": ("str", "full"),
        "wrap_layers": ("list[str]", ["DecoderLayer"]),
        "forward_prefetch": ("bool", False),
        "backward_prefetch": ("str", "pre"),
        "min_parameters": ("positive int", 100000000),
    },
}

EXTENDS = {"base": "extends: default.yaml\n", "experiment": "extends: base.yaml\n"}
ENVIRON = {
    "LLM_TRAINING__LEARNING_RATE": "3e-5",
    "LLM_DATA__NUM_WORKERS": "6",
    "LLM_LOGGING__PROJECT": "night-shift",
}
FROM_ENVIRON: Mapping[str, Value] = {
    "training.learning_rate": 3e-5,
    "data.num_workers": 6,
    "logging.project": "night-shift",
}
FLAGS: Mapping[str, tuple[str, Value]] = {
    "training.batch_size": ("24", 24),
    "training.gradient_checkpointing": ("true", True),
    "optimizer.weight_decay": ("0.125", 0.125),
    "data.columns": ("[question,answer]", ["question", "answer"]),
    "scheduler.kind": ("constant", "constant"),
}


def leaves() -> Iterator[tuple[str, str, Value]]:
    """Yield path, kind and default of each of the 125 values."""
    for section, fields in FIELDS.items():
        for name, (kind, default) in fields.items():
            yield f"{section}.{name}" if section else name, kind, default


def flags(style: str) -> list[str]:
    """Return the five flags: `dashes` gives --a.b=VALUE with JSON lists, `plain` a.b=VALUE."""
    if style == "plain":
        return [f"{path}={text}" for path, (text, _) in FLAGS.items()]
    words = {path: json.dumps(value) if isinstance(value, list) else text for path, (text, value) in FLAGS.items()}
    return [f"--{path}={text}" for path, text in words.items()]


def files() -> list[Tree]:
    """Return what default, base and experiment file set: every second, third and fifth value."""
    trees: list[Tree] = []
    for number, each in enumerate((2, 3, 5), start=1):
        tree: Tree = {}
        for index, (path, kind, default) in enumerate(leaves()):
            if index % each == 0:
                put(tree, path, default if path == "experiment" else changed(path, kind, default, number))
        trees.append(tree)
    return trees


def expected() -> Tree:
    """Return the 125 values that every library must end with."""
    tree: Tree = {}
    for path, _, default in leaves():
        put(tree, path, default)
    for layer in files():
        for path, value in flat(layer):
            put(tree, path, value)
    for path, value in (*FROM_ENVIRON.items(), *((path, value) for path, (_, value) in FLAGS.items())):
        put(tree, path, value)
    return tree


def changed(path: str, kind: str, default: Value, number: int) -> Value:
    """Return another valid value for the file of a number, so that each file shows in the result."""
    if isinstance(default, bool):
        return default if number % 2 == 0 else not default
    if isinstance(default, int):
        return default + number
    if isinstance(default, float):
        return default / (1 << number)
    if isinstance(default, list):
        return default[::-1] if number % 2 else default
    return CHOICES[path][number % len(CHOICES[path])] if kind == "choice" else f"{default}-{number}"


def put(tree: Tree, path: str, value: Value) -> None:
    """Set a value at a dotted path."""
    *sections, name = path.split(".")
    for section in sections:
        inner = tree.setdefault(section, {})
        assert isinstance(inner, dict)
        tree = inner
    tree[name] = value


def flat(tree: Tree, prefix: str = "") -> Iterator[tuple[str, Value]]:
    """Yield path and value of each leaf."""
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def yaml_of(tree: Tree, depth: int = 0) -> str:
    """Return YAML as people write it: block style, plain words, `2e-05` without a point."""
    lines = []
    for key, value in tree.items():
        margin = "  " * depth
        if isinstance(value, dict):
            lines.append(f"{margin}{key}:\n{yaml_of(value, depth + 1)}")
        else:
            lines.append(f"{margin}{key}: {_scalar(value)}\n")
    return "".join(lines)


def _scalar(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return json.dumps(value)
    return str(value)


def write_job(base: Path) -> None:
    """Write the files of the job, and the config classes as modules beside them."""
    layers = dict(zip(("default", "base", "experiment"), files(), strict=True))
    for folder in ("plain", "burnish", "hydra"):
        (base / folder).mkdir(parents=True)
    for name, tree in layers.items():
        (base / "plain" / f"{name}.yaml").write_text(yaml_of(tree))
        (base / "burnish" / f"{name}.yaml").write_text(EXTENDS.get(name, "") + yaml_of(tree))
        (base / "hydra" / f"{name}.yaml").write_text(_hydra_head(name) + yaml_of(_hydra_environ(name, tree)))
    (base / "burnish" / "burnish.toml").write_text("")
    (base / "schema_omegaconf.py").write_text(_omegaconf_module())
    (base / "schema_jsonargparse.py").write_text(_jsonargparse_module())
    (base / "schema_pydantic.py").write_text(_pydantic_module("YamlSettings", "BaseModel"))
    (base / "schema_burnish.py").write_text(_pydantic_module("Config", "Config"))


def _hydra_head(name: str) -> str:
    if name != "experiment":
        return ""
    # Hydra at its shortest: no folder for the run, no log file.
    lean = "hydra:\n  output_subdir: null\n  run:\n    dir: .\n"
    names = (
        "schema",
        "default",
        "base",
        "_self_",
        "override hydra/job_logging: none",
        "override hydra/hydra_logging: none",
    )
    return "defaults:\n" + "".join(f"  - {name}\n" for name in names) + lean


def _hydra_environ(name: str, tree: Tree) -> Tree:
    """Hydra has no environment layer: its users write the variable into the file, where the last file has it win."""
    if name != "experiment":
        return tree
    copy: Tree = json.loads(json.dumps(tree))
    below: Tree = {}
    for layer in files():
        for path, value in flat(layer):
            put(below, path, value)
    fallback = {path: default for path, _, default in leaves()} | dict(flat(below))
    for variable, path in zip(ENVIRON, FROM_ENVIRON, strict=True):
        put(copy, path, f"${{oc.decode:${{oc.env:{variable},{fallback[path]}}}}}")
    return copy


def _classes() -> list[tuple[str, str, str, list[tuple[str, str]]]]:
    """Return path, name, doc and inner sections of each config class, the innermost first."""
    names = {path: "".join(part.title() for part in path.split(".")) if path else "Schema" for path in FIELDS}
    inner = {
        path: [(other.rpartition(".")[2], name) for other, name in names.items() if _parent(other) == path]
        for path in FIELDS
    }
    deepest_first = sorted(FIELDS, key=lambda path: -len(path.split(".")) if path else 0)
    return [(path, names[path], f"Settings of {path or 'all'}.", inner[path]) for path in deepest_first]


def _parent(path: str) -> str | None:
    return path.rpartition(".")[0] if path else None


def _choice_types() -> dict[str, str]:
    return {path: "".join(part.title() for part in path.split(".")) for path in CHOICES}


def _omegaconf_module() -> str:
    """OmegaConf knows neither ranges nor Literal: enums for choices, and what its users write for ranges."""
    lines = ["from dataclasses import dataclass, field", "from enum import Enum", ""]
    for path, name in _choice_types().items():
        lines += ["", f"class {name}(Enum):", *(f"    {choice} = {choice!r}" for choice in CHOICES[path]), ""]
    for section, name, doc, inner in _classes():
        lines += ["", "@dataclass", f"class {name}:", f'    """{doc}"""']
        checks = []
        for field, (kind, default) in FIELDS[section].items():
            value = f"field(default_factory=lambda: {default!r})" if isinstance(default, list) else repr(default)
            annotation = kind.split()[-1]
            if kind == "choice":
                annotation = _choice_types()[f"{section}.{field}"]
                value = f"{annotation}.{default}"
            lines.append(f"    {field}: {annotation.replace('share', 'float')} = {value}")
            if kind.startswith("positive"):
                checks += [f"        if not self.{field} > 0:", f"            raise ValueError('{field} must be > 0')"]
            if kind == "share":
                checks += [
                    f"        if not 0 <= self.{field} <= 1:",
                    f"            raise ValueError('{field} in [0, 1]')",
                ]
        lines += [f"    {own}: {cls} = field(default_factory={cls})" for own, cls in inner]
        if checks:
            lines += ["    def __post_init__(self):", *checks]
    return "\n".join(lines) + "\n"


def _jsonargparse_module() -> str:
    """Dataclasses with jsonargparse's own restricted types, which cost less than pydantic's."""
    kinds = {"positive int": "PositiveInt", "positive float": "PositiveFloat", "share": "ClosedUnitInterval"}
    lines = [
        "from dataclasses import dataclass, field",
        "from typing import Literal",
        "from jsonargparse.typing import ClosedUnitInterval, PositiveFloat, PositiveInt",
    ]
    for section, name, doc, inner in _classes():
        lines += ["", "@dataclass", f"class {name}:", f'    """{doc}"""']
        for field, (kind, default) in FIELDS[section].items():
            value = f"field(default_factory=lambda: {default!r})" if isinstance(default, list) else repr(default)
            annotation = f"Literal{list(CHOICES[f'{section}.{field}'])}" if kind == "choice" else kinds.get(kind, kind)
            lines.append(f"    {field}: {annotation} = {value}")
        lines += [f"    {own}: {cls} = field(default_factory={cls})" for own, cls in inner]
    return "\n".join(lines) + "\n"


def _pydantic_module(top: str, section_base: str) -> str:
    """Pydantic models, for Burnish and for pydantic-settings; in both an unknown key is a mistake."""
    modules = {"Config": "burnish.config", "YamlSettings": "yaml_settings", "BaseModel": "pydantic"}
    kinds = {"positive int": "PositiveInt", "positive float": "PositiveFloat", "share": "Share"}
    lines = [
        "from typing import Annotated, Literal",
        "from pydantic import Field, PositiveFloat, PositiveInt",
        *(f"from {modules[base]} import {base}" for base in dict.fromkeys((top, section_base))),
        "Share = Annotated[float, Field(ge=0, le=1)]",
    ]
    for section, name, doc, inner in _classes():
        base = section_base if section else top
        lines += ["", f"class {name}({base}):" if base != "BaseModel" else f"class {name}(BaseModel, extra='forbid'):"]
        lines += [f'    """{doc}"""']
        for field, (kind, default) in FIELDS[section].items():
            annotation = f"Literal{list(CHOICES[f'{section}.{field}'])}" if kind == "choice" else kinds.get(kind, kind)
            lines.append(f"    {field}: {annotation} = {default!r}")
        lines += [f"    {own}: {cls} = {cls}()" for own, cls in inner]
    return "\n".join(lines) + "\n"
