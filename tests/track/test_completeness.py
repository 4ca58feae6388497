import pytest

from burnish.core.hardware import HIDDEN, NO_DRIVER
from burnish.track.completeness import FIELDS, completeness

GPU = {"name": "H100", "uuid": "GPU-0", "driver": "580", "memory_bytes": 80 << 30, "compute_capability": [9, 0]}


@pytest.fixture
def card():
    """A card on which nothing is missing, of a run that is over."""
    return {
        "uuid": "u",
        "system": {
            **dict.fromkeys(("host", "user", "platform", "kernel", "cpu", "python", "executable"), "x"),
            "memory_bytes": 1,
            "gpus": [GPU],
            "gpu_note": "",
        },
        "packages": {"torch": "2.8"},
        "declared": [{"name": "torch"}],
        "imported": {"torch": "2.8"},
        "code": {"commit": "c", "branch": "b", "dirty": True, "complete": True, "untracked": [], "remote": "r"},
        "config": {"hash": "h"},
        "seeds": {"seed": 0},
        "command": ["python"],
        "environment": {},
        "times": {"started": "t", "ended": "t"},
        "run": {"state": "finished"},
        "result": {"metrics": 1},
        "reported": {
            "imported": ["torch"],
            "cuda": {"cuda": "13.0"},
            "data": {"train": {"kind": "file", "sha256": "s", "pending": False}},
        },
    }


def missing(card):
    return [one.field for one in completeness(card).missing]


def test_card_on_which_every_field_is_known_scores_one(card):
    found = completeness(card)
    assert (found.score, found.fields, found.missing) == (1.0, len(FIELDS), ())


def test_score_is_the_share_of_the_fields_that_apply(card):
    card["seeds"] = {}
    found = completeness(card)
    assert found.score == round((len(FIELDS) - 1) / len(FIELDS), 3)
    assert found.to_json() == {
        "score": found.score,
        "fields": len(FIELDS),
        "missing": [{"field": "seeds", "todo": "put a 'seed' into the config, or run.report({'seed': 1})"}],
    }


@pytest.mark.parametrize("card", [{}, {"system": 3, "code": None, "reported": [], "run": "x"}])
def test_empty_card_misses_all_that_can_be_asked_of_it(card):
    found = completeness(card)
    assert found.score == 0.0
    assert {"gpus", "commit", "data", "seeds"} <= set(missing(card))
    assert not {"imported", "ended", "result", "cuda"} & set(missing(card))


@pytest.mark.parametrize(
    ("name", "where", "key"),
    [
        ("system", "system", "kernel"),
        ("python", "system", "executable"),
        ("commit", "code", "commit"),
        ("changes", "code", "dirty"),
        ("changes", "code", "complete"),
        ("untracked", "code", "untracked"),
        ("remote", "code", "remote"),
        ("config", "config", "hash"),
        ("started", "times", "started"),
        ("ended", "times", "ended"),
        ("result", "result", "metrics"),
        ("cuda", "reported", "cuda"),
        ("data", "reported", "data"),
    ],
)
def test_field_is_missing_without_what_answers_it(card, name, where, key):
    del card[where][key]
    assert missing(card) == [name]


@pytest.mark.parametrize("name", ["packages", "declared", "imported", "seeds", "command", "environment", "uuid"])
def test_section_that_is_not_there_is_missing(card, name):
    del card[name]
    assert missing(card) == [name]


@pytest.mark.parametrize("code", [None, {"branch": "main", "dirty": True}])
def test_code_without_a_commit_is_missing_once_and_not_exempt(card, code):
    card["code"] = code
    assert missing(card) == ["commit"]
    assert completeness(card).fields == len(FIELDS) - 3


def test_untracked_files_are_missing_from_the_record(card):
    card["code"]["untracked"] = ["new.py"]
    assert missing(card) == ["untracked"]


@pytest.mark.parametrize("note", [NO_DRIVER, HIDDEN])
def test_gpus_and_cuda_do_not_apply_where_there_is_none(card, note):
    card["system"] |= {"gpus": [], "gpu_note": note}
    assert completeness(card).fields == len(FIELDS) - 2
    assert missing(card) == []


@pytest.mark.parametrize("note", ["a driver is loaded: pip install nvidia-ml-py", "NVML: Unknown Error"])
def test_gpus_that_could_not_be_asked_are_missing(card, note):
    card["system"] |= {"gpus": [], "gpu_note": note}
    assert missing(card) == ["gpus"]


def test_gpus_that_training_used_and_nobody_saw_are_missing(card):
    card["system"] |= {"gpus": [], "gpu_note": HIDDEN}
    card["reported"]["device"] = "cuda:0"
    assert missing(card) == ["gpus"]


def test_gpu_without_its_memory_is_not_known(card):
    card["system"]["gpus"] = [GPU, {**GPU, "memory_bytes": 0}]
    assert missing(card) == ["gpus"]


def test_torch_for_the_cpu_beside_a_gpu_has_told_its_cuda(card):
    card["reported"]["cuda"] = {}
    assert missing(card) == []


def test_cuda_does_not_apply_without_torch(card):
    card["reported"] |= {"imported": ["jax"]}
    del card["reported"]["cuda"]
    assert missing(card) == []


def test_while_a_run_goes_on_its_end_cannot_be_asked_for(card):
    card["run"] = {"state": "running"}
    card |= {"imported": {}, "result": {"metrics": 0}, "times": {"started": "t"}}
    assert completeness(card).fields == len(FIELDS) - 3
    assert missing(card) == []


@pytest.mark.parametrize(
    ("data", "known"),
    [
        ({}, False),
        ({"train": {"kind": "file", "sha256": None, "pending": True}}, False),
        ({"train": {"kind": "file", "sha256": "s", "changed": {"size_bytes": [1, 2]}}}, False),
        ({"train": {"kind": "name", "name": "openai/gsm8k"}}, False),
        ({"train": {"kind": "name", "name": "openai/gsm8k", "revision": "cc7b047"}}, True),
        ({"train": {"kind": "dataset", "fingerprint": "f"}}, True),
        ({"train": {"sha256": "s"}, "test": {"kind": "object", "sha256": None}}, False),
        ({"all": {"splits": {"train": {"sha256": "s"}, "test": {"revision": "r"}}}}, True),
        ({"all": {"splits": {"train": {"sha256": "s"}, "test": {}}}}, False),
        ({"train_size": 5, "contamination": 0.0}, False),
        ({"train_size": 5, "train_sha256": "s"}, True),
    ],
)
def test_data_is_known_when_all_of_it_is_pinned(card, data, known):
    card["reported"]["data"] = data
    assert ("data" not in missing(card)) == known


def test_every_field_says_what_to_do_and_has_a_name_of_its_own():
    assert len({field.name for field in FIELDS}) == len(FIELDS)
    assert all(field.todo for field in FIELDS)
