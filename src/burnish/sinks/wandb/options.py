"""What the W&B sink can be told, checked before anything is begun."""

from __future__ import annotations

import os
from collections.abc import Mapping

from burnish.sinks.base import Refused
from burnish.sinks.wandb.description import FORBIDDEN, LONGEST_PROJECT
from burnish.track.shipping import WandbOptions


def read_options(given: Mapping[str, object], environ: Mapping[str, str] = os.environ) -> WandbOptions:
    """Return the options, with what the environment says where they say nothing.

    Raises:
        Refused: One of them cannot be.
    """
    mode, tags, artifacts = given.get("mode", "offline"), given.get("tags", ()), given.get("artifacts", True)
    if mode not in ("offline", "online"):
        raise Refused(f"mode: wandb ships 'offline' or 'online', not {mode!r}")
    if isinstance(tags, str) or not isinstance(tags, list | tuple) or not all(isinstance(t, str) for t in tags):
        raise Refused(f"tags: a list of config keys is wanted, such as [model.name], not {tags!r}")
    if not isinstance(artifacts, bool):
        raise Refused(f"artifacts: true or false is wanted, not {artifacts!r}")
    texts = {}
    for name, variable in (("project", "WANDB_PROJECT"), ("entity", "WANDB_ENTITY"), ("folder", "")):
        value = given.get(name) or environ.get(variable, "")
        if not isinstance(value, str):
            raise Refused(f"{name}: text is wanted, not {value!r}")
        texts[name] = value
    project = texts["project"]
    if wrong := sorted(set(FORBIDDEN) & set(project)):
        raise Refused(f"project: W&B takes no {' '.join(wrong)} in {project!r}; choose another name")
    if len(project) > LONGEST_PROJECT:
        raise Refused(f"project: W&B takes at most {LONGEST_PROJECT} characters; {project[:20]!r}… has {len(project)}")
    return WandbOptions(
        mode=str(mode),
        project=project,
        entity=texts["entity"],
        tags=tuple(tags),
        folder=texts["folder"],
        artifacts=artifacts,
    )
