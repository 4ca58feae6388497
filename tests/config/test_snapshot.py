import json

import pytest

from burnish.config.interpolate import RunReference
from burnish.config.layer import plain
from burnish.config.snapshot import dump_yaml, flat, write_snapshot
from burnish.config.sources.yaml import parse_yaml
from burnish.core.paths import RunPaths
from burnish.core.secrets import Masker

SECRET = "hf_abcdefghijk"


@pytest.fixture
def snapshot(folder):
    """Write a snapshot; return its values and its origins."""

    def write(resolved):
        paths = RunPaths(folder)
        write_snapshot(resolved, paths)
        return plain(parse_yaml(paths.config.read_bytes(), "config.yaml")), json.loads(paths.origins.read_text())

    return write


def test_config_reads_back_the_same(compose, snapshot):
    resolved = compose("version: 1.10\nname: 'no'\ntraining: {learning_rate: 1e-5}\nextra: {a: [~, .inf, 'x: y']}\n")
    assert snapshot(resolved)[0] == resolved.values


def test_origins_hold_format_hash_group_and_each_leaf(compose, snapshot):
    resolved = compose("seed: 3\n")
    _, kept = snapshot(resolved)
    assert (kept["format"], kept["hash"], kept["group"]) == (1, resolved.hash, resolved.group)
    assert kept["origins"].keys() == resolved.origins.keys()
    assert kept["origins"]["seed"] == "demo.yaml:1:7"


def test_history_is_kept_for_values_that_displaced_others(compose, snapshot):
    _, kept = snapshot(compose("seed: 3\n", flags=["--seed=4"]))
    assert [step["value"] for step in kept["history"]["seed"]] == [4, 3, 0]
    assert "experiment" not in kept["history"]


def test_lineage_is_kept(compose, snapshot):
    reference = RunReference("/runs/x/checkpoints/7", "x", 7, "abc", "${run:sft@best}")
    _, kept = snapshot(compose("name: ${run:sft@best}", find_run=lambda text: reference))
    assert kept["lineage"] == {
        "name": {
            "path": "/runs/x/checkpoints/7",
            "run": "x",
            "step": 7,
            "manifest_sha256": "abc",
            "written": "${run:sft@best}",
            "artifact": "",
        }
    }


def test_credential_in_any_layer_reaches_neither_file(compose, snapshot, folder):
    text = f"name: at-{SECRET}\nextra:\n  api_key: k-in-file\n  url: https://me:pw-in-url@host\n"
    resolved = compose(
        text,
        environ={"LLM_EXTRA__TOKEN": "t-in-env", "HF_TOKEN": SECRET},
        flags=["--extra.secrets.openai=s-in-flag", "--extra.password=old-pw", "--extra.password=new-pw"],
    )
    snapshot(resolved)
    written = (folder / "config.yaml").read_text() + (folder / "origins.json").read_text()
    for planted in (SECRET, "k-in-file", "pw-in-url", "t-in-env", "s-in-flag", "old-pw", "new-pw"):
        assert planted not in written, planted


def test_redaction_leaves_everything_else():
    values = {"a": {"max_tokens": 3, "api_key": "x", "token": None}, "auth": {"user": ["u"]}, "b": [1, "t"]}
    assert Masker().tree(values) == {
        "a": {"max_tokens": 3, "api_key": "***", "token": None},
        "auth": {"user": ["***"]},
        "b": [1, "t"],
    }


def test_dump_keeps_the_order_and_repeats_shared_values_in_full():
    shared = [1, 2]
    assert dump_yaml({"z": shared, "a": shared}) == "z:\n- 1\n- 2\na:\n- 1\n- 2\n"


def test_flat_yields_each_leaf_empty_ones_too():
    assert list(flat({"a": {"b": [1, {}]}, "c": []})) == [("a.b.0", 1), ("a.b.1", {}), ("c", [])]
