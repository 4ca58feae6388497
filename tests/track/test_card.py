import json
import subprocess
import sys

import pytest

from burnish.core.files import write_json
from burnish.core.paths import RunPaths
from burnish.track.card import complete_card, find_seeds, merge_reported, read_card, write_card

TRAIN = """
import burnish, msgspec, helpers
from burnish.track.fingerprint import fingerprint
from burnish.track.imported import imported_modules
run = burnish.start_run(config={"lr": 1e-3, "seed": 3, "data": {"shuffle_seed": 1}})
run.report({"data": {"train": fingerprint("data.jsonl")}, "device": "cpu", "note": "to planted-webhook-url"})
for step in range(3):
    run.log({"loss": 1 / (step + 1)})
run.report(imported_modules())
"""
COMMIT = ["-c", "user.name=t", "-c", "user.email=t@example.invalid", "commit", "-qm", "first"]


def project(burnish):
    """Make a repository in which nothing is missing."""
    burnish.write("train.py", TRAIN)
    burnish.write("helpers.py", "")
    burnish.write("data.jsonl", '{"a": 1}\n')
    burnish.write("requirements.txt", "msgspec>=0.19\n--index-url https://me:planted-login@host/simple\n")
    burnish.write(".gitignore", "__pycache__/\n")
    burnish.environ |= {
        "BURNISH_WEBHOOK_URL": "planted-webhook-url",
        "SLACK_URL": "planted-slack",
        "NCCL_DEBUG": "WARN",
    }
    for words in (
        ["init", "-q", "-b", "main"],
        ["remote", "add", "origin", "https://me:planted-remote@host/r.git"],
        ["add", "-A"],
        COMMIT,
    ):
        subprocess.run(["git", *words], cwd=burnish.root, check=True)


@pytest.fixture
def supervised(burnish):
    """The folder of a finished run of a script that tells all it can."""
    project(burnish)
    done = burnish("run", "--", sys.executable, "train.py", "--hub-token", "planted-flag")
    assert done.returncode == 0, done.stderr
    return next(burnish.runs.glob("*/run.json")).parent


def test_card_of_a_real_run_answers_every_question(supervised):
    card = json.loads((supervised / "card.json").read_text())
    assert card["completeness"] == {"score": 1.0, "fields": 18, "missing": []} or card["system"]["gpus"]
    assert card["format"] == 1
    assert card["imported"].keys() >= {"burnish", "msgspec"}
    assert card["own_modules"] == ["helpers"]
    assert card["declared"] == [{"name": "msgspec", "specifier": ">=0.19", "file": "requirements.txt"}]
    assert card["seeds"] == {"seed": 3, "data.shuffle_seed": 1}
    assert card["code"]["remote"] == "https://host/r.git"
    assert card["environment"]["NCCL_DEBUG"] == "WARN"
    assert card["result"] == {"metrics": 1}
    assert card["reported"]["data"]["train"]["files"] == 1
    assert card["command"][-2:] == ["--hub-token", "***"]
    assert card["system"]["disk"]["total_bytes"] > card["system"]["disk"]["free_bytes"] > 0
    assert {"started", "ended", "created", "duration_s"} == card["times"].keys()
    assert [attempt["number"] for attempt in card["run"]["attempts"]] == [1]


def test_config_that_a_script_told_has_a_hash_and_a_group_without_its_seeds(supervised):
    paths = RunPaths(supervised)
    first = read_card(paths)["config"]
    assert all(first[key] for key in ("hash", "group"))
    values = json.loads(paths.config.read_text())
    paths.config.write_text(json.dumps({**values, "seed": 4}))
    other = complete_card(paths, {}, {})["config"]
    assert other["hash"] != first["hash"]
    assert other["group"] == first["group"]


def test_no_credential_reaches_the_card(supervised):
    told = [path for path in supervised.rglob("card.*") if b"planted" in path.read_bytes()]
    assert told == []
    assert "BURNISH_WEBHOOK_URL" not in (supervised / "card.json").read_text()


def test_card_of_a_plain_script_is_as_complete(burnish, eventually):
    project(burnish)
    subprocess.run([sys.executable, "train.py"], cwd=burnish.root, env=burnish.environ, check=True)
    eventually(lambda: burnish.records() and burnish.records()[0]["state"] == "finished", "the keeper to finish")
    folder = next(burnish.runs.glob("*/run.json")).parent
    card = json.loads((folder / "card.json").read_text())
    assert card["completeness"]["missing"] == [] or card["system"]["gpus"]
    assert card["seeds"] == {"seed": 3, "data.shuffle_seed": 1}


def test_experiment_tells_hash_seed_and_tracking_before_it_has_run_a_step(burnish):
    assert burnish("run", burnish.toy(max_steps=2, seed=11)).returncode == 0
    record = burnish.records()[0]
    card = json.loads(next(burnish.runs.glob("*/card.json")).read_text())
    assert card["config"]["hash"] == record["config"]["hash"]
    assert card["seeds"]["seed"] == 11
    assert record["tracking"] == {}  # nothing of it is stated
    missing = [one["field"] for one in card["completeness"]["missing"]]
    assert {"commit", "declared", "data"} <= set(missing)
    assert "config" not in missing


def test_command_without_a_config_has_an_empty_tracking_section(burnish):
    assert burnish("run", "--", "true").returncode == 0
    assert burnish.records()[0]["tracking"] == {}


@pytest.fixture
def paths(tmp_path):
    folder = tmp_path / "20261121_x_k7f2"
    folder.mkdir()
    return RunPaths(folder)


def test_card_is_completed_by_the_record_without_touching_what_was_given(paths):
    card = {"uuid": "u", "reported": {"seed": 5}}
    record = {
        "state": "finished",
        "created": 0,
        "started": 1.0,
        "ended": 3.5,
        "summary": {"loss": {}},
        "sweep": {"id": "s"},
    }
    write_card(paths, card, record)
    written = read_card(paths)
    assert card == {"uuid": "u", "reported": {"seed": 5}}
    assert written["times"] == {
        "created": "1970-01-01T00:00:00.000Z",
        "started": "1970-01-01T00:00:01.000Z",
        "ended": "1970-01-01T00:00:03.500Z",
        "duration_s": 2.5,
    }
    assert written["run"] == {"name": paths.name, "state": "finished", "sweep": {"id": "s"}, "attempts": []}
    assert written["seeds"] == {"seed": 5}


def test_card_can_be_completed_again(paths):
    write_card(paths, {"uuid": "u"}, {"state": "running"})
    once = read_card(paths)
    write_card(paths, once, {"state": "running"})
    assert read_card(paths) == once


def test_whatever_a_process_reports_fits_into_the_card(paths, monkeypatch):
    monkeypatch.setenv("MY_TOKEN", "planted-token")
    reported = {
        "bytes": b"\xff",
        "set": {1},
        "text": "\ud800 planted-token",
        "imported": ["a", 3, None],
        "versions": "none",
        "cuda": [],
        "data": [1],
        "api_key": "short",
        3: {4: 5},
    }
    write_card(paths, {"reported": reported}, {"state": "finished", "attempts": [3, {}], "started": "x", "summary": []})
    text = paths.card.read_text()
    assert "planted" not in text
    assert json.loads(text)["reported"]["api_key"] == "***"
    assert json.loads(text)["reported"]["3"] == {"4": 5}


@pytest.mark.parametrize("content", ["[]", "{", "null", ""])
def test_config_that_is_no_mapping_has_no_hash(paths, content):
    paths.config.write_text(content)
    assert complete_card(paths, {}, {})["config"] == {"hash": "", "group": ""}


def test_artifacts_of_the_record_are_in_the_card(paths):
    artifacts = [{"role": "made", "name": "model", "sha256": "s"}]
    assert complete_card(paths, {}, {"artifacts": artifacts})["artifacts"] == artifacts


def test_unreadable_card_is_an_empty_one(paths):
    assert read_card(paths) == {}
    write_json(paths.card, [1])
    assert read_card(paths) == {}


def test_reports_are_merged_by_section_and_the_imported_grow():
    reported = merge_reported({}, {"data": {"train": 1}, "imported": ["b"], "versions": {"b": "1"}, "device": "cpu"})
    reported = merge_reported(
        reported, {"data": {"test": 2}, "imported": ["a"], "versions": {"a": "2"}, "device": "cuda"}
    )
    assert reported == {
        "data": {"train": 1, "test": 2},
        "imported": ["a", "b"],
        "versions": {"b": "1", "a": "2"},
        "device": "cuda",
    }


@pytest.mark.parametrize("told", [{"data": 3}, {"imported": "x"}, {"versions": None}, {"data": {"a": 1}}])
def test_reports_of_another_shape_are_merged_too(told):
    assert merge_reported({"data": [1], "imported": None}, told).keys() >= told.keys()


@pytest.mark.parametrize(
    ("values", "seeds"),
    [
        ({"a": [{"seed": 1}, {"random_state": 2}]}, {"a.0.seed": 1, "a.1.random_state": 2}),
        ({"seed": None, "x_seed": "7", "seeds": [], "seed_it": 3, "seedling": 4}, {}),
        ({"seed": True}, {}),
        ({"seed": {"torch": 1, "seed": 2}}, {"seed.seed": 2}),
        ("seed", {}),
    ],
)
def test_seeds_are_whole_numbers_under_a_seeds_name(values, seeds):
    assert find_seeds(values) == seeds


def test_ten_thousand_seeds_are_cut():
    assert len(find_seeds({f"{number}_seed": number for number in range(10_000)})) == 100
