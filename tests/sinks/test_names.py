import json
import re
import zlib

from hypothesis import given
from hypothesis import strategies as st

from burnish.sinks.names import Names


def plain(name):
    """Return a name of a small alphabet: many names become the same."""
    return re.sub(r"[^a-f_0-9]", "_", name)


def short(name):
    """Return a name of at most 12 letters, as trackers do that have a limit; a longer one ends with a checksum."""
    text = plain(name)
    return text if len(text) <= 12 else f"{text[:3]}_{zlib.crc32(name.encode()):08x}"


def blind(name):
    """Return what leaves nothing of a checksum."""
    return plain(name)[:2]


def like_changed(name):
    return "_" in name


CLEANS = st.sampled_from([plain, short, blind])
NAMES = st.lists(
    st.text("abc_./@é", max_size=16) | st.sampled_from(["pass@4", "pass_4", "损失", "x" * 300]), max_size=12
)


def again(names):
    """Return what a sink that is opened from the state knows."""
    return Names(names.clean, like_changed, json.loads(json.dumps(names.chosen)))


@given(clean=CLEANS, wanted=NAMES)
def test_two_names_are_never_called_the_same(clean, wanted):
    names = Names(clean, like_changed)
    called = {name: names[name] for name in wanted}
    assert len(set(called.values())) == len(called)
    assert called == {name: names[name] for name in wanted}


@given(clean=st.sampled_from([plain, short]), wanted=NAMES)
def test_what_a_name_is_called_is_one_that_the_tracker_takes(clean, wanted):
    names = Names(clean, like_changed)
    assert [name for name in wanted if clean(names[name]) != names[name]] == []


@given(clean=st.sampled_from([plain, short]), before=NAMES, after=NAMES)
def test_names_keep_what_they_are_called_as_long_as_the_run_lives(clean, before, after):
    names = Names(clean, like_changed)
    called = {name: names[name] for name in before}
    later = again(names)
    everything = {name: later[name] for name in [*after, *before]}
    assert everything | called == everything
    assert len(set(everything.values())) == len(everything)


def test_only_names_that_were_changed_or_may_meet_one_are_in_the_state():
    names = Names(plain, like_changed)
    assert [names[name] for name in ("a", "a/b", "b", "a/b", "c_d")] == ["a", "a_b", "b", "a_b", "c_d"]
    assert names.chosen == {"a/b": "a_b", "c_d": "c_d"}
    assert names.changed == 1


@given(wanted=NAMES, cut=st.integers(0, 12))
def test_a_crash_changes_no_choice(wanted, cut):
    names = Names(plain, like_changed)
    straight = [names[name] for name in wanted]
    first = Names(plain, like_changed)
    before = [first[name] for name in wanted[:cut]]
    second = again(first)
    assert before + [second[name] for name in wanted[cut:]] == straight


def test_a_name_whose_new_one_is_taken_gets_a_checksum_of_itself():
    names = Names(plain, like_changed)
    assert [names["a_b"], names["a/b"], names["a@b"]] == ["a_b", "a_b_07f4401c", "a_b_e5913774"]
    assert names.chosen == {"a_b": "a_b", "a/b": "a_b_07f4401c", "a@b": "a_b_e5913774"}


def test_a_name_that_the_tracker_takes_is_changed_where_another_has_it():
    names = Names(plain, like_changed)
    assert names["a/b"] == "a_b"
    assert names["a_b"] == "a_b_28cb39ea"


def test_a_checksum_that_is_taken_too_is_not_given_twice():
    names = Names(plain, like_changed)
    taken = [names[name] for name in ("a_b", "a_b_07f4401c", "a/b")]
    assert len(set(taken)) == 3


def test_a_name_with_a_checksum_is_no_longer_than_the_tracker_takes():
    names = Names(short, like_changed)
    assert names["a_b_a_b_a_b_"] == "a_b_a_b_a_b_"
    assert len(names["a_b_a/b_a_b_"]) <= 12


def test_names_that_are_no_text_are_called_something():
    names = Names(plain, like_changed)
    assert names["\ud83d"] == "_"
    assert names["\ud83e"] == f"__{zlib.crc32(chr(0xD83E).encode(errors='surrogatepass')):08x}"
