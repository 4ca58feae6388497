"""`python -m burnish.experiment.child`: the training process of an experiment, told what to do by its run directory."""

from __future__ import annotations

import json
import os
import sys
import traceback
from pathlib import Path

from burnish.config.layer import Mapping
from burnish.config.schema import validate
from burnish.config.sources.yaml import parse_yaml
from burnish.core.errors import BurnishError, ConfigError
from burnish.core.secrets import Masker
from burnish.experiment.base import Experiment
from burnish.experiment.registry import config_of, load
from burnish.track.run import Run
from burnish.track.start import start_run

SECRETS_VARIABLE = "BURNISH_SECRET_VALUES"


def main() -> int:
    """Train the experiment of the run that the environment names; return the exit code."""
    run = start_run()
    masker = Masker.from_environment(os.environ)
    try:
        experiment = open_experiment(run)
    except BurnishError as error:
        return _failed(run, "setup", error, masker)
    try:
        experiment.run()
    except BaseException as error:  # noqa: BLE001  the wall around the user's own code; it is recorded, then told
        if isinstance(error, SystemExit):
            return _left(run, error)
        return _failed(run, experiment.stage, error, masker)
    run.finish("finished")
    return 0


def open_experiment(run: Run) -> Experiment[object]:
    """Return the experiment that a run directory describes.

    Raises:
        ConfigError: The snapshot does not fit the schema any more.
        ComponentError: A component is gone.
    """
    paths = run.paths
    tree = parse_yaml(paths.config.read_bytes(), str(paths.config))
    assert isinstance(tree, Mapping)
    name = _experiment_name(tree, paths.config)
    checked = validate(config_of("experiments", name), tree, config_of)
    if checked.config is None:
        raise ConfigError(checked.problems)
    experiment = load("experiments", name)(checked.config, run)
    assert isinstance(experiment, Experiment)
    return experiment


def _experiment_name(tree: Mapping, path: Path) -> str:
    from burnish.config.layer import plain

    values = plain(tree)
    assert isinstance(values, dict), json.dumps(values)
    name = values.get("experiment")
    assert isinstance(name, str), f"{path} names no experiment"
    return name


def _left(run: Run, leave: SystemExit) -> int:
    """Account for `sys.exit` somewhere in the user's code."""
    code = leave.code if isinstance(leave.code, int) else int(leave.code is not None)
    run.finish("failed", exit_code=code, error=f"sys.exit({leave.code!r}) before training was finished")
    if isinstance(leave.code, str):
        print(leave.code, file=sys.stderr)
    return code


def _failed(run: Run, stage: str, error: BaseException, masker: Masker) -> int:
    text = masker.text(f"{stage}: {type(error).__name__}: {error}")
    if isinstance(error, BurnishError):
        print(f"error: {masker.text(str(error))}", file=sys.stderr)
        if error.hint:
            print(f"hint: {error.hint}", file=sys.stderr)
    else:
        print(masker.text("".join(traceback.format_exception(error))), file=sys.stderr, end="")
    run.finish("failed", exit_code=1, error=text)
    return 1


if __name__ == "__main__":
    sys.exit(main())
