"""Python files as layers: what they see, what they give, where it stands, and that a static look executes nothing."""

import textwrap
from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import computed_field

from burnish.config import ComponentConfig, Config, Smart, component, load_static
from burnish.config.layer import plain
from burnish.core.hardware import Gpu, Machine

CPU = Machine((), 4, "no NVIDIA driver")
GPU = Machine((Gpu(0, "A100", "u", 80 << 30, (8, 0), "1"),), 4)


@pytest.fixture
def layer(folder):
    """Write `e.py`, which sets the experiment besides."""

    def write(text, name="e.py"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip("\n"))
        return name

    return write


@pytest.fixture
def run(layer, resolve_file, folder):
    """Resolve `e.py` over `base.yaml`, whose last line names the experiment."""

    def call(text, base="", **words):
        (folder / "base.yaml").write_text(f"{base.strip()}\nexperiment: demo\n")
        return resolve_file(layer(f'extends = "base.yaml"\n{textwrap.dedent(text)}'), **words)

    return call


@pytest.fixture
def problems(run, told):
    return lambda *args, **words: told(lambda: run(*args, **words).on_machine(CPU))


# --- reading without executing


def test_extends_is_read_without_executing(layer, folder):
    (folder / "base.yaml").write_text("seed: 4\n")
    layer('extends = "base.yaml"\nopen("executed", "w")\ndef configure(config): return {}')
    assert plain(load_static(Path("e.py"))) == {"seed": 4}
    assert not (folder / "executed").exists()


def test_static_look_executes_no_parent_either(layer, folder):
    layer('open("executed", "w")\ndef configure(config): return {"seed": 1}', "base.py")
    (folder / "e.yaml").write_text("extends: base.py\nname: x\n")
    assert plain(load_static(Path("e.yaml"))) == {"name": "x"}
    assert not (folder / "executed").exists()


def test_static_look_at_the_command_line_executes_nothing(burnish):
    burnish.write("e.py", 'open("executed", "w")\ndef configure(config): return {"seed": 1}')
    burnish.write("e.yaml", "extends: e.py\nname: x\n")
    assert burnish.json("config", "show", "e.yaml", "--static") == {
        "values": {"name": "x"},
        "origins": {"name": "e.yaml:2:7"},
    }
    assert not (burnish.root / "executed").exists()


def test_layer_is_executed_once(run, folder):
    run('with open("executed", "a") as file: file.write("x")\ndef configure(config): return {}')
    assert (folder / "executed").read_text() == "x"


def test_layer_extends_several_files_of_any_format(layer, resolve_file, folder):
    (folder / "a.toml").write_text('experiment = "demo"\nseed = 1\nname = "a"\n')
    (folder / "b.yaml").write_text("seed: 2\n")
    values = resolve_file(layer('extends = ["a.toml", "b.yaml"]\ndef configure(config): return {}')).values
    assert (values["seed"], values["name"]) == (2, "a")


@pytest.mark.parametrize(
    ("line", "message", "origin"),
    [
        ('extends = "a" + ".yaml"', "extends takes a file name or a list of them, written out", "e.py:1:11"),
        ("extends = [3]", "extends takes a file name or a list of them, written out", "e.py:1:11"),
        ("extends = names()", "extends takes a file name or a list of them, written out", "e.py:1:11"),
        ('extends = "nope.yaml"', "no such file: nope.yaml", "e.py:1:11"),
        ("def configure(config:", "not PythonNOTE", "e.py:1:14"),
    ],
)
def test_extends_that_cannot_be_read_is_told(layer, resolve_file, told, line, message, origin):
    layer(line)
    ((text, place, _),) = told(lambda: resolve_file("e.py"))
    assert (text.replace(": '(' was never closed", "NOTE"), place) == (message, origin)


def test_bytes_that_are_no_utf8_are_told(folder, resolve_file, told):
    (folder / "e.py").write_bytes(b"x = 1\ny = '\xff'\n")
    assert told(lambda: resolve_file("e.py")) == [("not Python: a byte that is not UTF-8", "e.py:2", "")]


def test_file_without_a_function_is_told(layer, resolve_file, told):
    layer("x = 1\n")
    assert ("no function 'configure(config)' in this file", "e.py", "") in told(lambda: resolve_file("e.py"))


# --- what configure sees


def test_configure_sees_what_all_files_below_say(run, folder):
    (folder / "experiments").mkdir()
    (folder / "experiments/default.yaml").write_text("training: {max_steps: 2, warmup: 1}\n")
    (folder / "user/burnish").mkdir(parents=True)
    (folder / "user/burnish/user.toml").write_text("training.max_steps = 3\ntraining.learning_rate = 0.5\n")
    (folder / "low.yaml").write_text("training: {learning_rate: 0.25}\n")
    resolved = run(
        """
        def configure(config):
            seen = config.training
            return {"extra": {"seen": [seen.max_steps, seen.warmup, seen.learning_rate]}}
        """,
        base="extends: low.yaml",
    )
    assert resolved.values["extra"] == {"seen": [3, 1, 0.25]}


def test_configure_sees_neither_variables_nor_flags(run):
    resolved = run(
        "def configure(config): return {'extra': {'seen': config.seed}}",
        base="seed: 1",
        flags=["--seed=2"],
        environ={"LLM__SEED": "3"},
    )
    assert (resolved.values["extra"], resolved.values["seed"]) == ({"seen": 1}, 2)


def test_configure_sees_the_defaults_of_the_experiment_that_a_file_below_names(run):
    resolved = run("def configure(config): return {'seed': config.training.max_steps + config.model.layers}")
    assert resolved.values["seed"] == 104


def test_configure_sees_defaults_of_the_experiment_that_a_file_above_names(layer, resolve_file, folder):
    layer("def configure(config): return {'seed': config.training.max_steps}", "low.py")
    (folder / "e.yaml").write_text("extends: low.py\nexperiment: demo\n")
    assert resolve_file("e.yaml").values["seed"] == 100


class OptimizerConfig(ComponentConfig):
    rate: float = 0.5
    decay: float = 0.25


class PartConfig(Config):
    a: int = 1
    b: int = 2


class WithDefaults(Config):
    renamed = {"old_seed": "seed"}
    experiment: str
    seed: int = 0
    seen: list[float] = []
    part: PartConfig = PartConfig(b=20)
    optimizer: component("optimizers") = OptimizerConfig(name="adam", decay=0.125)
    rewards: list[component("optimizers")] = [OptimizerConfig(name="adam", rate=0.75)]


def test_configure_sees_the_rest_of_a_default_that_is_overridden_in_part(run, register):
    register("experiments", "demo", WithDefaults)
    register("optimizers", "adam", OptimizerConfig)
    resolved = run(
        "def configure(config): return {'seen': [config.part.a, config.part.b, config.optimizer.decay]}",
        base="part: {a: 3}\noptimizer: {rate: 0.1}",
    )
    assert resolved.values["seen"] == [3, 20, 0.125]


def test_configure_sees_a_component_that_is_named_by_a_word_alone_as_a_section(run, register):
    register("experiments", "demo", WithDefaults)
    register("optimizers", "adam", OptimizerConfig)
    resolved = run(
        "def configure(config): return {'seen': [len(config.optimizer.name), config.optimizer.rate]}",
        base="optimizer: adam",
    )
    assert resolved.values["seen"] == [4, 0.5]


def test_configure_sees_addressed_elements_of_default_lists_and_values_of_old_names(run, register):
    register("experiments", "demo", WithDefaults)
    register("optimizers", "adam", OptimizerConfig)
    resolved = run(
        "def configure(config): return {'seen': [config.seed, config.rewards[0]['rate'], config.rewards[0]['decay']]}",
        base="old_seed: 7\nrewards[adam].decay: 0.5",
    )
    assert resolved.values["seen"] == [7, 0.75, 0.5]
    assert resolved.warnings == ("old_seed is now seed (base.yaml:1:11)",)


def test_configure_sees_references_followed(run):
    resolved = run(
        "def configure(config): return {'extra': {'seen': [config.name, config.seed, config.version]}}",
        base="name: n${seed}\nseed: ${= 2 * 3}\nversion: ${env:V}",
        environ={"V": "1.10"},
    )
    assert resolved.values["extra"] == {"seen": ["n6", 6, 1.1]}


@pytest.mark.parametrize(
    "expression",
    [
        "config.training.max_steps",
        "config['training']['max_steps']",
        "config['training.max_steps']",
        "config.get('training.max_steps')",
        "config.training.get('max_steps', 3)",
        "config.get('training.nothing', 100)",
        "dict(config.training.items()).get('max_steps')",
        "{**config.training}['max_steps']",
        "100 if 'max_steps' in config.training and 'nothing' not in config.training else 0",
        "[100][len(config.labels)]",
    ],
)
def test_value_can_be_asked_for_in_the_ways_of_a_dict_and_of_an_object(run, expression):
    assert (
        run(f"def configure(config): return {{'seed': {expression}}}", base="training: {max_steps: 100}").values["seed"]
        == 100
    )


def test_config_below_cannot_be_changed(problems):
    ((message, origin, _),) = problems("def configure(config):\n    config['seed'] = 1")
    assert (message, origin) == ("TypeError: 'View' object does not support item assignment", "e.py:3")


def test_key_that_is_not_there_is_told_with_the_nearest(problems):
    found = problems(
        "def configure(config):\n    return {'seed': config.training.max_step}", base="training: {max_steps: 3}"
    )
    assert found == [
        ("AttributeError: the config has no 'training.max_step' here; did you mean 'max_steps'?", "e.py:3", "")
    ]


def test_item_that_is_not_there_is_told_like_an_attribute(problems):
    found = problems("def configure(config):\n    return {'seed': config['sead']}", base="seed: 3")
    assert found == [("KeyError: the config has no 'sead' here; did you mean 'seed'?", "e.py:3", "")]


# --- what is recorded


def test_what_configure_reads_is_recorded_and_told_by_the_origin(run):
    resolved = run(
        """
        def configure(config):
            steps = config.training.max_steps * config.seed + config.training.max_steps
            return {"training": {"warmup": steps}}
        """,
        base="seed: 2",
    )
    assert resolved.reads == {"e.py": ("training.max_steps", "seed")}
    assert str(resolved.origins["training.warmup"]) == "e.py:5:36 computed from training.max_steps, seed"


def test_only_the_first_four_reads_are_in_the_origin(run):
    resolved = run(
        """
        def configure(config):
            t = config.training
            return {"name": str([config.seed, t.max_steps, t.learning_rate, t.shuffle, t.warmup, t.schedule])}
        """
    )
    assert str(resolved.origins["name"]).endswith(
        "computed from seed, training.max_steps, training.learning_rate, training.shuffle and 2 more"
    )
    assert len(resolved.reads["e.py"]) == 6


def test_value_that_needs_no_other_is_not_called_computed(run):
    assert str(run("def configure(config): return {'seed': 3}").origins["seed"]) == "e.py:2:40"


def test_values_of_returned_literals_have_their_own_places(run):
    resolved = run(
        """
        def configure(config):
            return {
                "seed": 3,
                "training": {
                    "max_steps": 5,
                },
                "tags": ["a"],
            }
        """
    )
    places = [str(resolved.origins[key]) for key in ("seed", "training.max_steps", "tags.0")]
    assert places == ["e.py:5:17", "e.py:7:26", "e.py:9:17"]


def test_values_that_are_not_written_out_have_the_place_of_the_function(run):
    resolved = run("x = 1\n\ndef configure(config):\n    found = dict(seed=3)\n    return found")
    assert str(resolved.origins["seed"]) == "e.py:4"


def test_unknown_key_of_a_layer_is_told_at_its_place(problems):
    assert problems("def configure(config): return {'sead': 3}") == [
        ("unknown key 'sead'", "e.py:2:40", "did you mean seed?")
    ]


def test_wrong_value_of_a_layer_is_told_with_what_it_was_computed_from(problems):
    assert problems("def configure(config): return {'training': {'max_steps': -config.seed}}", base="seed: 2") == [
        ("training.max_steps: should be greater than or equal to 1, not -2", "e.py:2:58 computed from seed", "")
    ]


def test_history_of_a_value_goes_through_the_layer(run):
    resolved = run("def configure(config): return {'seed': config.seed + 1}", base="seed: 2", flags=["--seed=9"])
    assert [(value, str(origin)) for value, origin in resolved.history("seed")][:3] == [
        (9, "flag --seed"),
        (3, "e.py:2:40 computed from seed"),
        (2, "base.yaml:1:7"),
    ]


def test_dotted_key_of_a_returned_dict_is_a_path(run):
    assert run("def configure(config): return {'training.max_steps': 7}").values["training"]["max_steps"] == 7


def test_layer_appends_and_deletes_as_files_do(run):
    resolved = run("def configure(config): return {'tags+': ['b'], 'seed': '~delete'}", base="tags: [a]\nseed: 4")
    assert (resolved.values["tags"], resolved.values["seed"]) == (["a", "b"], 0)


def test_configure_that_returns_nothing_sets_nothing(run):
    assert run("def configure(config): pass", base="seed: 4").values["seed"] == 4


def test_numbers_of_numpy_paths_and_enums_are_plain_values(run):
    resolved = run(
        """
        import enum, pathlib
        import numpy as np
        class Color(enum.Enum):
            RED = "red"
        def configure(config):
            numbers = {"n": np.int64(3), "f": np.float32(0.5), "t": (1, 2)}
            return {"extra": {**numbers, "p": pathlib.Path("a/b"), "e": Color.RED}}
        """
    )
    assert resolved.values["extra"] == {"n": 3, "f": 0.5, "p": "a/b", "e": "red", "t": [1, 2]}


@pytest.mark.parametrize(
    ("returned", "message", "hint"),
    [
        (
            "{'extra': {'x': object()}}",
            "configure returned extra.x of type object",
            "a layer holds numbers, text, lists and sections",
        ),
        (
            "{'extra': {'x': [1, {2}]}}",
            "configure returned extra.x.1 of type set",
            "a layer holds numbers, text, lists and sections",
        ),
        (
            "{'extra': b'x'}",
            "configure returned extra of type bytes",
            "a layer holds numbers, text, lists and sections",
        ),
        ("[1]", "configure returned no section, but list", ""),
        ("3", "configure returned no section, but int", ""),
        ("lambda: 1", "configure returned a value of type function", "a layer holds numbers, text, lists and sections"),
    ],
)
def test_what_no_layer_can_hold_is_told(problems, returned, message, hint):
    ((text, origin, told_hint),) = problems(f"def configure(config):\n    return {returned}")
    assert (text, told_hint) == (message, hint)
    assert origin.startswith("e.py:")


def test_endless_nesting_is_told(problems):
    ((message, origin, _),) = problems("def configure(config):\n    d = {}\n    d['d'] = d\n    return {'extra': d}")
    assert (message, origin) == ("nested deeper than 100 levels", "e.py:5:22")


def test_numpy_array_is_told_and_no_bug_of_ours(problems):
    ((message, _, _),) = problems("import numpy\ndef configure(config):\n    return {'extra': {'x': numpy.zeros(3)}}")
    assert message == "configure returned extra.x of type ndarray"


# --- errors of the user's own code


@pytest.mark.parametrize(
    ("text", "message", "origin"),
    [
        (
            "import nothing_of_this_name\ndef configure(config): pass",
            "ModuleNotFoundError: No module named 'nothing_of_this_name'",
            "e.py:2",
        ),
        ("def configure(config):\n    x = 1\n    raise ValueError('too small')", "ValueError: too small", "e.py:4"),
        (
            "def helper(): return 1 / 0\ndef configure(config): helper()",
            "ZeroDivisionError: division by zero",
            "e.py:2",
        ),
        ("import sys\ndef configure(config):\n    sys.exit(3)", "SystemExit: 3", "e.py:4"),
        ("def configure(): pass", "TypeError: configure() takes 0 positional arguments but 1 was given", "e.py"),
        (
            "def configure(config): return configure(config)",
            "RecursionError: maximum recursion depth exceeded",
            "e.py:2",
        ),
        (
            "import json\ndef configure(config):\n    json.loads('[')",
            "JSONDecodeError: Expecting value: line 1 column 2 (char 1)",
            "e.py:4",
        ),
    ],
)
def test_error_in_a_layer_is_told_with_its_line(problems, text, message, origin):
    ((found, place, _),) = problems(text)
    assert (found, place) == (message, origin)


def test_error_in_a_module_that_a_layer_imports_is_told_at_the_line_that_called_it(problems, folder):
    (folder / "helper_of_layer.py").write_text("def f():\n    raise OSError('gone')\n")
    assert problems("import helper_of_layer\ndef configure(config):\n    helper_of_layer.f()") == [
        ("OSError: gone", "e.py:4", "")
    ]


def test_error_in_a_layer_does_not_hide_the_other_mistakes(problems):
    found = problems(
        "def configure(config):\n    raise ValueError('bad')", base="sead: 1", flags=["--training.max_steps=0"]
    )
    assert [message for message, _, _ in found] == [
        "ValueError: bad",
        "training.max_steps: should be greater than or equal to 1, not 0",
        "unknown key 'sead'",
    ]


# --- values of the machine

ON_MACHINE = """
MACHINE = ["training.max_steps"]

def on_machine(config, machine):
    return {"training": {"max_steps": 80 if machine.gpus else 40 * (config.seed + 1)}}
"""


def test_value_of_the_machine_is_auto_until_the_run_starts(run):
    resolved = run(ON_MACHINE)
    assert resolved.values["training"]["max_steps"] == "auto"
    assert str(resolved.origins["training.max_steps"]) == "e.py:3:12 until the run starts"
    assert resolved.is_undecided


@pytest.mark.parametrize(
    ("machine", "value", "note"), [(CPU, 80, "on 4 CPUs, no GPU (no NVIDIA driver)"), (GPU, 80, "on 1 × A100")]
)
def test_on_machine_gives_the_value_with_the_machine_as_origin(run, machine, value, note):
    resolved = run(ON_MACHINE, base="seed: 1").on_machine(machine)
    assert (resolved.values["training"]["max_steps"], resolved.is_undecided) == (value, False)
    origin = str(resolved.origins["training.max_steps"])
    assert origin.startswith("e.py:6:")
    assert origin.endswith(note)


def test_flag_above_wins_over_the_value_of_the_machine(run):
    resolved = run(ON_MACHINE, flags=["--training.max_steps=7"])
    assert (resolved.values["training"]["max_steps"], resolved.on_machine(GPU).values["training"]["max_steps"]) == (
        7,
        7,
    )


def test_value_that_the_machine_gives_is_checked_against_the_schema(run, told):
    resolved = run(
        'MACHINE = ["training.max_steps"]\ndef on_machine(config, machine): return {"training": {"max_steps": 0}}'
    )
    ((message, origin, _),) = told(lambda: resolved.on_machine(CPU))
    assert message == "training.max_steps: should be greater than or equal to 1, not 0"
    assert origin.startswith("e.py:3:")


@pytest.mark.parametrize(
    ("text", "message", "origin"),
    [
        (
            'MACHINE = ["seed"]\ndef on_machine(config, machine): return {"seed": 1, "name": "x"}',
            "name: MACHINE does not name it",
            "e.py:3",
        ),
        (
            'MACHINE = ["seed", "name"]\ndef on_machine(config, machine): return {"seed": 1}',
            "name: MACHINE names it and on_machine does not give it",
            "e.py:3",
        ),
    ],
)
def test_keys_of_machine_and_on_machine_must_agree(run, told, text, message, origin):
    resolved = run(text)
    assert told(lambda: resolved.on_machine(CPU)) == [(message, origin, "")]


@pytest.mark.parametrize(
    ("text", "message", "origin"),
    [
        (
            'MACHINE = ["seed"]\ndef configure(config): pass',
            "no function 'on_machine' beside MACHINE in this file",
            "e.py",
        ),
        ("def on_machine(config, machine): return {}", "no MACHINE = [...] beside 'on_machine' in this file", "e.py"),
        (
            "MACHINE = sorted({'seed'})\ndef on_machine(config, machine): return {}",
            "MACHINE is a list of keys, written out",
            "e.py:2",
        ),
    ],
)
def test_machine_and_on_machine_stand_beside_each_other(problems, text, message, origin):
    assert problems(text) == [(message, origin, "")]


def test_error_in_on_machine_is_told_with_its_line(run, told):
    resolved = run('MACHINE = ["seed"]\ndef on_machine(config, machine):\n    return {"seed": machine.gpus[0].index}')
    assert told(lambda: resolved.on_machine(CPU)) == [("IndexError: tuple index out of range", "e.py:4", "")]


# --- check


def test_finding_of_check_is_told_at_the_origin_of_the_value(problems):
    text = """
    def check(config):
        if config.training.max_steps % 96:
            yield "training.max_steps", "must be a multiple of 96"
        yield "model.layers", "too few"
    """
    assert problems(text, flags=["--training.max_steps=100"], base="model: {name: llama, layers: 2}") == [
        ("training.max_steps: must be a multiple of 96", "flag --training.max_steps", "checked by e.py"),
        ("model.layers: too few", "base.yaml:1:30", "checked by e.py"),
    ]


def test_check_sees_the_values_of_every_layer_and_all_defaults(run):
    text = "def check(config):\n    assert (config.seed, config.training.max_steps, config.model.layers) == (9, 100, 4)"
    assert run(text, base="seed: 1", flags=["--seed=9"]).values["seed"] == 9


def test_check_looks_again_at_what_the_machine_chose(run, told):
    check = "def check(config):\n    if config.training.max_steps == 80: yield 'training.max_steps', 'not 80'"
    resolved = run(f"{ON_MACHINE}\n{check}")
    ((message, origin, hint),) = told(lambda: resolved.on_machine(GPU))
    assert (message, hint) == ("training.max_steps: not 80", "checked by e.py")
    assert "on 1 × A100" in origin


def test_check_that_finds_nothing_changes_nothing(run):
    assert run("def check(config): return None", base="seed: 3").values["seed"] == 3


@pytest.mark.parametrize(
    ("body", "message", "origin"),
    [
        ("yield 'seed'", "check yields pairs of a path and a message, not 'seed'", "e.py:2"),
        ("raise RuntimeError('broken')", "RuntimeError: broken", "e.py:3"),
        ("return 3", "TypeError: 'int' object is not iterable", "e.py"),
    ],
)
def test_check_that_goes_wrong_is_told(problems, body, message, origin):
    assert [found[:2] for found in problems(f"def check(config):\n    {body}")] == [(message, origin)]


def test_finding_about_a_section_or_an_unknown_path_is_told_with_the_file(problems):
    assert problems("def check(config): yield 'training', 'odd'") == [("training: odd", "e.py", "checked by e.py")]


# --- YAML, TOML and Python together


class BatchConfig(Config):
    learning_rate: float = 1e-3
    max_steps: int = 100
    warmup_steps: int = 0
    batch_size: int = 8
    device: Annotated[Literal["auto", "cpu", "cuda"], Smart("device")] = "auto"


class TeamConfig(Config):
    experiment: str
    data_root: str = ""
    training: BatchConfig = BatchConfig()

    @computed_field
    @property
    def total_samples(self) -> int:
        return self.training.batch_size * self.training.max_steps


@pytest.fixture
def team(register, folder, layer, resolve_file):
    """YAML for what is tuned, Python for what is computed, TOML for the user's own machine."""
    register("experiments", "team", TeamConfig)
    (folder / "experiments").mkdir()
    (folder / "experiments/default.yaml").write_text("training:\n  learning_rate: 5e-5\n")
    (folder / "user/burnish").mkdir(parents=True)
    (folder / "user/burnish/user.toml").write_text('data_root = "/mnt/data"\n[training]\nlearning_rate = 1e-5\n')
    (folder / "tuned.yaml").write_text("experiment: team\ntraining:\n  learning_rate: 2e-5\n  max_steps: 400\n")
    layer(
        """
        extends = "../tuned.yaml"
        MACHINE = ["training.batch_size"]

        def configure(config):
            return {"training": {"warmup_steps": config.training.max_steps // 10}}

        def on_machine(config, machine):
            return {"training": {"batch_size": 32 if machine.gpus else 4}}

        def check(config):
            if config.training.warmup_steps > config.training.max_steps // 4:
                yield "training.warmup_steps", "more than a quarter of all steps"
        """,
        "experiments/run.py",
    )
    return lambda **words: resolve_file("experiments/run.py", **words)


def test_layers_of_three_formats_make_one_config(team):
    resolved = team(flags=["--training.learning_rate=3e-5"]).on_machine(CPU)
    assert resolved.values == {
        "experiment": "team",
        "data_root": "/mnt/data",
        "training": {
            "learning_rate": 3e-5,
            "max_steps": 400,
            "warmup_steps": 40,
            "batch_size": 4,
            "device": "cpu",
        },
    }
    value, origin = resolved.computed["total_samples"]
    assert (value, str(origin)) == (1600, "computed from training.batch_size, training.max_steps")


def test_history_names_the_layers_of_three_formats(team):
    history = team(flags=["--training.learning_rate=3e-5"]).history("training.learning_rate")
    *written, default = [(value, str(origin)) for value, origin in history]
    assert written == [
        (3e-5, "flag --training.learning_rate"),
        (2e-5, "tuned.yaml:3:18"),
        (1e-5, "user/burnish/user.toml:3:17"),
        (5e-5, "experiments/default.yaml:2:18"),
    ]
    assert default[0] == 1e-3


def test_computed_value_follows_the_files_and_not_the_flags(team):
    resolved = team(flags=["--training.max_steps=800"])
    assert (resolved.values["training"]["warmup_steps"], resolved.values["training"]["max_steps"]) == (40, 800)


def test_layer_checks_across_fields_of_other_formats(team, told):
    assert told(lambda: team(flags=["--training.warmup_steps=200"]).on_machine(CPU)) == [
        (
            "training.warmup_steps: more than a quarter of all steps",
            "flag --training.warmup_steps",
            "checked by experiments/run.py",
        )
    ]


def test_computed_field_cannot_be_set(team, told):
    assert told(lambda: team(environ={"LLM__TOTAL_SAMPLES": "3"})) == [
        (
            "total_samples is computed and cannot be set",
            "env LLM__TOTAL_SAMPLES",
            "remove it, or set what it is made of",
        )
    ]


def test_layer_may_hold_dataclasses(run):
    text = """
    from dataclasses import dataclass

    @dataclass
    class Schedule:
        steps: "int"

    def configure(config):
        return {"seed": Schedule(3).steps}
    """
    assert run(text).values["seed"] == 3


def test_check_is_asked_once_the_machine_has_chosen(run):
    text = f"{ON_MACHINE}\ndef check(config):\n    assert isinstance(config.training.max_steps, int)"
    assert run(text).on_machine(GPU).values["training"]["max_steps"] == 80


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return {'seed': 10 ** 5000}", "configure returned seed of type int"),
        ("raise GeneratorExit('gone')", "GeneratorExit: gone"),
        ("class E(Exception):\n        def __str__(self): return 1 / 0\n    raise E", "E: (its text cannot be shown)"),
        ("API_KEY = 'abcdef123'\n    raise ValueError(API_KEY)", "ValueError: ***"),
    ],
)
def test_whatever_a_layer_does_is_one_clear_mistake(problems, body, message):
    assert problems(f"def configure(config):\n    {body}")[0][0] == message
