from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from burnish.core.errors import StorageError, UsageError
from burnish.core.paths import RunPaths
from burnish.journal.annotations import Annotations, Note, annotate, check_tag, read_annotations
from burnish.journal.index import RunIndex
from burnish.journal.record import read_own_record, read_record


@pytest.fixture
def paths(tmp_path):
    folder = tmp_path / "runs" / "20261121_toy_k7f2"
    folder.mkdir(parents=True)
    record = {"name": folder.name, "state": "running", "tags": ["sft", "old"], "notes": [{"time": 20.0, "text": "b"}]}
    (folder / "run.json").write_text(json.dumps(record))
    return RunPaths(folder)


def tag(*add, remove=()):
    return lambda said: said.tagged(add, remove)


def test_what_was_written_is_read_back(paths):
    said = Annotations(("a",), ("b",), (Note(1.5, "höher", "ada"),), True, ("20261121_before_k7f2",))
    annotate(paths, lambda _: said)
    assert read_annotations(paths) == said


def test_a_run_without_annotations_has_none(paths):
    assert read_annotations(paths) == Annotations()
    assert read_record(paths)["pinned"] is False


def test_tags_are_those_of_the_record_and_those_added_without_those_removed_in_order(paths):
    annotate(paths, tag("new", "sft", remove=["old"]))
    assert read_record(paths)["tags"] == ["sft", "new"]


def test_a_removed_tag_can_be_added_again(paths):
    annotate(paths, tag(remove=["old"]))
    annotate(paths, tag("old"))
    assert read_record(paths)["tags"] == ["sft", "old"]


def test_notes_of_the_run_and_of_people_are_told_in_the_order_of_time(paths):
    annotate(paths, lambda said: Annotations(notes=(Note(30.0, "c"), Note(10.0, "a", "ada"))))
    notes = read_record(paths)["notes"]
    assert [note["text"] for note in notes] == ["a", "b", "c"]
    assert notes[0]["author"] == "ada"


def test_a_record_that_was_written_back_with_annotations_tells_nothing_twice(paths):
    annotate(paths, lambda said: Annotations(("new",), (), (Note(30.0, "c"),), True))
    once = read_record(paths)
    paths.state.write_text(json.dumps(once))
    assert read_record(paths) == once


def test_the_record_itself_is_left_as_its_owner_wrote_it(paths):
    before = paths.state.read_bytes()
    annotate(paths, tag("new"))
    assert paths.state.read_bytes() == before
    assert read_own_record(paths)["tags"] == ["sft", "old"]


def test_the_index_sees_an_annotation_at_once(paths, tmp_path):
    index = RunIndex(paths.root.parent, cache=tmp_path / "cache")
    assert index.records()[0]["tags"] == ["sft", "old"]
    annotate(paths, tag("new"))
    assert index.records()[0]["tags"] == ["sft", "old", "new"]


def test_the_record_gets_a_strictly_newer_time_also_when_its_own_lies_in_the_future(paths):
    future = 4_000_000_000 * 10**9
    os.utime(paths.state, ns=(future, future))
    annotate(paths, tag("new"))
    assert paths.state.stat().st_mtime_ns > future


def test_processes_that_annotate_at_once_lose_nothing(paths):
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from burnish.core.paths import RunPaths\n"
        "from burnish.journal.annotations import annotate\n"
        "for number in range(25):\n"
        "    annotate(RunPaths(Path(sys.argv[1])), lambda said: said.tagged([f'{sys.argv[2]}-{number}']))\n"
    )
    workers = [subprocess.Popen([sys.executable, "-c", code, paths.root, str(n)]) for n in range(4)]
    assert [worker.wait() for worker in workers] == [0] * 4
    assert set(read_annotations(paths).tags_added) == {f"{n}-{number}" for n in range(4) for number in range(25)}


def test_a_credential_in_a_note_does_not_reach_the_disk(paths, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "secret-value-of-mine")
    annotate(paths, lambda said: Annotations(notes=(Note(1.0, "used secret-value-of-mine for it"),)))
    assert read_annotations(paths).notes[0].text == "used *** for it"
    assert b"secret-value" not in b"".join(p.read_bytes() for p in paths.root.iterdir())


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"format": 2}', '{"format": "x"}'])
def test_a_file_that_cannot_be_read_is_not_overwritten(paths, content):
    file = paths.root / "annotations.json"
    file.write_text(content)
    with pytest.raises(StorageError) as caught:
        annotate(paths, tag("new"))
    assert str(caught.value) == f"the annotations of run {paths.name} cannot be read by this Burnish"
    assert caught.value.hint == f"mend it or move it away: {file}"
    assert file.read_text() == content


@pytest.mark.parametrize(
    "content",
    [
        '{"tags_added": 3, "notes": [1, {"text": "x"}, {"time": NaN, "text": "x"}, {"time": true, "text": "x"}]}',
        '{"notes": [{"time": 1e300, "text": "x"}, {"time": 1, "text": 2}], "pinned": "yes"}',
    ],
)
def test_what_has_not_its_shape_is_left_out(paths, content):
    (paths.root / "annotations.json").write_text(content)
    assert read_annotations(paths) == Annotations()
    assert [note["text"] for note in read_record(paths)["notes"]] == ["b"]


def test_a_folder_that_cannot_be_written_is_told(paths):
    gone = RunPaths(paths.root.with_name("20261121_toy_gone"))
    with pytest.raises(StorageError, match="^cannot write the annotations of run 20261121_toy_gone: No such file"):
        annotate(gone, tag("new"))


@pytest.mark.parametrize("word", ["", "two words", "-x", "+x", "a\nb", "a\u00a0b", "x" * 101])
def test_what_cannot_be_typed_as_one_word_is_no_tag(word):
    with pytest.raises(UsageError) as caught:
        check_tag(word)
    assert caught.value.message == f"{word!r} cannot be a tag"
    assert caught.value.hint == "one word of up to 100 characters that does not begin with + or -"


def test_a_tag_may_be_in_any_script():
    assert check_tag("grundlinie/größe:1") == "grundlinie/größe:1"
