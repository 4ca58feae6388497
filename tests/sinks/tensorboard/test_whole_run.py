import json

import pytest
import torch
from tensorboard import context
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.compat.proto.graph_pb2 import GraphDef
from tensorboard.plugins.base_plugin import TBContext
from tensorboard.plugins.hparams import api_pb2, backend_context, get_experiment, list_session_groups

from burnish.journal import JournalWriter, Kind
from burnish.track.blobs import store_blob
from burnish.track.graph import model_graph

ANY_STATUS = [api_pb2.STATUS_UNKNOWN, api_pb2.STATUS_SUCCESS, api_pb2.STATUS_FAILURE, api_pb2.STATUS_RUNNING]
CONTEXT = context.RequestContext()


def read_folder(runs):
    """Return what TensorBoard without its data server reads of a folder of runs."""
    multiplexer = EventMultiplexer(tensor_size_guidance={"scalars": 1000})
    multiplexer.AddRunsFromDirectory(str(runs)).Reload()
    return MultiplexerDataProvider(multiplexer, str(runs))


def read_hparams(provider):
    """Return what the HParams tab lists: parameters, metrics, and each run's values, status and number of metrics."""
    plugin = backend_context.Context(TBContext(data_provider=provider, logdir=""))
    request = api_pb2.GetExperimentRequest(experiment_name="", include_metrics=True)
    experiment = get_experiment.Handler(CONTEXT, plugin, "", request).run()
    wanted = api_pb2.ListSessionGroupsRequest(allowed_statuses=ANY_STATUS, slice_size=100, include_metrics=True)
    groups = list_session_groups.Handler(CONTEXT, plugin, "", wanted).run().session_groups
    found = {}
    for group in groups:
        (session,) = group.sessions
        values = {name: getattr(value, value.WhichOneof("kind")) for name, value in group.hparams.items()}
        status = api_pb2.Status.Name(session.status).removeprefix("STATUS_")
        found[session.name.removesuffix("/tensorboard")] = values, status, len(session.metric_values)
    names = {info.name for info in experiment.hparam_infos}
    return names, {(info.name.group, info.name.tag) for info in experiment.metric_infos}, found


def hparams_of(shipping):
    _, _, found = read_hparams(read_folder(shipping.run.root.parent))
    return found.get(shipping.run.name)


def test_hparams_tab_lists_config_status_and_metrics_of_several_runs(tmp_path, shipping_of, attempt, configure):
    config = {"lr": 1e-3, "seed": 3, "model": {"name": "größe", "bias": True, "sizes": [1, 2]}, "resume": None}
    for number, status in enumerate(("finished", "failed", "stopped", "")):
        one = shipping_of(tmp_path / "several", f"20260101_toy_k7f{number}")
        configure({**config, "seed": number}, run=one.run)
        attempt(1, range(3), run=one.run)
        one.ship(status)
    names, metrics, found = read_hparams(read_folder(tmp_path / "several"))
    assert names == {"lr", "seed", "model.name", "model.bias", "model.sizes", "resume"}
    assert metrics == {("", "loss"), ("", "größe"), ("", "eval/score")}
    told = {"lr": 1e-3, "model.name": "größe", "model.bias": True, "model.sizes": "[1, 2]", "resume": "null"}
    assert found == {
        f"20260101_toy_k7f{number}": ({**told, "seed": number}, status, 3)
        for number, status in enumerate(("SUCCESS", "FAILURE", "UNKNOWN", "UNKNOWN"))
    }


def test_values_that_the_tab_does_not_hold_are_shown_as_text(shipping, attempt, configure):
    config = {"big": 2**60 + 1, "exact": 2**60, "inf": float("inf"), "nan": float("nan"), "long": "x" * 600, "no": []}
    configure(config)
    attempt(1, range(2))
    shipping.ship()
    values, _, _ = hparams_of(shipping)
    assert values["big"] == str(2**60 + 1)
    assert values["exact"] == 2**60
    assert (values["inf"], values["nan"], values["no"]) == ("Infinity", "NaN", "[]")
    assert values["long"] == "x" * 500 + "…"
    assert shipping.mapped["hyperparameter cut"] == 1


def test_config_that_is_known_late_is_told_then(shipping, attempt, configure):
    configure()
    attempt(1, range(3))
    shipping.ship("")
    assert hparams_of(shipping) is None
    configure({"lr": 0.5})
    attempt(2, range(3, 5))
    shipping.ship("")
    assert hparams_of(shipping) == ({"lr": 0.5}, "UNKNOWN", 3)


def test_config_that_comes_after_the_last_entry_is_told_at_the_end(shipping, attempt, configure):
    attempt(1, range(3))
    shipping.ship("")
    configure({"lr": 0.5}, ended=1e9 + 60)
    shipping.ship("finished")
    assert hparams_of(shipping) == ({"lr": 0.5}, "SUCCESS", 3)


def test_run_without_a_config_is_not_listed(shipping, attempt, configure):
    configure()
    attempt(1, range(3))
    shipping.ship("finished")
    assert hparams_of(shipping) is None
    assert len(shipping.files) == 1


def test_config_that_cannot_be_read_stops_nothing(shipping, attempt, configure):
    configure()
    shipping.run.config.write_bytes(b"\xff: [")
    attempt(1, range(3))
    shipping.ship("finished")
    assert shipping.steps("loss") == [0, 1, 2]
    assert hparams_of(shipping) is None


def test_resumed_run_has_its_new_config_and_only_its_last_status(shipping, attempt, configure):
    configure({"lr": 0.5})
    attempt(1, range(3))
    shipping.ship("failed")
    assert hparams_of(shipping) == ({"lr": 0.5}, "FAILURE", 3)
    configure({"lr": 0.5, "steps": 9})
    attempt(2, range(3, 5))
    shipping.ship("")
    assert hparams_of(shipping) == ({"lr": 0.5, "steps": 9}, "UNKNOWN", 3)
    shipping.ship("finished")
    assert hparams_of(shipping) == ({"lr": 0.5, "steps": 9}, "SUCCESS", 3)
    assert sum(name.endswith(".end") for name in shipping.files) == 1


def test_shipping_again_leaves_the_files_of_the_whole_run_as_they_are(shipping, attempt, configure):
    configure({"lr": 0.5}, ended=1e9 + 60)
    attempt(1, range(3))
    shipping.ship("finished")
    before = {path: path.stat().st_ino for path in shipping.folder.iterdir()}
    shipping.ship("finished")
    shipping.state, shipping.offsets = {}, {}
    shipping.ship("")
    shipping.ship("finished")
    after = {path: path.stat().st_ino for path in shipping.folder.iterdir()}
    assert {path.name for path in before} == {path.name for path in after}
    assert sum(after[path] != inode for path, inode in before.items()) <= 1  # the end was taken back and told again


@pytest.mark.parametrize("left", [b"", b"half", b"x" * 10_000])
def test_files_of_the_whole_run_that_a_crash_or_somebody_left_broken_are_mended(shipping, attempt, configure, left):
    configure({"lr": 0.5})
    attempt(1, range(3))
    shipping.ship("finished")
    good = shipping.files
    broken = [name for name in good if "hparams" in name or name.endswith(".end")]
    assert len(broken) == 2
    for name in broken:
        (shipping.folder / name).write_bytes(left)
    (shipping.folder / ".burnish-draft").write_bytes(left)
    shipping.ship("finished")
    assert shipping.files == good


def test_secret_values_are_what_the_runs_own_config_says(shipping, attempt, configure):
    configure({"token": "********", "url": "https://user:***@host"})
    attempt(1, range(2))
    shipping.ship()
    assert hparams_of(shipping)[0] == {"token": "********", "url": "https://user:***@host"}


class Residual(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = torch.nn.Linear(4, 4), torch.nn.Linear(4, 4)
        self.scale = torch.nn.Parameter(torch.ones(1))

    def forward(self, x):
        return x + self.second(self.first(x)) * self.scale


def log_graph(shipping, key, model, example=None, attempt=1):
    content = json.dumps(model_graph(model, example)).encode()
    blob = store_blob(shipping.run.root, content, "json")
    writer = JournalWriter(shipping.run.journals, 0, lambda: {"attempt": attempt})
    writer.record(Kind.MEDIA, key, {"type": "graph", "file": blob.file, "sha256": blob.sha256}, None)
    writer.row(("loss",), (1.0,), 0, 1e9)
    writer.close()
    return blob


def nodes_of(shipping):
    graph = GraphDef.FromString(shipping.shown()._graph)
    return {node.name: (node.op, list(node.input)) for node in graph.node}


def test_model_is_a_graph_of_its_modules_along_which_tensors_flow(shipping):
    model = torch.nn.Sequential(torch.nn.Linear(4, 4), Residual(), torch.nn.Linear(4, 2))
    log_graph(shipping, "policy", model, torch.zeros(3, 4))
    shipping.ship()
    shown = nodes_of(shipping)
    assert shown["policy/input"] == ("input", [])
    assert shown["policy/0"] == ("Linear", ["policy/input"])
    assert shown["policy/1/first"] == ("Linear", ["policy/0"])
    assert shown["policy/1/second"] == ("Linear", ["policy/1/first"])
    assert shown["policy/1/Residual"] == ("Residual", ["policy/0", "policy/1/second"])
    assert shown["policy/2"] == ("Linear", ["policy/1/Residual"])
    assert shown["policy/output"] == ("output", ["policy/2"])
    graph = GraphDef.FromString(shipping.shown()._graph)
    (last,) = (node for node in graph.node if node.name == "policy/2")
    assert (last.attr["parameters"].i, last.attr["dtype"].s) == (10, b"float32")
    assert [dim.size for dim in last.attr["_output_shapes"].list.shape[0].dim] == [3, 2]
    assert all(name in shown for _, inputs in shown.values() for name in inputs)


def test_model_of_one_module_and_modules_called_as_the_ends_are_drawn(shipping):
    log_graph(shipping, "", torch.nn.Linear(2, 2), torch.zeros(1, 2))
    log_graph(shipping, "odd", torch.nn.ModuleDict({"input": torch.nn.ReLU(), "output": torch.nn.ReLU()}))
    shipping.ship()
    shown = nodes_of(shipping)
    assert shown["model/Linear"] == ("Linear", ["model/input"])
    assert {name for name in shown if name.startswith("odd")} == {"odd/input", "odd/output"}


def test_several_models_are_scopes_of_one_graph_and_of_one_key_the_newest_is_shown(shipping, caplog):
    log_graph(shipping, "policy", torch.nn.Sequential(torch.nn.Linear(1, 1)))
    log_graph(shipping, "reward", torch.nn.Sequential(torch.nn.ReLU()))
    shipping.ship("")
    log_graph(shipping, "policy", torch.nn.Sequential(torch.nn.Tanh()), attempt=2)
    shipping.ship()
    assert nodes_of(shipping) == {"policy/0": ("Tanh", []), "reward/0": ("ReLU", [])}
    assert "more than one graph" not in caplog.text
    assert "mapped" not in shipping.state


def test_model_whose_file_is_gone_is_counted_and_the_others_are_drawn(shipping):
    log_graph(shipping, "reward", torch.nn.Sequential(torch.nn.ReLU()))
    gone = log_graph(shipping, "policy", torch.nn.Sequential(torch.nn.Tanh()))
    (shipping.run.root / gone.file).unlink()
    shipping.ship()
    assert nodes_of(shipping) == {"reward/0": ("ReLU", [])}
    assert shipping.mapped == {"file missing or damaged": 1}
