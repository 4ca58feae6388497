import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from burnish.config.layer import Mapping, Scalar, Sequence, plain
from burnish.config.origin import Origin
from burnish.config.sources.yaml import parse_yaml
from burnish.config.sweep import MAX_VARIANTS, Sweep, combine, expand, size
from burnish.config.sweep_reader import parse_sweep, run_tables, sweep_flags
from burnish.core.errors import ConfigError

NOTHING = Origin("file", "f.yaml", 1, 1)


def sweep(text):
    return parse_sweep(parse_yaml(text, "f.yaml"))


def values(swept):
    return [{path: plain(node) for path, node in variant.values} for variant in expand(swept)]


def origins(swept):
    return [[str(node.origin) for _, node in variant.values] for variant in expand(swept)]


def problems(make):
    with pytest.raises(ConfigError) as caught:
        make()
    return [(p.message, p.origin, p.hint) for p in caught.value.problems]


def test_grid_multiplies_the_last_path_fastest():
    found = sweep("grid: {lr: [1, 2], seed: [a, b]}")
    assert values(found) == [
        {"lr": 1, "seed": "a"},
        {"lr": 1, "seed": "b"},
        {"lr": 2, "seed": "a"},
        {"lr": 2, "seed": "b"},
    ]


def test_nested_and_dotted_paths_are_the_same():
    nested = sweep("grid: {training: {optimizer: {lr: [1, 2]}}}")
    assert values(nested) == values(sweep("grid: {training.optimizer.lr: [1, 2]}"))
    assert values(nested) == [{"training.optimizer.lr": 1}, {"training.optimizer.lr": 2}]


def test_value_may_be_a_section_or_a_list():
    found = sweep("grid: {optimizer: [{name: adamw}, {name: sgd}], betas: [[0.9, 0.99]]}")
    assert values(found) == [
        {"optimizer": {"name": "adamw"}, "betas": [0.9, 0.99]},
        {"optimizer": {"name": "sgd"}, "betas": [0.9, 0.99]},
    ]


def test_zip_pairs_values_and_multiplies_with_the_grid():
    found = sweep("grid: {seed: [1, 2]}\nzip: {model: [s, l], batch: [64, 8]}")
    assert values(found) == [
        {"seed": 1, "model": "s", "batch": 64},
        {"seed": 1, "model": "l", "batch": 8},
        {"seed": 2, "model": "s", "batch": 64},
        {"seed": 2, "model": "l", "batch": 8},
    ]


def test_several_zip_groups_multiply():
    found = sweep("zip:\n- {a: [1, 2], b: [3, 4]}\n- {c: [5, 6]}")
    assert values(found) == [
        {"a": 1, "b": 3, "c": 5},
        {"a": 1, "b": 3, "c": 6},
        {"a": 2, "b": 4, "c": 5},
        {"a": 2, "b": 4, "c": 6},
    ]


def test_exclude_leaves_out_what_has_all_of_its_values():
    found = sweep("grid: {a: [1, 2], b: [x, y]}\nexclude: [{a: 1, b: y}, {a: 2, b: x}]")
    assert values(found) == [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]


def test_exclude_sees_into_a_section_that_is_swept_whole():
    found = sweep("grid: {optimizer: [{name: adamw}, {name: sgd}]}\nexclude: [{optimizer: {name: sgd}}]")
    assert values(found) == [{"optimizer": {"name": "adamw"}}]


def test_exclude_takes_neither_true_nor_text_for_a_number():
    found = sweep("grid: {a: [1, true, '1', 2]}\nexclude: [{a: 1.0}]")
    assert values(found) == [{"a": True}, {"a": "1"}, {"a": 2}]


def test_include_adds_variants_of_its_own_that_exclude_leaves_alone():
    found = sweep("grid: {a: [1, 2]}\ninclude:\n- {a: 2, b: {c: 3}}\n- {a: 1, d: []}\nexclude: [{a: 1}]")
    assert values(found) == [{"a": 2}, {"a": 2, "b.c": 3}, {"a": 1, "d": []}]


def test_include_alone_is_all_there_is():
    found = sweep("include: [{a: 1}, {}]")
    assert (values(found), size(found)) == ([{"a": 1}, {}], 2)


def test_variant_that_is_given_twice_is_kept_once_where_it_came_first():
    found = sweep("grid: {a: [1, 2, 1.0]}\ninclude: [{a: 2}, {a: 3}]")
    assert (values(found), size(found)) == ([{"a": 1}, {"a": 2}, {"a": 3}], 5)


def test_origin_is_where_the_value_was_written():
    found = sweep("grid:\n  a: [1,\n    2]\nzip: {b: [3]}\ninclude:\n- a: 4")
    assert origins(found) == [["f.yaml:2:7", "f.yaml:4:11"], ["f.yaml:3:5", "f.yaml:4:11"], ["f.yaml:6:6"]]


def test_sampled_value_tells_the_draw_and_the_line_of_its_range():
    found = sweep("sample:\n  n: 2\n  space:\n    lr: {low: 1.0, high: 2.0}\n    opt: [sgd]")
    assert origins(found) == [
        ["f.yaml:4:9 sample 1 of 2", "f.yaml:5:11 sample 1 of 2"],
        ["f.yaml:4:9 sample 2 of 2", "f.yaml:5:11 sample 2 of 2"],
    ]


def test_sample_draws_what_it_drew_on_every_machine():
    found = sweep(
        "sample:\n  n: 3\n  seed: 7\n  space:\n    lr: {low: 1e-5, high: 1e-3, log: true}\n"
        "    batch: {low: 1, high: 64}\n    dropout: {low: 0.0, high: 0.5}\n"
        "    warmup: {low: 0, high: 0.3, step: 0.1}\n"
        "    rank: {low: 1, high: 256, log: true}\n    opt: [adamw, sgd]"
    )
    assert values(found) == [
        {"lr": 0.00036567, "batch": 41, "dropout": 0.10448, "warmup": 0.2, "rank": 2, "opt": "sgd"},
        {"lr": 0.00013291, "batch": 24, "dropout": 0.063457, "warmup": 0.1, "rank": 2, "opt": "adamw"},
        {"lr": 3.26068e-05, "batch": 61, "dropout": 0.397091, "warmup": 0.2, "rank": 10, "opt": "adamw"},
    ]


def test_another_path_or_more_draws_change_no_draw():
    few = sweep("sample: {n: 5, space: {a: {low: 0.0, high: 1.0}}}")
    many = sweep("sample: {n: 50, space: {b: [1, 2], a: {low: 0.0, high: 1.0}}}")
    assert [v["a"] for v in values(few)] == [v["a"] for v in values(many)][:5]


def test_another_seed_draws_something_else():
    text = "sample: {n: 5, seed: SEED, space: {a: {low: 0.0, high: 1.0}}}"
    assert values(sweep(text.replace("SEED", "1"))) != values(sweep(text.replace("SEED", "2")))


def test_sample_multiplies_with_the_grid():
    found = sweep("grid: {seed: [1, 2]}\nsample: {n: 3, space: {a: {low: 0.0, high: 1.0}}}")
    drawn = values(found)
    assert [v["seed"] for v in drawn] == [1, 1, 1, 2, 2, 2]
    assert [v["a"] for v in drawn[:3]] == [v["a"] for v in drawn[3:]]


def test_path_may_be_called_low_or_step():
    found = sweep("sample: {n: 1, space: {clip: {low: [3], step: {low: 1, high: 2}}}}")
    assert [path for path, _ in expand(found)[0].values] == ["clip.low", "clip.step"]


def test_logarithmic_draws_spread_evenly_over_the_magnitudes():
    found = sweep("sample: {n: 2000, space: {lr: {low: 1e-6, high: 1e-2, log: true}}}")
    below = sum(v["lr"] < 1e-4 for v in values(found))
    assert 900 < below < 1100


def test_whole_numbers_are_drawn_each_as_often():
    found = sweep("grid: {i: [0]}\nsample: {n: 6000, space: {a: {low: 1, high: 6}, b: {low: 0.0, high: 1.0}}}")
    drawn = [v["a"] for v in values(found)]
    assert all(880 < drawn.count(face) < 1120 for face in range(1, 7))


def test_run_tables_are_whole_variants():
    found = run_tables(parse_yaml("- {a: 1, b: {c: 2}}\n- a: 2\n- {}", "f.toml"))
    assert values(found) == [{"a": 1, "b.c": 2}, {"a": 2}, {}]
    assert origins(found)[0] == ["f.toml:1:7", "f.toml:1:17"]


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("a=1,2", [1, 2]),
        ("a=1e-5, x", [1e-5, "x"]),
        ("a=[1,2],[3,4]", [[1, 2], [3, 4]]),
        ("a={b: 1, c: 2},{b: 3}", [{"b": 1, "c": 2}, {"b": 3}]),
        ('a=\'x,y\',"z,\\"w"', ["x,y", 'z,"w']),
        ("a='it''s, so',b", ["it's, so", "b"]),
        ("a=it's,that's", ["it's", "that's"]),
        ("a=['x]',y],z", [["x]", "y"], "z"]),
        ("a=https://x/y,b", ["https://x/y", "b"]),
        ("a=k=v,''", ["k=v", ""]),
        ("a=true,null,no", [True, None, "no"]),
        ("a=],x", ["]", "x"]),
    ],
)
def test_flag_splits_values_at_commas_outside_quotes_and_brackets(word, expected):
    assert [v["a"] for v in values(sweep_flags([word], []))] == expected


def test_flags_multiply_and_tell_their_names():
    found = sweep_flags(["a.b=1,2"], ["c,d=x:1,y:2"])
    assert values(found) == [
        {"a.b": 1, "c": "x", "d": 1},
        {"a.b": 1, "c": "y", "d": 2},
        {"a.b": 2, "c": "x", "d": 1},
        {"a.b": 2, "c": "y", "d": 2},
    ]
    assert origins(found)[0] == ["flag --sweep a.b", "flag --zip c,d", "flag --zip c,d"]


def test_no_flags_are_no_variants():
    assert (size(sweep_flags([], [])), expand(sweep_flags([], []))) == (0, [])


def test_flag_replaces_the_paths_it_sets_and_multiplies_the_rest():
    file = sweep("grid: {a: [1, 2]}\nzip: {b: [3, 4], c: [5, 6]}\nsample: {n: 9, space: {d: {low: 0.0, high: 1.0}}}")
    found = combine(file, sweep_flags(["a=7", "c=8", "d=9,10"], []))
    assert values(found) == [
        {"b": 3, "a": 7, "c": 8, "d": 9},
        {"b": 3, "a": 7, "c": 8, "d": 10},
        {"b": 4, "a": 7, "c": 8, "d": 9},
        {"b": 4, "a": 7, "c": 8, "d": 10},
    ]


def test_flag_that_replaces_all_of_the_product_still_has_its_own_variants():
    file = sweep("grid: {a: [1, 2]}\ninclude: [{b: 3}]")
    assert values(combine(file, sweep_flags(["a=7"], []))) == [{"a": 7}, {"b": 3, "a": 7}]


def test_flag_multiplies_included_variants_and_wins_over_their_values():
    file = run_tables(parse_yaml("- {a: 1}\n- {a: 2, seed: 5}", "f.toml"))
    found = combine(file, sweep_flags(["seed=0,1"], []))
    assert values(found) == [{"a": 1, "seed": 0}, {"a": 1, "seed": 1}, {"a": 2, "seed": 0}, {"a": 2, "seed": 1}]
    assert size(found) == 4


def test_exclude_of_the_file_holds_for_values_of_flags():
    file = sweep("grid: {a: [1, 2]}\nexclude: [{a: 7}]")
    assert values(combine(file, sweep_flags(["a=7,8"], []))) == [{"a": 8}]


def test_no_flags_leave_the_sweep_of_the_file_as_it_is():
    file = sweep("grid: {a: [1, 2]}\ninclude: [{b: 3}]")
    assert expand(combine(file, sweep_flags([], []))) == expand(file)


@pytest.mark.parametrize(
    ("text", "message", "origin", "hint"),
    [
        ("3", "'sweep' takes a section of grid, zip, sample, include, exclude", "f.yaml:1:1", ""),
        ("{}", "'sweep' needs grid, zip, sample or include", "f.yaml:1:1", ""),
        ("gird: {a: [1]}", "unknown key 'sweep.gird'", "f.yaml:1:1", "did you mean 'sweep.grid'?"),
        ("xyz: 1", "unknown key 'sweep.xyz'", "f.yaml:1:1", "there are grid, zip, sample, include, exclude"),
        ("grid: [1]", "'sweep.grid' takes a section of paths", "f.yaml:1:7", ""),
        ("grid: {a: 1}", "'sweep.grid' takes a list of values for 'a'", "f.yaml:1:11", "write a: [VALUE, …]"),
        ("grid: {a: {b: []}}", "'sweep.grid' has no values for 'a.b'", "f.yaml:1:15", ""),
        ("grid: {a: {}}", "'sweep.grid' has no values for 'a'", "f.yaml:1:11", ""),
        ("grid: {a+: [1]}", "'a+' cannot be swept: a variant sets its values whole", "f.yaml:1:8", "write 'a'"),
        (
            "grid: {a!: {b: [1]}}",
            "'a!.b' cannot be swept: a variant sets its values whole",
            "f.yaml:1:13",
            "write 'a.b'",
        ),
        ("grid: {a..b: [1]}", "'a..b' names no key", "f.yaml:1:8", ""),
        ("grid: {a.b: [1], a: {b: [2]}}", "'a.b' is given twice; see f.yaml:1:8 too", "f.yaml:1:22", ""),
        ("grid: {a: [1]}\nzip: {a: [2]}", "'a' is swept twice; see f.yaml:1:12 too", "f.yaml:2:11", ""),
        (
            "grid: &g {a: [1]}\nzip: *g",
            "'a' is swept twice; see f.yaml:1:15 too",
            "f.yaml:1:15",
            "",
        ),
        (
            "zip: {a: [1, 2], b.c: [1, 2, 3]}",
            "'sweep.zip' pairs lists of one length: a has 2, b.c has 3",
            "f.yaml:1:11",
            "",
        ),
        ("include: {a: 1}", "'sweep.include' takes a list of sections", "f.yaml:1:10", "begin each with '- '"),
        ("include: [3]", "'sweep.include' takes a section of paths", "f.yaml:1:11", ""),
        ("include: [{a+: 3}]", "'a+' cannot be swept: a variant sets its values whole", "f.yaml:1:12", "write 'a'"),
        ("grid: {a: [1]}\nexclude: [{}]", "an empty entry excludes every variant", "f.yaml:2:10", ""),
        ("sample: 3", "'sweep.sample' takes a section of n, seed, space", "f.yaml:1:9", ""),
        ("sample: {n: 3}", "'sweep.sample' needs 'space'", "f.yaml:1:9", ""),
        ("sample: {n: 3, space: {}}", "'sweep.sample.space' has no paths", "f.yaml:1:23", ""),
        (
            "sample: {n: 0, space: {a: [1]}}",
            "'sweep.sample.n' takes a whole number from 1 to 100,000",
            "f.yaml:1:13",
            "",
        ),
        (
            "sample: {n: true, space: {a: [1]}}",
            "'sweep.sample.n' takes a whole number from 1 to 100,000",
            "f.yaml:1:13",
            "",
        ),
        (
            "sample: {n: 1, space: {a: 3}}",
            "'sweep.sample.space' takes a list of choices, or low and high, for 'a'",
            "f.yaml:1:27",
            "write a: {low: 1, high: 8}",
        ),
        ("sample: {n: 1, space: {a: {low: 3}}}", "'a' needs 'high'", "f.yaml:1:27", ""),
        (
            "sample: {n: 1, space: {a: {low: 3, high: 4, logg: true}}}",
            "unknown key 'a.logg'",
            "f.yaml:1:45",
            "did you mean 'a.log'?",
        ),
        ("sample: {n: 1, space: {a: {low: x, high: 4}}}", "'a.low' takes a number", "f.yaml:1:33", ""),
        ("sample: {n: 1, space: {a: {low: 1, high: .inf}}}", "'a.high' takes a number", "f.yaml:1:42", ""),
        ("sample: {n: 1, space: {a: {low: true, high: 4}}}", "'a.low' takes a number", "f.yaml:1:33", ""),
        (
            f"sample: {{n: 1, space: {{a: {{low: 1, high: {'9' * 900}}}}}}}",
            "'a.high' takes a number",
            "f.yaml:1:42",
            "",
        ),
        (
            "sample: {n: 1, space: {a: {low: 1, high: 4, log: 1}}}",
            "'a.log' takes true or false",
            "f.yaml:1:50",
            "",
        ),
        (
            "sample: {n: 1, space: {a: {low: 4, high: 4}}}",
            "the range of 'a' is empty: low must be below high",
            "f.yaml:1:27",
            "",
        ),
        (
            "sample: {n: 1, space: {a: {low: 0, high: 4, log: true}}}",
            "the range of 'a' needs low above 0 with log",
            "f.yaml:1:27",
            "",
        ),
        (
            "sample: {n: 1, space: {a: {low: 1, high: 4, log: true, step: 1}}}",
            "the range of 'a' has both log and step",
            "f.yaml:1:27",
            "",
        ),
        (
            "sample: {n: 1, space: {a: {low: 1, high: 4, step: 0}}}",
            "the range of 'a' needs a step above 0 and at most high - low",
            "f.yaml:1:27",
            "",
        ),
        (
            "sample: {n: 1, space: {a: {low: 0.0, high: 1e300, step: 1e-300}}}",
            "the range of 'a' has too many steps",
            "f.yaml:1:27",
            "",
        ),
        (
            "sample: {n: 1, space: {a: {low: -1e308, high: 1e308}}}",
            "the range of 'a' is too wide",
            "f.yaml:1:27",
            "",
        ),
        (
            "grid: {" + ", ".join(f"p{n}: [1]" for n in range(101)) + "}",
            "more than 100 paths are swept",
            "f.yaml:1:1",
            "",
        ),
    ],
)
def test_mistake_in_a_sweep_is_told_with_its_place(text, message, origin, hint):
    assert problems(lambda: sweep(text)) == [(message, origin, hint)]


def test_all_mistakes_of_a_sweep_are_told_at_once():
    text = "gird: 1\ngrid: {a: 1}\nzip: {b: [1], c: [1, 2]}\nsample: {n: x}\ninclude: 3\nexclude: [3]"
    assert [message for message, _, _ in problems(lambda: sweep(text))] == [
        "unknown key 'sweep.gird'",
        "'sweep.grid' takes a list of values for 'a'",
        "'sweep.zip' pairs lists of one length: b has 1, c has 2",
        "'sweep.sample' needs 'space'",
        "'sweep.sample.n' takes a whole number from 1 to 100,000",
        "'sweep.include' takes a list of sections",
        "'sweep.exclude' takes a section of paths",
    ]


def test_run_that_is_no_table_is_refused():
    found = problems(lambda: run_tables(parse_yaml("a: 1", "f.toml")))
    assert found == [("'run' takes a list of sections", "f.toml:1:1", "write [[run]]")]


def test_all_mistakes_of_flags_are_told_at_once():
    grid = ["a", "=1", "b+=1", "c=1,,2", "d=[1", "e=1", "e=2"]
    zips = ["f,g=1:2,3", "h", "i,j=1:2:3"]
    assert problems(lambda: sweep_flags(grid, zips)) == [
        ("'a' sets no values", "flag --sweep", "write --sweep KEY=1,2"),
        ("'' names no key", "flag --sweep ", ""),
        ("'b+' cannot be swept: a variant sets its values whole", "flag --sweep b+", "write 'b'"),
        ("an empty value in '1,,2'", "flag --sweep c", "write '' for an empty text"),
        ("not YAML: did not find expected ',' or ']'", "flag --sweep d", ""),
        ("'3' has 1 values for 2 keys", "flag --zip f,g", "put quotes around a value with a colon"),
        ("'h' sets no values", "flag --zip", "write --zip A,B=1:2,3:4"),
        ("'1:2:3' has 3 values for 2 keys", "flag --zip i,j", "put quotes around a value with a colon"),
        ("'e' is swept twice; see flag --sweep e too", "flag --sweep e", ""),
    ]


def test_exclude_of_what_is_not_swept_is_a_mistake():
    found = sweep("grid: {training.lr: [1]}\nexclude: [{trainng.lr: 1}]")
    assert problems(lambda: expand(found)) == [
        ("exclude names 'trainng.lr', which is not swept", "f.yaml:2:24", "did you mean 'training.lr'?")
    ]


def test_enormous_grid_is_counted_and_refused_without_being_expanded():
    text = "grid: {" + ", ".join(f"p{n}: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]" for n in range(12)) + "}"
    assert size(sweep(text)) == 10**12
    assert problems(lambda: expand(sweep(text))) == [
        (
            "the sweep has 1,000,000,000,000 variants, and 100,000 is the most",
            "f.yaml:1:1",
            "sweep fewer values, or draw some with sample",
        )
    ]


def test_more_rules_than_can_be_matched_are_refused():
    axis = ", ".join(map(str, range(300)))
    text = f"grid: {{a: [{axis}], b: [{axis}]}}\nexclude: [{', '.join(f'{{a: {n}}}' for n in range(200))}]"
    assert problems(lambda: expand(sweep(text))) == [
        ("200 rules of exclude are too many for 90,000 variants", "f.yaml:1:1", "")
    ]


def test_value_that_two_paths_share_by_an_alias_is_two_values():
    assert values(sweep("grid: {a: [&x 1, 2], b: [*x, 2]}")) == [
        {"a": 1, "b": 1},
        {"a": 1, "b": 2},
        {"a": 2, "b": 1},
        {"a": 2, "b": 2},
    ]


def test_number_beyond_reading_is_not_written_out():
    text = "grid: {" + ", ".join(f"p{n}: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]" for n in range(100)) + "}"
    (message, _, _) = problems(lambda: expand(sweep(text)))[0]
    assert message == "the sweep has more than 10^18 variants, and 100,000 is the most"


def test_largest_sweep_that_is_allowed_expands():
    axis = ", ".join(map(str, range(10)))
    found = sweep("grid: {" + ", ".join(f"p{n}: [{axis}]" for n in range(5)) + "}")
    assert size(found) == len(expand(found)) == MAX_VARIANTS


PATHS = st.sampled_from(["a", "b", "b.c", "d.e.f", "g"])
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=3))
NODES = SCALARS.map(lambda value: Scalar(value, NOTHING))
AXES = st.dictionaries(PATHS, st.lists(st.integers(), min_size=1, max_size=3, unique=True), min_size=1, max_size=3)


def section(items):
    return Mapping(items, NOTHING)


def listed(found):
    return Sequence(tuple(Scalar(value, NOTHING) for value in found), NOTHING)


@settings(deadline=None)
@given(AXES)
def test_grid_without_repeats_has_as_many_variants_as_counted_each_path_once(axes):
    found = parse_sweep(section({"grid": section({path: listed(taken) for path, taken in axes.items()})}))
    variants = expand(found)
    assert len(variants) == size(found) == math.prod(map(len, axes.values()))
    assert all([path for path, _ in variant.values] == list(axes) for variant in variants)
    assert expand(found) == variants
    for path, taken in axes.items():
        assert {plain(dict(variant.values)[path]) for variant in variants} == set(taken)


@settings(deadline=None)
@given(AXES, st.lists(st.sampled_from([{"a": 1}, {"a": 1, "b": 2}, {"b.c": "x"}, {}])), st.sets(PATHS, min_size=1))
def test_exclude_only_takes_away_what_it_names(axes, include, some):
    parts = {
        "grid": section({path: listed(taken) for path, taken in axes.items()}),
        "include": Sequence(
            tuple(section({k: Scalar(v, NOTHING) for k, v in each.items()}) for each in include), NOTHING
        ),
    }
    entry = {path: Scalar(axes[path][-1], NOTHING) for path in sorted(some) if path in axes}
    rules = Sequence((section(entry),) if entry else (), NOTHING)
    every = expand(parse_sweep(section(parts)))
    left = expand(parse_sweep(section({**parts, "exclude": rules})))
    gone = [dict(variant.values) for variant in every if variant not in left]
    assert all(values[path] == node for values in gone for path, node in entry.items())
    assert [variant for variant in every if variant in left] == left or include
    assert len(every) <= size(parse_sweep(section(parts)))


NUMBERS = st.one_of(st.integers(-(2**53), 2**53), st.floats(-1e307, 1e307))


@settings(deadline=None)
@given(NUMBERS, NUMBERS, st.booleans(), st.none() | st.floats(1e-3, 1e3) | st.integers(1, 9), st.integers(0, 99))
def test_draws_stay_in_bounds_keep_their_type_and_repeat(low, high, log, step, seed):
    fields = {"low": low, "high": high, "log": log, **({} if step is None else {"step": step})}
    space = section({"a": section({key: Scalar(value, NOTHING) for key, value in fields.items()})})
    sample = section({"n": Scalar(20, NOTHING), "seed": Scalar(seed, NOTHING), "space": space})
    try:
        found = parse_sweep(section({"sample": sample}))
    except ConfigError:
        return
    drawn = [variant["a"] for variant in values(found)]
    assert all(low <= value <= high for value in drawn)
    if isinstance(low, int) and isinstance(high, int) and not isinstance(step, float):
        assert {type(value) for value in drawn} == {int}
    else:
        assert {type(value) for value in drawn} == {float}
    assert values(found) == [{"a": value} for value in drawn]


TREES = st.recursive(
    NODES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: Sequence(tuple(items), NOTHING)),
        st.dictionaries(
            st.sampled_from(
                ["grid", "zip", "sample", "include", "exclude", "n", "seed", "space", "low", "high", "log", "step"]
            )
            | st.text(max_size=3),
            inner,
            max_size=4,
        ).map(section),
    ),
)


@settings(deadline=None)
@given(TREES)
def test_no_tree_raises_anything_but_our_error(tree):
    for read in (parse_sweep, run_tables):
        try:
            found = read(tree)
            assert isinstance(found, Sweep)
            assert len(expand(found)) <= size(found)
        except ConfigError:
            pass


@settings(deadline=None)
@given(st.lists(st.text(max_size=20)), st.lists(st.text(max_size=20)))
def test_no_flag_raises_anything_but_our_error(grid, zips):
    for words in ((grid, zips), ([f"a{n}={text}" for n, text in enumerate(grid)], [])):
        try:
            assert isinstance(sweep_flags(*words), Sweep)
        except ConfigError:
            pass
