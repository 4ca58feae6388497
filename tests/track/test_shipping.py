"""What `tracking.sinks` may say, word for word."""

import pytest

from burnish.core.errors import UsageError
from burnish.track.shipping import BUILTIN, Limits, check_sinks, default_sinks, plugin_names, read_sinks, split_options

EXAMPLE = 'such as [tensorboard, mlflow] or {"mlflow": {"uri": "http://127.0.0.1:5000"}}'
THERE_ARE = "there are tensorboard, mlflow, wandb"
BY_ENVIRONMENT = (
    "by environment: WANDB_API_KEY, MLFLOW_TRACKING_USERNAME, MLFLOW_TRACKING_PASSWORD, MLFLOW_TRACKING_TOKEN"
)


@pytest.fixture
def jotter(tmp_path, monkeypatch, installed):
    """Install a package whose sink is called `jotter`."""
    installed(tmp_path, "jotter", "burnish.sinks", jotter="jotter:Jotter")
    monkeypatch.syspath_prepend(str(tmp_path))


@pytest.mark.parametrize(
    ("told", "found"),
    [
        ("wandb", {"wandb": {}}),
        ([], {}),
        (["mlflow", "wandb", "mlflow"], {"mlflow": {}, "wandb": {}}),
        (("mlflow",), {"mlflow": {}}),
        ({}, {}),
        ({"mlflow": {"uri": "x"}, "wandb": True}, {"mlflow": {"uri": "x"}, "wandb": {}}),
        ({"mlflow": False, "wandb": None, "tensorboard": {}}, {"wandb": {}, "tensorboard": {}}),
    ],
)
def test_sinks_are_read_in_any_shape(told, found):
    check_sinks(told)
    assert read_sinks(told) == found


def test_options_that_were_read_are_nobody_elses():
    told = {"mlflow": {"uri": "x"}}
    read_sinks(told)["mlflow"]["uri"] = "y"
    assert told == {"mlflow": {"uri": "x"}}


def test_without_a_word_tensorboard_is_used_where_it_is_installed():
    assert read_sinks(None) == default_sinks() == {"tensorboard": {}}


@pytest.mark.parametrize(
    "told",
    [
        {"tensorboard": {"timeout_s": 5, "memory_mb": 100.5, "batch_kb": 0}},
        {"mlflow": {"uri": "http://127.0.0.1:5000", "experiment": "größe", "artifacts": False}},
        {"mlflow": {"uri": "postgresql://host/db?user=@me"}},
        {"wandb": {"mode": "online", "project": "p", "entity": "e", "tags": ["model.name"], "folder": "~/w"}},
        {"wandb": {"mode": "offline", "tags": ()}},
    ],
)
def test_options_that_there_are_pass(told):
    check_sinks(told)
    ((name, options),) = read_sinks(told).items()
    limits, own = split_options(options)
    assert {**{key: getattr(limits, key) for key in options if hasattr(limits, key)}, **own} == options
    assert name in BUILTIN


@pytest.mark.parametrize(
    ("told", "message", "hint"),
    [
        (5, "sinks: should be names, or options by name, not 5", EXAMPLE),
        (None, "sinks: should be names, or options by name, not None", EXAMPLE),
        (False, "sinks: should be names, or options by name, not False", EXAMPLE),
        (["mlflow", 5], "sinks: should be names, or options by name, not ['mlflow', 5]", EXAMPLE),
        ("tensorbord", "sinks: no sink 'tensorbord'", "did you mean 'tensorboard'?"),
        ("neptune", "sinks: no sink 'neptune'", THERE_ARE),
        ("q", "sinks: no sink 'q'", THERE_ARE),
        (["mlflow", "wanbd"], "sinks: no sink 'wanbd'", "did you mean 'wandb'?"),
        ({"MLflow": {}}, "sinks: no sink 'MLflow'", "did you mean 'mlflow'?"),
        ({5: {}}, "sinks: no sink '5'", THERE_ARE),
        ({"mlfow": False}, "sinks: no sink 'mlfow'", "did you mean 'mlflow'?"),
        ({"mlflow": 5}, "sinks.mlflow: should be options, true or false, not 5", ""),
        ({"mlflow": "sqlite:///x"}, "sinks.mlflow: should be options, true or false, not 'sqlite:///x'", ""),
        ({"mlflow": ["uri"]}, "sinks.mlflow: should be options, true or false, not ['uri']", ""),
        ({"mlflow": {"ury": "x"}}, "sinks.mlflow.ury: no such option", "did you mean 'uri'?"),
        (
            {"tensorboard": {"colour": 5}},
            "sinks.tensorboard.colour: no such option",
            "there are timeout_s, memory_mb, batch_kb",
        ),
        ({"wandb": {5: 5}}, "sinks.wandb.5: no such option", None),
        ({"mlflow": {"uri": 5}}, "sinks.mlflow.uri: should be text, not 5", ""),
        ({"mlflow": {"uri": True}}, "sinks.mlflow.uri: should be text, not True", ""),
        ({"mlflow": {"artifacts": "no"}}, "sinks.mlflow.artifacts: should be true or false, not 'no'", ""),
        ({"mlflow": {"artifacts": 0}}, "sinks.mlflow.artifacts: should be true or false, not 0", ""),
        ({"wandb": {"mode": "onlne"}}, "sinks.wandb.mode: should be offline or online, not 'onlne'", ""),
        ({"wandb": {"mode": True}}, "sinks.wandb.mode: should be offline or online, not True", ""),
        ({"wandb": {"tags": "seed"}}, "sinks.wandb.tags: should be a list of words, not 'seed'", ""),
        ({"wandb": {"tags": [5]}}, "sinks.wandb.tags: should be a list of words, not [5]", ""),
        ({"wandb": {"timeout_s": "5"}}, "sinks.wandb.timeout_s: should be a number above 0, not '5'", ""),
        ({"wandb": {"timeout_s": True}}, "sinks.wandb.timeout_s: should be a number above 0, not True", ""),
        ({"wandb": {"timeout_s": 0}}, "sinks.wandb.timeout_s: should be a number above 0, not 0", ""),
        ({"wandb": {"memory_mb": -1}}, "sinks.wandb.memory_mb: should be a number above 0, not -1", ""),
        ({"wandb": {"memory_mb": float("nan")}}, "sinks.wandb.memory_mb: should be a number above 0, not nan", ""),
        ({"wandb": {"batch_kb": -1}}, "sinks.wandb.batch_kb: should be a number, at least 0, not -1", ""),
        ({"wandb": {"batch_kb": float("inf")}}, "sinks.wandb.batch_kb: should be a number, at least 0, not inf", ""),
    ],
)
def test_a_mistake_is_told_with_what_to_type(told, message, hint):
    with pytest.raises(UsageError) as caught:
        check_sinks(told)
    assert caught.value.message == message
    assert hint is None or (caught.value.hint or "") == hint


@pytest.mark.parametrize(
    ("told", "path"),
    [
        ({"wandb": {"api_key": "abc"}}, "wandb.api_key"),
        ({"mlflow": {"password": ""}}, "mlflow.password"),
        ({"mlflow": {"uri": "http://me:hunter2@host:5000"}}, "mlflow.uri"),
        ({"mlflow": {"uri": "postgresql+psycopg2://me:hunter2@host/db"}}, "mlflow.uri"),
        ({"mlflow": {"uri": "http://token@host"}}, "mlflow.uri"),
        ({"jotter": {"auth_token": "abc"}}, "jotter.auth_token"),
        ({"jotter": {"login": {"user": "me", "password": "hunter2"}}}, "jotter.login.password"),
        ({"jotter": {"servers": ["http://one", "http://me:hunter2@two"]}}, "jotter.servers.1"),
    ],
)
@pytest.mark.usefixtures("jotter")
def test_credentials_are_refused_and_not_repeated(told, path):
    with pytest.raises(UsageError) as caught:
        check_sinks(told)
    assert caught.value.message == f"sinks.{path}: credentials do not belong into a config"
    assert caught.value.hint == BY_ENVIRONMENT


@pytest.mark.usefixtures("jotter")
def test_a_sink_that_a_package_brings_takes_any_option_of_its_own():
    check_sinks("jotter")
    check_sinks({"jotter": {"folder": "x", "colour": 5, "max_tokens": 3, "timeout_s": 5}})
    assert plugin_names() == ["jotter"]


@pytest.mark.usefixtures("jotter")
def test_what_a_package_brings_is_among_what_there_is():
    with pytest.raises(UsageError) as caught:
        check_sinks("joter")
    assert (caught.value.message, caught.value.hint) == ("sinks: no sink 'joter'", "did you mean 'jotter'?")
    with pytest.raises(UsageError) as caught:
        check_sinks("neptune")
    assert caught.value.hint == f"{THERE_ARE}, jotter"


@pytest.mark.usefixtures("jotter")
def test_walls_of_a_sink_that_a_package_brings_are_looked_at():
    with pytest.raises(UsageError) as caught:
        check_sinks({"jotter": {"timeout_s": "soon"}})
    assert caught.value.message == "sinks.jotter.timeout_s: should be a number above 0, not 'soon'"


def test_walls_are_taken_from_the_options_and_the_rest_is_the_sinks():
    limits, own = split_options({"timeout_s": 5, "uri": "x", "batch_kb": 0.5})
    assert limits == Limits(timeout_s=5.0, batch_kb=0.5)
    assert own == {"uri": "x"}
    assert split_options({}) == (Limits(), {})


def test_walls_that_an_old_record_has_in_another_shape_are_as_by_default():
    assert split_options({"timeout_s": "5", "memory_mb": None}) == (Limits(), {})


@pytest.mark.parametrize("name", BUILTIN)
def test_the_options_of_our_sinks_are_those_that_they_take(name):
    import inspect
    from dataclasses import fields

    from burnish.sinks.registry import _load

    own = {field.name: field.default for field in fields(BUILTIN[name])}
    walls = {field.name for field in fields(Limits)}
    taken = {key: parameter.default for key, parameter in inspect.signature(_load(name)).parameters.items()}
    assert {key: default for key, default in own.items() if key not in walls} == taken
