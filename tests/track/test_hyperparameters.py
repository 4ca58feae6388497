import json

import pytest

from burnish.core.paths import RunPaths
from burnish.track.hyperparameters import written_values


@pytest.fixture
def paths(tmp_path):
    return RunPaths(tmp_path)


def test_of_a_script_all_values_are_told_by_path(paths):
    config = {"lr": 0.1, "layers": [1, 2], "opt": {"name": "adam", "beta": None, "rest": {}}, "empty": "", "on": True}
    paths.config.write_text(json.dumps(config))
    assert written_values(paths) == {
        "lr": "0.1",
        "layers": "[1, 2]",
        "opt.name": "adam",
        "opt.beta": "null",
        "opt.rest": "{}",
        "empty": '""',
        "on": "true",
    }


def test_of_an_experiment_only_what_somebody_wrote(paths):
    paths.config.write_text("lr: 0.1\nseed: 0\ndevice: cuda\nlayers:\n- 1\n- 2\n")
    origins = {
        "lr": "experiments/a.yaml:1:5",
        "seed": "default base.py:3",
        "device": "machine: one GPU",
        "layers.0": "default base.py:4",
        "layers.1": "flag --layers.1",
    }
    paths.origins.write_text(json.dumps({"origins": origins}))
    assert written_values(paths) == {"lr": "0.1", "layers": "[1, 2]"}


@pytest.mark.parametrize("content", [None, "", "a: [1", "\x00"])
def test_without_a_config_that_can_be_read_nothing_is_told(paths, content):
    if content is not None:
        paths.config.write_text(content)
    assert written_values(paths) == {}
