"""Laws that hold for any config: merging, history, snapshots, hashes, references, and that nothing else is raised."""

import json
import random

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from burnish.config import resolve
from burnish.config.interpolate import References, interpolate
from burnish.config.layer import Layer, Mapping, find, leaves, node_of, plain
from burnish.config.layers import FrozenLayer, merged
from burnish.config.merge import merge
from burnish.config.origin import Origin
from burnish.config.snapshot import dump_yaml, layer_of_run, write_snapshot
from burnish.config.sources.env import env_layers
from burnish.config.sources.flags import flag_layers
from burnish.config.sources.toml import parse_toml
from burnish.config.sources.yaml import parse_yaml
from burnish.core.errors import BurnishError, ConfigError
from burnish.core.paths import Project, RunPaths

few = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
many = settings(few, max_examples=200)

# fmt: off
ODD_TEXTS = [
    "no", "on", "1e-5", "0x1F", "012", ".nan", ".inf", "~", "null", "", " ", "- a", "a: b", "# c", "é", "\n", "a\nb",
    "\x85", "\u2028", "\u2029", "\ufeff", "\x00", "\x7f", "\t", "${a}", "$${", "~delete", "<<", "=", "1_000",
    "2026-01-01",
]
PARTS_OF_REFERENCES = [
    "${", "}", "$${", ":-", "a", "b", "c.d", "l.0", "env:N", "env:", "run:x@best", "data:f", "= ", "=", " * ", "9",
    "**", "(", ")", "'", "x", " ", ".", "[0]", ":", "/", "min", ",",
]
PARTS_OF_FILES = [
    "a", "b", ":", ": ", "\n", "  ", "- ", "[", "]", "{", "}", ",", "&x", "*x", "<<", "!", "!!str", "'", '"', "|", ">",
    "#", "=", "1", "1e5", ".", "+", "?", "%", "@", "\t", "\r\n", "\ufeff", "---", "...", "training", "seed", "extends",
    "model", "llama", "judges", "exact", "~delete", "${seed}", "${a}", "tags+", "model!", "judges[exact]", "judges.0",
    "[[run]]", "[a]", "sweep", "experiment", "demo", "true", "null", "\x00", "\ud7ff", "é",
]
# fmt: on

SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.sampled_from(ODD_TEXTS)
)
KEYS = st.one_of(st.text(max_size=6), st.sampled_from(["1", "a.b", "c+", "d!", "e[f]", "no", "~", "<<", "null", "-"]))
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=8
)


def sections(leaf):
    """Sections in which a key of capitals always holds a section and any other never does."""
    own = st.dictionaries(st.sampled_from("abc"), leaf, max_size=3)
    return st.recursive(
        own,
        lambda inner: st.tuples(own, st.dictionaries(st.sampled_from("AB"), inner, min_size=1, max_size=2)).map(
            lambda parts: {**parts[0], **parts[1]}
        ),
        max_leaves=4,
    )


LAYERS = st.lists(sections(st.integers(0, 99)), min_size=1, max_size=6)


def layers_of(values):
    return [
        Layer(f"layer{number}", node_of(value, Origin("file", f"layer{number}"))) for number, value in enumerate(values)
    ]


# --- merging


@many
@given(LAYERS)
def test_winner_is_the_value_of_the_highest_layer_that_has_one(values):
    tree = merged(layers_of(values), [])
    for path, node in leaves(tree):
        given_by = [found for value in values if (found := find(node_of(value, tree.origin), path)) is not None]
        assert plain(node) == plain(given_by[-1])


@many
@given(LAYERS)
def test_history_holds_every_value_that_was_ever_written_newest_first(values):
    tree = merged(layers_of(values), [])
    for layer in layers_of(values):
        for path, _ in leaves(layer.tree):
            if not path or isinstance(find(tree, path), Mapping):
                continue
            written = [
                (plain(found), f"layer{number}")
                for number, value in enumerate(values)
                if (found := find(node_of(value, tree.origin), path)) is not None
            ]
            node = find(tree, path)
            assert [(plain(n), n.origin.source) for n in (node, *node.beaten)] == written[::-1]


@many
@given(LAYERS, st.data())
def test_layers_may_be_merged_in_any_groups(values, data):
    layers = layers_of(values)
    cut = data.draw(st.integers(0, len(layers)))
    below, above = merged(layers[:cut], []), merged(layers[cut:], [])
    assert merge(below, above).items == merged(layers, []).items


@few
@given(sections(VALUES))
def test_layer_over_nothing_and_nothing_over_it_are_itself(value):
    (layer,) = layers_of([value])
    nothing = node_of({}, Origin("file", "nothing"))
    assert repr(plain(merge(layer.tree, nothing))) == repr(value)


@few
@given(sections(st.integers(0, 9)))
def test_layer_over_itself_changes_no_value(value):
    (layer,) = layers_of([value])
    assert plain(merge(layer.tree, layer.tree)) == value


# --- snapshots


@many
@given(st.dictionaries(KEYS, VALUES, max_size=4))
def test_values_read_back_from_yaml_with_their_types(values):
    assert repr(plain(parse_yaml(dump_yaml(values), "f"))) == repr(values)


@few
@given(st.dictionaries(KEYS, VALUES, max_size=4), st.dictionaries(KEYS, st.text(max_size=5), max_size=2), st.text())
@example({"a": [float("nan"), float("inf"), -0.0, 1e-5]}, {"1": "no"}, "1.10")
def test_snapshot_of_a_run_resolves_to_the_same_values_types_and_hash(folder, lookup, extra, labels, version):
    project = Project(folder, folder, folder)
    written = {"experiment": "demo", "version": version, "labels": labels, "extra": extra}
    escaped = json.loads(json.dumps(written).replace("${", "$${"))
    layer = FrozenLayer("f", node_of(escaped, Origin("file", "f")))
    resolved = resolve(layer, lookup=lookup, project=project, environ={})
    paths = RunPaths(folder / "20260101_demo_k7f2")
    paths.root.mkdir(exist_ok=True)
    kept = write_snapshot(resolved, paths)
    flags = [f"--{path}=x" for path in kept]  # what looks like a credential is not kept
    if kept:
        with pytest.raises(ConfigError):
            layer_of_run(paths, [])
        assert layer_of_run(paths, flags).name == "run k7f2"
        return
    again = resolve(layer_of_run(paths, []), lookup=lookup, project=project, environ={})
    assert repr(again.values) == repr(resolved.values)
    assert (again.hash, again.group) == (resolved.hash, resolved.group)


# --- hashes

SETTINGS = st.fixed_dictionaries(
    {
        "extra": st.dictionaries(
            st.sampled_from(["a", "b", "c"]), VALUES.filter(lambda v: "$" not in repr(v)), max_size=3
        )
    },
    optional={"training": st.fixed_dictionaries({"max_steps": st.integers(1, 9), "shuffle": st.booleans()})},
)


def resolved_of(values, lookup, folder):
    layer = FrozenLayer("f", node_of({"experiment": "demo", **values}, Origin("file", "f")))
    return resolve(layer, lookup=lookup, project=Project(folder, folder, folder), environ={})


def shuffled(value, seed):
    if isinstance(value, dict):
        items = [(key, shuffled(item, seed)) for key, item in value.items()]
        random.Random(seed).shuffle(items)
        return dict(items)
    return [shuffled(item, seed) for item in value] if isinstance(value, list) else value


@few
@given(SETTINGS, st.integers())
def test_hash_and_group_ignore_the_order_of_keys(folder, lookup, values, seed):
    one, other = (resolved_of(given, lookup, folder) for given in (values, shuffled(values, seed)))
    assert (one.hash, one.group) == (other.hash, other.group)


@few
@given(st.lists(st.sampled_from(["# note", "", "   # more"]), min_size=4, max_size=4))
def test_hash_ignores_comments(compose, notes):
    lines = ["seed: 1", "extra:", "  a: [1, 2]", "name: x"]
    text = "\n".join(
        f"{note}\n{line}  # {number}" for number, (note, line) in enumerate(zip(notes, lines, strict=True))
    )
    assert compose(text).hash == compose("\n".join(lines)).hash


@few
@given(SETTINGS, st.text(min_size=6, max_size=9), st.text(min_size=6, max_size=9))
def test_hash_and_group_ignore_credentials(folder, lookup, values, first, second):
    hashes = set()
    for secret in (first.replace("$", "S"), second.replace("$", "S")):
        resolved = resolved_of({**values, "labels": {"api_key": secret}}, lookup, folder)
        if json.dumps(secret, ensure_ascii=False)[1:-1] not in json.dumps(values, ensure_ascii=False):
            hashes.add((resolved.hash, resolved.group))
    assert len(hashes) <= 1


@few
@given(SETTINGS, st.integers(0, 99), st.sampled_from(["n", "m"]), st.sampled_from(["/a", "/b"]))
def test_group_ignores_seed_name_and_output_paths_and_the_hash_does_not(folder, lookup, values, seed, name, path):
    repeat = {
        **values,
        "seed": seed + 1,
        "name": name,
        "extra": {**values["extra"], "o": {"output_dir": path, "seed": 3}},
    }
    base = {**values, "seed": 0, "name": "", "extra": {**values["extra"], "o": {"output_dir": "/x", "seed": 4}}}
    one, other = resolved_of(base, lookup, folder), resolved_of(repeat, lookup, folder)
    assert one.group == other.group
    assert one.hash != other.hash


@few
@given(SETTINGS, st.integers(0, 99))
def test_group_tells_another_setting_apart(folder, lookup, values, number):
    one = resolved_of({**values, "weights": {"a": number}}, lookup, folder)
    other = resolved_of({**values, "weights": {"a": number + 1}}, lookup, folder)
    assert one.group != other.group


# --- references

PIECES = st.lists(st.sampled_from(PARTS_OF_REFERENCES), max_size=10).map("".join)


@many
@given(PIECES, PIECES, PIECES)
@example("${a}", "${b}", "${c.d}")
@example("${= 9**9**9}", "${= a * b}", "")
def test_following_references_raises_nothing_else_and_stays_bounded(first, second, third):
    tree = node_of({"a": first, "b": second, "c": {"d": third}, "l": [first, 1]}, Origin("file", "f", 1, 1))
    try:
        result = interpolate(tree, References({"N": "7"}))
    except ConfigError:
        return
    assert sum(len(str(plain(node))) for _, node in leaves(result.tree)) < 1_000_000
    assert all(problem.message and problem.origin for problem in result.problems)


def test_text_that_doubles_with_every_reference_is_refused():
    text = "a0: xxxxxxxxxx\n" + "".join(f"a{n}: '{f'${{a{n - 1}}}' * 10}'\n" for n in range(1, 30))
    result = interpolate(parse_yaml(text, "f"), References())
    assert [problem.message for problem in result.problems][:1] == [
        "more than 1,000,000 characters once references are followed"
    ]
    assert max(len(str(plain(node))) for _, node in leaves(result.tree)) <= 1_000_000


def test_default_that_doubles_with_every_reference_is_refused():
    text = "a0: xxxxxxxxxx\n" + "".join(f"a{n}: '${{no:-{f'${{a{n - 1}}}' * 10}}}'\n" for n in range(1, 30))
    text = text.replace("${no:-", "${env:NO:-")
    found = interpolate(parse_yaml(text, "f"), References()).problems
    assert found[0].message == "more than 1,000,000 characters once references are followed"


# --- nothing but our error

TOKENS = st.lists(st.sampled_from(PARTS_OF_FILES), max_size=25).map("".join)


@many
@given(TOKENS)
def test_yaml_of_any_tokens_raises_nothing_but_our_error(compose, text):
    with_our_errors(lambda: compose(text))


@many
@given(TOKENS)
def test_toml_of_any_tokens_raises_nothing_but_our_error(folder, resolve_file, text):
    (folder / "t.toml").write_text(f'experiment = "demo"\n{text}', newline="")
    with_our_errors(lambda: resolve_file("t.toml"))


@many
@given(st.lists(st.one_of(TOKENS, st.text(max_size=6), TOKENS.map("--{}".format)), max_size=4))
def test_flags_of_any_words_raise_nothing_but_our_error(compose, words):
    with_our_errors(lambda: compose("", flags=words))


@few
@given(st.dictionaries(st.one_of(TOKENS, st.text(max_size=6)).map("LLM_{}__X".format), TOKENS, max_size=3))
def test_variables_of_any_text_raise_nothing_but_our_error(compose, variables):
    with_our_errors(lambda: compose("", environ=variables))


@few
@given(st.binary(max_size=60))
def test_bytes_raise_nothing_but_our_error(content):
    for parse in (parse_yaml, parse_toml):
        with_our_errors(lambda parse=parse: parse(content, "f"))


BYTES = st.binary(max_size=6).map(lambda content: content.decode("utf-8", "surrogateescape"))


@few
@given(BYTES, BYTES, BYTES)
@example("\udcff", "a", "a")
@example("a", "\udcff", "\udcff")
def test_bytes_of_the_shell_make_a_config_that_can_be_written_or_are_refused(compose, folder, key, first, second):
    words = {"flags": [f"--extra.{key}={first}"], "environ": {"LLM__NAME": second, f"LLM_EXTRA__{key.upper()}Z": first}}
    with_our_errors(lambda: write_snapshot(compose("version: 'x${env:LLM__NAME}'", **words), RunPaths(folder)))


@few
@given(st.text(max_size=30))
def test_text_raises_nothing_but_our_error(text):
    with_our_errors(lambda: flag_layers([f"--a={text}", text]))
    with_our_errors(lambda: env_layers({"LLM_A__B": text}))


def test_real_recipes_with_changed_bytes_raise_nothing_but_our_error(recipes, folder):
    chance = random.Random(7)
    pieces = [
        b"\x00",
        b"\xff",
        b"\t",
        b"[",
        b"{",
        b":",
        b"&a ",
        b"*a",
        b"\r",
        b"'",
        b"- ",
        b"!!",
        b"\xef\xbb\xbf",
        b"|",
    ]
    refused = 0
    for path in recipes:
        content = path.read_bytes()[:3000]
        for _ in range(8):
            changed = bytearray(content)
            for _ in range(chance.randint(1, 3)):
                at = chance.randrange(len(changed))
                changed[at : at + chance.choice([0, 1, 5])] = chance.choice(pieces)
            refused += with_our_errors(lambda changed=changed: parse_yaml(bytes(changed), "f"))
    assert 0 < refused < 8 * len(recipes)


def with_our_errors(call):
    """Make a call; return whether it was refused with an error of ours, which must say something."""
    try:
        call()
    except BurnishError as error:
        assert str(error).strip()  # noqa: PT017
        return True
    return False
