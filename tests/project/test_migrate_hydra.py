"""Hydra config directories: the same composition as Hydra's own, references as ours, and bounds on what is read."""

import textwrap
import warnings
from pathlib import Path

import pytest
from hydra.errors import HydraException
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from omegaconf.errors import OmegaConfBaseException

from burnish.config.interpolate import References, interpolate
from burnish.config.layer import plain
from burnish.config.sources.yaml import parse_yaml
from burnish.core.errors import ConfigError
from burnish.project.migrate import migrate, to_yaml
from burnish.project.migrate.hydra.compose import Composition
from burnish.project.migrate.hydra.defaults import Defaults
from burnish.project.migrate.hydra.files import ConfigFolder


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def write(folder):
    """Write files of a config directory `conf`, by name without suffix."""

    def call(**files):
        write_files(folder / "conf", {name.replace("__", "/"): text for name, text in files.items()})
        return Path("conf")

    return call


@pytest.fixture
def imported(write):
    return lambda **files: migrate(write(**files))


@pytest.fixture
def refused(write):
    """Return what is told of a config directory that cannot be imported."""

    def call(**files):
        with pytest.raises(ConfigError) as caught:
            migrate(write(**files))
        return [(problem.message, problem.origin) for problem in caught.value.problems]

    return call


def write_files(root, files):
    for name, text in files.items():
        file = root / f"{name}.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text))


def composed_by_us(root):
    defaults = Defaults(ConfigFolder(root))
    composition = Composition()
    for step in defaults.steps("config"):
        composition.lay(step)
    return plain(composition.tree), defaults


def composed_by_hydra(root):
    from hydra import compose, initialize_config_dir
    from omegaconf import OmegaConf

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a primary file without _self_ it says what 1.0 did
        with initialize_config_dir(str(root.resolve()), version_base="1.3"):
            return OmegaConf.to_container(compose("config"), resolve=False)


def left(migration):
    return {item.path: item.reason for item in migration.left}


SELF_LAST = {
    "config": """
        defaults:
          - base
          - db: mysql
          - /server/apache@web: small
          - optional nothing: here
          - extra: null
          - _self_
        db: {port: 1, host: "${web.host}"}
        list: [1, 2]
        flag: yes
        rate: 1e-5
        """,
    "base": "db: {port: 9, user: me}\nlist: [3]\nkept: {a: 1}\n",
    "db/mysql": "port: 3306\ndriver: mysql\n",
    "server/apache/small": "defaults: [common]\nhost: localhost\nworkers: 2\n",
    "server/apache/common": "workers: 1\ntimeout: ${.workers}\n",
}
CASES = {
    "_self_ last": SELF_LAST,
    "_self_ first": {**SELF_LAST, "config": "defaults: [_self_, base, {db: mysql}]\ndb: {port: 1}\nlist: [1, 2]\n"},
    "no _self_": {**SELF_LAST, "config": "defaults: [base, {db: mysql}]\ndb: {port: 1}\n"},
    "package headers": {
        "config": "defaults: [_self_, {db: mysql}, {db/inner: x}, {opt@a.b: y}]\ndb: {port: 1}\n",
        "db/mysql": "# @package _global_\n\nglobal: 1\ndb: {port: 2}\n",
        "db/inner/x": "# @package foo.bar\nx: 1\n",
        "opt/y": "# @package ignored\nx: 1\n",
    },
    "override of a nested choice": {
        "config": """
            defaults:
              - server: apache
              - override server/db: sqlite
              - override server/db@server.backup: none
            """,
        "server/apache": "defaults: [db: mysql, db@backup: mysql]\nport: 80\n",
        "server/db/mysql": "name: mysql\n",
        "server/db/sqlite": "name: sqlite\n",
        "server/db/none": "name: none\n",
    },
    "override by a later file of an earlier choice": {
        "config": "defaults: [{db: mysql}, {experiment: big}]\n",
        "db/mysql": "name: mysql\n",
        "db/sqlite": "name: sqlite\n",
        "experiment/big": "# @package _global_\ndefaults: [override /db: sqlite]\nsize: 3\n",
    },
    "one group twice in two packages": {
        "config": "defaults: [db@src: mysql, db@dst: mysql, db@_global_: mysql, db@x._group_: sqlite]\n",
        "db/mysql": "name: mysql\n",
        "db/sqlite": "name: sqlite\n",
    },
    "several options at once": {
        "config": "defaults: [{site: [fb, google]}]\n",
        "site/fb": "fb: {domain: fb.com}\nlast: fb\n",
        "site/google": "google: {domain: google.com}\nlast: google\n",
    },
    "a choice that depends on another": {
        "config": "defaults: [{db: mysql}, {schema: school}, {'combined': '${db}_${schema}'}, 'x_${db}']\n",
        "db/mysql": "a: 1\n",
        "schema/school": "b: 1\n",
        "combined/mysql_school": "c: 1\n",
        "x_mysql": "d: 1\n",
    },
    "here and relative packages": {
        "config": "defaults: [a/b: c]\n",
        "a/b/c": "defaults: [d@_here_: e, d@q: e, /a/z: y, f@_global_.g: h]\nown: 1\n",
        "a/b/d/e": "e: 1\n",
        "a/b/f/h": "h: 1\n",
        "a/z/y": "y: 1\n",
    },
    "null, missing and empty laid over values": {
        "config": "defaults: [base, _self_]\na: null\nb: '???'\nc: {}\nd: {x: 1}\ne: {x: 1}\nf: [1]\n",
        "base": "a: {x: 1}\nb: 2\nc: {x: 1}\nd: null\ne: ${c}\nf: [2, 3]\n",
    },
    "hydra's own": {
        "config": "defaults: [base, override hydra/job_logging: none]\nhydra: {run: {dir: x}}\n",
        "base": "a: 1\n",
    },
}


@pytest.mark.parametrize("name", CASES)
def test_composition_equals_hydras_own(tmp_path, name):
    write_files(tmp_path, CASES[name])
    values, _ = composed_by_us(tmp_path)
    values.pop("hydra", None)
    assert values == composed_by_hydra(tmp_path)


GROUPS = ("a", "b", "a/c")
OPTIONS = ("x", "y")
NAMED = st.one_of(st.sampled_from([*GROUPS, *(f"/{g}" for g in GROUPS)]))
PACKAGE = st.sampled_from(["", "", "", "@p", "@_global_", "@_here_", "@_global_.q", "@r._group_"])
WORDS = st.sampled_from(["", "", "", "optional ", "override "])
ENTRY = st.one_of(
    st.builds(lambda w, g, p, o: f"{w}{g}{p}: {o}", WORDS, NAMED, PACKAGE, st.sampled_from([*OPTIONS, "null"])),
    st.builds(lambda g, o, p: f"'{g}/{o}{p}'", NAMED, st.sampled_from(OPTIONS), PACKAGE),
    st.just("_self_"),
)
BODY = st.dictionaries(
    st.sampled_from("klm"), st.sampled_from(["1", "{k: 2}", "{l: {m: 3}}", "null", "[4]"]), max_size=2
)
HEADER = st.sampled_from(["", "", "", "# @package _global_\n", "# @package h\n"])


def rendered(header, entries, body):
    lines = [f"{header}defaults:", *(f"  - {entry}" for entry in entries)] if entries else [header.strip()]
    return "\n".join([*lines, *(f"{key}: {value}" for key, value in body.items())]) + "\n"


# A circle of files ends in the first of the last three, and one of its own assertions guards against some lists.
REFUSALS = (HydraException, OmegaConfBaseException, RecursionError, AssertionError, ValueError)


@given(
    primary=st.tuples(st.just(""), st.lists(ENTRY, min_size=1, max_size=4), BODY),
    files=st.lists(st.tuples(HEADER, st.lists(ENTRY, max_size=2), BODY), min_size=6, max_size=6),
)
@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
def test_whatever_hydra_composes_is_composed_alike_and_nothing_else_raises_but_our_error(
    tmp_path_factory, primary, files
):
    root = tmp_path_factory.mktemp("conf")
    names = [f"{group}/{option}" for group in GROUPS for option in OPTIONS]
    write_files(root, {"config": rendered(*primary), **{n: rendered(*f) for n, f in zip(names, files, strict=True)}})
    try:
        ours = composed_by_us(root)
    except ConfigError:
        ours = None
    try:
        wanted = composed_by_hydra(root)
    except REFUSALS:
        return
    assert ours is not None
    values, defaults = ours
    assert defaults.left == []
    assert values == wanted


def test_a_directory_becomes_one_file_that_says_what_it_is_made_of(write):
    found = migrate(
        write(
            config="""
                defaults:
                  - model: llama
                  - _self_
                lr: 0.1
                seed: 3
                path: ${oc.env:HOME,/root}/${model.name}
                hydra: {run: {dir: x}}
                model: {layers: "???"}
                """,
            model__llama="name: llama\n_target_: my.Llama\nwidth: ${..lr}\n",
        )
    )
    assert found.kind == "hydra"
    assert (
        to_yaml(found)
        == """\
# Imported from conf (hydra).
# - composed from config.yaml, model/llama.yaml
# - groups and the options that became part of it: model: llama
# - a _target_ is a value like any other here: nothing is built from it
# experiment: module:YourExperiment   <- name yours
model:
  name: llama
  _target_: my.Llama
  width: ${lr}
lr: 0.1
seed: 3
path: ${env:HOME:-/root}/${model.name}

# Not carried over:
# - model.layers: ??? (conf/config.yaml:9:17): must be set: it has no value there
# - hydra: 1 key (conf/config.yaml:8:8): how Hydra itself runs is no part of an experiment
"""
    )
    carried = {item.to: (item.path, item.origin) for item in found.carried}
    assert carried["model.width"] == ("width", "conf/model/llama.yaml:3:8")


@pytest.mark.parametrize(
    ("written", "ours"),
    [
        ("${a.b}", "${a.b}"),
        ("${a[b]}", "${a.b}"),
        ("${list[0]}", "${list.0}"),
        ("${.y}", "${s.y}"),
        ("${..a.b}", "${a.b}"),
        ("x-${a.b}-${.y}", "x-${a.b}-${s.y}"),
        ("${oc.env:NAME}", "${env:NAME}"),
        ("${oc.env:NAME,some thing}", "${env:NAME:-some thing}"),
        ("${oc.env:NAME, 'a,b'}", "${env:NAME:-a,b}"),
        ("${oc.select:a.b,512}", "${a.b:-512}"),
        ("${oc.select:a.b}", "${a.b:-null}"),
        ("${oc.env:NAME,${.y}}", "${env:NAME:-${s.y}}"),
        ("${oc.select:none,/x/${a.b}}", "${none:-/x/${a.b}}"),
        ("${oc.select:none,[]}", []),
        ("${oc.select:a,{}}", "${a}"),
        (r"\${a.b}", "$${a.b}"),
    ],
)
def test_references_become_ours(imported, written, ours):
    found = imported(config=f"a: {{b: 1}}\nlist: [1]\ns:\n  y: 2\n  x: '{written.replace(chr(39), chr(39) * 2)}'\n")
    assert found.left == ()
    assert found.experiment["s"] == {"y": 2, "x": ours}


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("${now:%Y-%m-%d}", "a run has an id and a time of its own, so nothing has to be named after the clock"),
        ("${eval:1+1}", "the resolver 'eval' is code of its project: compute the value in your experiment"),
        ("${hydra:runtime.cwd}", "it asks Hydra"),
        ("${hydra.run.dir}", "it refers to Hydra's own settings"),
        ("${a.${b}}", "a reference inside a reference"),
        ("${oc.select:none,[${b}]}", "its default holds a reference"),
        ("${=1+1}", "its reference names no key"),
        ("${a", "its reference has no end"),
        ("${....a}", "its reference points above the config"),
        ("${}", "its reference names no key"),
        ("$${a}", "its escapes mean something else in Burnish"),
        ("${oc.env:PORT,'1'}", "its default is the text '1', which Burnish would read as something else"),
        ("~delete", "in Burnish this value deletes its key"),
    ],
)
def test_a_value_without_a_counterpart_is_left_with_the_reason(imported, written, reason):
    found = imported(config=f'a: {{b: 1}}\nb: b\ns:\n  x: "{written}"\n')
    assert left(found) == {"s.x": reason}
    assert found.experiment["s"] == {}


def test_a_list_with_one_such_element_is_left_as_a_whole(imported):
    found = imported(config="kept: 1\nlist: [a, '${now:%Y}', b]\n")
    assert found.experiment == {"kept": 1}
    assert list(left(found)) == ["list"]


def test_keys_that_burnish_means_otherwise_are_left(imported):
    found = imported(config="experiment: {name: x}\nextends: y\nseed: none\nname: fine\nlist+: [1]\n")
    reason = "Burnish means something else by this key: give yours another name"
    assert left(found) == {
        "experiment": reason,
        "extends": reason,
        "seed": reason,
        "list+": "a key that ends in + merges in another way in Burnish",
    }
    assert found.experiment == {"name": "fine"}


def test_what_is_not_there_is_told_and_the_rest_is_composed(imported):
    found = imported(
        config="defaults: [gone, {db: lost}, {size: '???'}, {'../up@x': y}, _self_, override q: r]\na: ${db.port}\n",
        size__big="n: 1\n",
        size__small="n: 0\n",
    )
    assert found.experiment == {"a": "${db.port}"}
    assert [(item.path, item.value, item.reason) for item in found.left] == [
        ("defaults", "gone", "there is no gone.yaml in conf"),
        ("defaults: db", "lost", "there is no db/lost.yaml in conf"),
        ("defaults: size", "???", "must be chosen: big, small"),
        (
            "defaults: ../up@x",
            "y",
            "../up/y lies outside conf, which is all that is read: import the folder above",
        ),
        ("defaults: override q", "r", "it overrides no entry that was found"),
        ("db.port", "???", "must be set: a refers to it"),
    ]


def test_a_link_out_of_the_directory_is_not_followed(write):
    root = write(config="defaults: [secret]\n")
    Path("secret.yaml").write_text("password: 1\n")
    (root / "secret.yaml").symlink_to(Path("secret.yaml").resolve())
    found = migrate(root)
    assert found.experiment == {}
    assert left(found) == {"defaults": "secret lies outside conf, which is all that is read: import the folder above"}


def test_a_circle_of_files_is_drawn(refused):
    assert refused(config="defaults: [a/x]\n", a__x="defaults: [/b/y]\n", b__y="defaults: [/a/x]\n") == [
        ("defaults lists name each other in a circle: a/x → b/y → a/x", "conf/b/y.yaml:1:12")
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("defaults: {a: b}\n", "a defaults list is a list"),
        ("defaults: [1]\n", "no entry of a defaults list"),
        ("defaults: [{a: 1}]\n", "an option is a name, a list of names, or null"),
        ("defaults: [{a: b, c: d}]\n", "no entry of a defaults list"),
        ("defaults: [_self_, _self_]\n", "_self_ stands twice in a defaults list"),
        ("defaults: [override a: b, c]\n", "'c' stands after an override"),
        ("defaults: [{a: b}, {a: c}]\n", "a is both c and b in the defaults lists"),
        ("defaults: [{a: b}, {a: b}]\n", "a stands more than once in the defaults lists"),
        ("defaults: [{a: b}]\na: [1]\n", "a: a section and a list cannot be merged"),
        ("a: [\n", "not YAML: did not find expected node content"),
    ],
)
def test_a_directory_that_hydra_would_refuse_is_refused_with_the_place(refused, text, message):
    (told,) = refused(config=text, a__b="x: 1\n", a__c="x: 2\n", c="y: 1\n")
    assert told[0] == message
    assert told[1].startswith("conf/")


def test_which_file_is_the_primary_one_must_show(write, refused):
    root = write(train="defaults: [a]\n", a="x: 1\n")
    assert migrate(root).experiment == {"x": 1}
    write(evaluate="defaults: [a]\n")
    with pytest.raises(ConfigError) as caught:
        migrate(root)
    assert caught.value.hint == "name one: conf/evaluate.yaml, conf/train.yaml"
    assert migrate(root / "evaluate.yaml", kind="hydra").experiment == {"x": 1}


def test_ten_thousand_entries_are_followed_and_no_more_than_twice_that(write):
    many = "".join(f"- a@p{number}: x\n" for number in range(10_000))
    found = migrate(write(config=f"defaults:\n{many}", a__x="v: 1\n"))
    assert len(found.experiment) == 10_000
    doubling = {f"d{n}": f"defaults: [d{n + 1}@l, d{n + 1}@r]\n" for n in range(30)}
    with pytest.raises(ConfigError, match="more than 20,000 entries in the defaults lists"):
        migrate(write(config="defaults: [d0]\n", **doubling, d30="v: 1\n"))


def test_references_lead_to_the_same_values_as_in_hydra(write):
    from omegaconf import OmegaConf

    root = write(
        config="""
            defaults: [db: mysql, _self_]
            host: localhost
            sizes: [1, 2]
            url: ${db.driver}://${host}:${db.port}
            first: ${sizes[0]}
            all: ${db}
            none: ${oc.select:nowhere,null}
            word: ${oc.select:nowhere,no}
            many: ${oc.select:nowhere,[1,2]}
            """,
        db__mysql="driver: mysql\nport: 3306\nsame: ${.port}\nup: ${..host}\ntext: '${.driver}-${..sizes[1]}'\n",
    )
    tree = parse_yaml(to_yaml(migrate(root)), "out.yaml")
    wanted = OmegaConf.create(composed_by_hydra(root))
    filled = interpolate(tree, References())
    assert filled.problems == []
    assert plain(filled.tree) == OmegaConf.to_container(wanted, resolve=True)


def test_what_is_written_reads_back_as_the_same_values(imported):
    found = imported(config="a: '1e-5'\nb: 'no'\nc: \"x\\ty\"\nd: 1.0\ne: null\nf: ''\n")
    assert plain(parse_yaml(to_yaml(found), "out.yaml")) == found.experiment
