"""Times of reading one YAML text: `python parse.py FILE ROUNDS`."""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter_ns

import yaml

from burnish.config.sources.yaml import parse_yaml


def main() -> None:
    """Time each reader in turn, round after round."""
    text = Path(sys.argv[1]).read_text()
    readers: dict[str, Callable[[], object]] = {
        "burnish, with positions": lambda: parse_yaml(text, "file.yaml"),
        "PyYAML CSafeLoader": lambda: yaml.load(text, yaml.CSafeLoader),
    }
    try:
        from ruamel.yaml import YAML
    except ImportError:
        pass
    else:
        readers["ruamel.yaml round trip"] = lambda: YAML(typ="rt").load(text)
    times_ns: dict[str, list[int]] = {name: [] for name in readers}
    for turn in range(1 + int(sys.argv[2])):
        for name, read in readers.items():
            gc.collect()
            start = perf_counter_ns()
            read()
            if turn:
                times_ns[name].append(perf_counter_ns() - start)
    print(json.dumps(times_ns))


if __name__ == "__main__":
    main()
