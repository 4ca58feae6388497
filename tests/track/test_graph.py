import json
import math
import random

import numpy as np
import pytest
import torch
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM

from burnish.journal import JournalReader, JournalWriter, Kind
from burnish.journal.reader import journal_files
from burnish.track.graph import model_graph


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.LayerNorm(4)
        self.up = nn.Linear(4, 4, bias=False)
        self.drop = nn.Dropout(0.5)

    def forward(self, x):
        return x + self.drop(torch.relu(self.up(self.norm(x))) * 2)


class Toy(nn.Module):
    def __init__(self, blocks=2):
        super().__init__()
        self.embed = nn.Embedding(7, 4)
        self.blocks = nn.ModuleList(Block() for _ in range(blocks))
        self.head = nn.Linear(4, 7, bias=False)
        self.head.weight = self.embed.weight
        self.fails = False

    def forward(self, ids, scale=1.0):
        x = self.embed(ids) * scale
        for block in self.blocks:
            x = block(x)
        if self.fails:
            raise RuntimeError("shapes differ")
        random.random(), np.random.rand(), torch.rand(1)
        return {"logits": self.head(x), "hidden": (x,)}


IDS = torch.tensor([[1, 2, 3]])


@pytest.fixture
def toy():
    return Toy()


def node(graph, name):
    (found,) = [node for node in graph["nodes"] if node["name"] == name]
    return found


def edges(graph, *kinds):
    return [(edge["from"], edge["to"]) for edge in graph["edges"] if edge["kind"] in kinds]


def test_modules_are_nodes_and_containment_a_tree(toy):
    graph = model_graph(toy)
    assert [node["name"] for node in graph["nodes"]] == [name for name, _ in toy.named_modules()]
    assert (node(graph, "")["class"], node(graph, "")["parent"]) == ("Toy", None)
    assert node(graph, "blocks.1.up")["parent"] == "blocks.1"
    assert len(edges(graph, "contains")) == len(graph["nodes"]) - 1 == len(graph["edges"])
    assert ("blocks.1", "blocks.1.up") in edges(graph, "contains")
    assert (graph["note"], graph["forward_s"]) == ("no example was given", None)


def test_a_shared_parameter_counts_once_and_is_told(toy):
    toy.blocks[0].up.weight.requires_grad = False
    toy.blocks[1].half()
    graph = model_graph(toy)
    parameters = list(toy.parameters())
    assert graph["parameters"] == sum(parameter.numel() for parameter in parameters) == 28 + 2 * (8 + 16)
    assert graph["trainable"] == graph["parameters"] - 16
    assert graph["bytes"] == sum(parameter.numel() * parameter.element_size() for parameter in parameters)
    assert (node(graph, "embed")["shared_with"], node(graph, "head")["shared_with"]) == (["head"], ["embed"])
    assert node(graph, "head")["parameters"] == 28
    assert (node(graph, "blocks.0.up")["parameters"], node(graph, "blocks.0.up")["trainable"]) == (16, 0)
    assert (node(graph, "blocks.0.up")["dtype"], node(graph, "blocks.1.up")["dtype"]) == ("float32", "float16")


def test_a_module_that_stands_twice_is_told():
    layer = nn.Linear(2, 2)
    graph = model_graph(nn.Sequential(layer, nn.ReLU(), layer), torch.zeros(1, 2))
    assert (node(graph, "0")["same_as"], node(graph, "2")["same_as"]) == (None, "0")
    assert graph["parameters"] == 6
    assert node(graph, "2")["calls"] == 2
    assert edges(graph, "flow") == [("0", "1"), ("1", "0")]
    assert node(graph, "2")["shared_with"] == []


def test_tensors_are_followed_through_operations_between_modules(toy):
    graph = model_graph(toy, (IDS,))
    assert graph["note"] == ""
    assert graph["forward_s"] > 0
    assert edges(graph, "input") == [("", "embed")]
    assert edges(graph, "flow") == [
        ("embed", "blocks.0.norm"),
        ("blocks.0.norm", "blocks.0.up"),
        ("blocks.0.up", "blocks.0.drop"),
        ("blocks.0", "blocks.1.norm"),
        ("blocks.1.norm", "blocks.1.up"),
        ("blocks.1.up", "blocks.1.drop"),
        ("blocks.1", "head"),
    ]
    assert edges(graph, "join") == [
        ("blocks.0.drop", "blocks.0"),
        ("embed", "blocks.0"),
        ("blocks.0", "blocks.1"),
        ("blocks.1.drop", "blocks.1"),
    ]
    assert edges(graph, "output") == [("blocks.1", ""), ("head", "")]


def test_calls_their_order_and_shapes_are_told(toy):
    graph = model_graph(toy, {"ids": IDS, "scale": 2.0})
    called = sorted((node for node in graph["nodes"] if node["calls"]), key=lambda node: node["order"])
    assert [node["name"] for node in called][:4] == ["", "embed", "blocks.0", "blocks.0.norm"]
    assert node(graph, "head")["shapes"] == [[1, 3, 7]]
    assert node(graph, "")["shapes"] == [[1, 3, 7], [1, 3, 4]]
    assert (node(graph, "blocks")["calls"], node(graph, "blocks")["order"]) == (0, None)


def test_the_edges_of_a_deep_model_grow_with_its_depth():
    few, many = (len(model_graph(Toy(blocks), (IDS,))["edges"]) for blocks in (10, 20))
    assert many - few == 10 * (4 + 3 + 2)  # what a block contains, flow, and the join of its residual


@pytest.mark.parametrize("fails", [False, True])
def test_looking_leaves_no_trace(toy, fails):
    toy.train()
    toy.blocks[1].eval()
    toy.fails = fails
    (toy.embed(IDS).sum() * 3).backward()
    gradient = toy.embed.weight.grad.clone()
    weights = {name: value.clone() for name, value in toy.state_dict().items()}
    training = [module.training for module in toy.modules()]
    states = random.getstate(), torch.get_rng_state(), np.random.get_state()[1].tolist()

    graph = model_graph(toy, (IDS,))

    assert graph["note"] == ("the forward pass failed: RuntimeError: shapes differ" if fails else "")
    assert [module.training for module in toy.modules()] == training
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in toy.modules())
    assert torch.equal(toy.embed.weight.grad, gradient)
    assert all(torch.equal(value, weights[name]) for name, value in toy.state_dict().items())
    assert random.getstate() == states[0]
    assert torch.equal(torch.get_rng_state(), states[1])
    assert np.random.get_state()[1].tolist() == states[2]
    assert torch.is_grad_enabled()


def test_a_forward_pass_that_fails_leaves_the_static_graph(toy):
    static = model_graph(toy)
    for example in ((IDS, 1, 2), {"idx": IDS}, object()):
        graph = model_graph(toy, example)
        assert graph["note"].startswith("the forward pass failed: TypeError: ")
        assert {**graph, "note": ""} == {**static, "note": ""}


def test_an_interrupt_is_passed_on_and_the_hooks_are_removed(toy):
    def stop(*_):
        raise KeyboardInterrupt

    handle = toy.head.register_forward_hook(stop)
    with pytest.raises(KeyboardInterrupt):
        model_graph(toy, (IDS,))
    handle.remove()
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in toy.modules())


def test_dropout_is_off_while_looking(toy):
    seen = []
    handle = toy.blocks[0].drop.register_forward_hook(lambda module, args, out: seen.append(torch.equal(args[0], out)))
    model_graph(toy, IDS)
    handle.remove()
    assert seen == [True]


def test_lazy_parameters_are_not_decided():
    model = nn.Sequential(nn.LazyLinear(3))
    graph = model_graph(model, (torch.zeros(1, 2),))
    assert graph["note"] == "the model has lazy parameters, whose shapes a forward pass would decide"
    assert graph["parameters"] == 0
    assert isinstance(model[0].weight, nn.UninitializedParameter)


def test_a_value_written_into_another_is_followed():
    class Writer(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(2, 2), nn.Linear(2, 2)

        def forward(self, x):
            room = torch.zeros(2, 2)
            room[0] = self.first(x)
            return self.second(room)

    assert edges(model_graph(Writer(), torch.zeros(2)), "flow") == [("first", "second")]


def test_a_model_on_no_device_has_a_graph():
    with torch.device("meta"):
        toy = Toy()
    graph = model_graph(toy, (IDS.to("meta"),))
    assert graph["parameters"] == 28 + 2 * 24
    assert node(graph, "head")["shapes"] == [[1, 3, 7]]


def test_a_transformers_model_is_followed_from_input_to_output():
    config = LlamaConfig(hidden_size=16, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2, vocab_size=9)
    model = LlamaForCausalLM(config)
    graph = model_graph(model, {"input_ids": IDS, "attention_mask": torch.ones_like(IDS)})
    assert graph["note"] == ""
    assert graph["parameters"] == model.num_parameters()
    assert ("model.layers.0.mlp.up_proj", "model.layers.0.mlp.down_proj") in edges(graph, "flow")
    assert ("model.layers.0", "model.layers.1.input_layernorm") in edges(graph, "flow")
    assert ("model.norm", "lm_head") in edges(graph, "flow")
    assert ("lm_head", "") in edges(graph, "output")


def test_the_journal_and_json_give_a_graph_back(tmp_path, toy):
    graph = model_graph(toy, (IDS,))
    assert json.loads(json.dumps(graph)) == graph
    writer = JournalWriter(tmp_path, 0, dict)
    writer.record(Kind.MEDIA, "graph", graph)
    writer.close()
    (path,) = journal_files(tmp_path)
    reader = JournalReader(path)
    (record,) = [entry for entry in reader.read_all() if getattr(entry, "kind", None) == Kind.MEDIA]
    reader.close()
    assert record.payload == graph


@pytest.mark.parametrize(
    ("model", "what"),
    [(3, "int"), (None, "NoneType"), (math.sin, "builtin_function_or_method"), (IDS, "torch.Tensor")],
)
def test_what_is_no_model_is_refused(model, what):
    with pytest.raises(TypeError) as error:
        model_graph(model)
    assert str(error.value) == f"a model must be a torch.nn.Module, not {what}"
