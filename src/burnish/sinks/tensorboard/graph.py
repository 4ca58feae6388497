"""Models as TensorBoard's Graphs tab draws them: a node a module, scopes by name, edges where tensors flow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import msgspec
from tensorboard.compat.proto.attr_value_pb2 import AttrValue
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.graph_pb2 import GraphDef
from tensorboard.compat.proto.node_def_pb2 import NodeDef
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.compat.proto.versions_pb2 import VersionDef

from burnish.sinks.tensorboard.scalars import BEFORE

_PRODUCER: Final = 22  # of torch's graphs: below it TensorBoard expects attributes that ours have not


class _Module(msgspec.Struct):
    name: str
    kind: str = msgspec.field(name="class")
    parameters: int = 0
    trainable: int = 0
    dtype: str = ""
    same_as: str | None = None
    shapes: list[list[int]] = []


class _Edge(msgspec.Struct):
    source: str = msgspec.field(name="from")
    to: str
    kind: str


class Model(msgspec.Struct):
    """The modules of a model and how tensors flow through them, as `track.graph` found them."""

    nodes: list[_Module]
    edges: list[_Edge]


def graph_event(nodes: Iterable[NodeDef], at: float) -> bytes:
    """Return the nodes of models, each a scope of its own, as a serialized event."""
    graph = GraphDef(node=nodes, versions=VersionDef(producer=_PRODUCER))
    event = Event(wall_time=at, step=BEFORE, graph_def=graph.SerializeToString(deterministic=True))
    return bytes(event.SerializeToString(deterministic=True))


def model_nodes(key: str, model: Model) -> Iterator[NodeDef]:
    """Yield the nodes of a model: its leaves, what else holds parameters or mixes several results, both its ends.

    Raises:
        ValueError: A number is none that 64 bits hold.
    """
    key = key.strip("/") or "model"
    inputs: dict[str, list[str]] = {}
    for edge in model.edges:
        if edge.kind != "contains":
            inputs.setdefault(edge.to, []).append(edge.source)
    parents = {edge.source for edge in model.edges if edge.kind == "contains"}
    shown = [m for m in model.nodes if m.name not in parents or m.parameters or (m.name and m.name in inputs)]
    names: dict[str, str] = {}
    taken: set[str] = set()
    for module in shown:
        names[module.name] = _name(key, module, taken, is_scope=module.name in parents or not module.name)
    start, end = _unique(f"{key}/input", taken), _unique(f"{key}/output", taken)
    if any(edge.source == "" and edge.kind == "input" for edge in model.edges):
        yield NodeDef(name=start, op="input")
    for module in shown:
        sources = inputs.get(module.name, ()) if module.name or not parents else ()
        yield _node(names[module.name], module, _named(sources, names, start))
    if parents and "" in inputs:
        yield NodeDef(name=end, op="output", input=_named(inputs[""], names, start))


def _named(sources: Iterable[str], names: Mapping[str, str], start: str) -> list[str]:
    """Return the nodes' names of modules; the model as a source is what it was given."""
    return [names[source] if source else start for source in sources if not source or source in names]


def _name(key: str, module: _Module, taken: set[str], *, is_scope: bool) -> str:
    """Return a name for a node; a module with others inside stands among them, by its class."""
    path = "/".join([key, *filter(None, module.name.split("."))])
    return _unique(f"{path}/{module.kind}" if is_scope else path, taken)


def _unique(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_"
    taken.add(name)
    return name


def _node(name: str, module: _Module, sources: list[str]) -> NodeDef:
    shapes = [TensorShapeProto(dim=[TensorShapeProto.Dim(size=n) for n in shape]) for shape in module.shapes]
    attributes = {
        "parameters": AttrValue(i=module.parameters),
        "trainable": AttrValue(i=module.trainable),
        "dtype": AttrValue(s=module.dtype.encode()),
        "same_as": AttrValue(s=(module.same_as or "").encode()),
        "_output_shapes": AttrValue(list=AttrValue.ListValue(shape=shapes)),
    }
    told = {key: value for key, value in attributes.items() if value.i or value.s or value.list.shape}
    return NodeDef(name=name, op=module.kind, input=sources, attr=told)
