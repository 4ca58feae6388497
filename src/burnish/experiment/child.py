"""`python -m burnish.experiment.child`: the training process of an experiment, told what to do by its run directory."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Sequence

from burnish.config.check import validate
from burnish.config.layer import Mapping, Scalar, find, replaced
from burnish.config.sources.yaml import parse_yaml
from burnish.core.errors import BurnishError, ConfigError, RunError
from burnish.core.files import read_json
from burnish.core.secrets import Masker
from burnish.core.shape import words
from burnish.experiment.base import Experiment
from burnish.experiment.config import SECRETS_VARIABLE
from burnish.experiment.registry import config_of, load
from burnish.track.run import Run
from burnish.track.start import start_run


def main() -> int:
    """Train the experiment of the run that the environment names; return the exit code."""
    run = start_run()
    experiment: Experiment[object] | None = None
    secrets = json.loads(os.environ.pop(SECRETS_VARIABLE, "{}"))
    try:
        experiment = open_experiment(run, secrets)
        experiment.run()
    except SystemExit as leave:
        return _left(run, leave)
    except BaseException as error:  # noqa: BLE001  the wall around the user's own code; it is recorded, then told
        masker = Masker.from_environment(os.environ, [str(value) for value in secrets.values()])
        return _failed(run, experiment.stage if experiment else "setup", error, masker)
    run.finish("finished")
    return 0


def open_experiment(run: Run, secrets: dict[str, None | bool | int | float | str]) -> Experiment[object]:
    """Return the experiment that a run directory describes.

    Args:
        run: The run.
        secrets: Values that are masked on disk, by path.

    Raises:
        ConfigError: The snapshot does not fit the schema any more.
        ComponentError: A component is gone.
        RunError: A value was a credential, which is not kept on disk and was not handed over.
    """
    path = run.paths.config
    tree = parse_yaml(path.read_bytes(), str(path))
    assert isinstance(tree, Mapping)
    masked = words(read_json(run.paths.origins), "masked")
    tree = _with_secrets(tree, masked, secrets)
    name = find(tree, "experiment")
    assert isinstance(name, Scalar), f"{path} names no experiment"
    checked = validate(config_of("experiments", str(name.value)), tree, config_of)
    if checked.config is None:
        raise ConfigError(checked.problems)
    experiment = load("experiments", str(name.value))(checked.config, run)
    assert isinstance(experiment, Experiment)
    return experiment


def _with_secrets(tree: Mapping, masked: Sequence[str], secrets: dict[str, None | bool | int | float | str]) -> Mapping:
    """Return the tree with each masked value as it was; never trains on the mask."""
    for path in masked:
        node = find(tree, path)
        if path not in secrets or node is None:
            raise RunError(
                f"{path} was a credential, which is not kept on disk",
                hint="start the run anew, with the value in the environment: ${env:NAME}",
            )
        tree = replaced(tree, path.split("."), Scalar(secrets[path], node.origin))
    return tree


def _left(run: Run, leave: SystemExit) -> int:
    """Account for `sys.exit` somewhere in the user's code."""
    code = leave.code if isinstance(leave.code, int) else int(leave.code is not None)
    run.finish("failed", exit_code=code, error=f"sys.exit({leave.code!r}) before training was finished")
    if isinstance(leave.code, str):
        print(leave.code, file=sys.stderr)
    return code


def _failed(run: Run, stage: str, error: BaseException, masker: Masker) -> int:
    if isinstance(error, BurnishError):
        print(f"error: {masker.text(str(error))}", file=sys.stderr)
        if error.hint and not isinstance(error, ConfigError):  # which holds the hint of each of its problems
            print(f"hint: {error.hint}", file=sys.stderr)
    else:
        print(masker.text("".join(traceback.format_exception(error))), file=sys.stderr, end="")
    run.finish("failed", exit_code=1, error=masker.text(f"{stage}: {type(error).__name__}: {error}"))
    return 1


if __name__ == "__main__":
    sys.exit(main())
