"""What a torch model is made of and, after one forward pass, how tensors flow through it.

Looking leaves no trace: hooks, training flags, random states and gradients are as before, whatever happens.
"""

from __future__ import annotations

import random
import sys
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from burnish.track.foreign import type_name

if TYPE_CHECKING:
    import torch

_MOST_SHAPES: Final = 8
_Sources = frozenset[str]


def model_graph(model: object, example: object = None) -> dict[str, object]:
    """Return the modules of a model as a graph that JSON holds.

    Args:
        model: A `torch.nn.Module`.
        example: What to call the model with, once: a tuple or list of arguments, a mapping of keyword arguments
            (such as a tokenizer's output), or one tensor. Of a sharded model, every rank must pass one or none.

    Returns:
        - `nodes`: a module each, in the order of `named_modules`; the model itself is named "". Keys: `name`,
          `class`, `parent` (None for the model), `parameters` and `trainable` (its own, without what lies below),
          `dtype`, `shared_with` (the modules that hold the same parameters), `same_as` (the name under which the
          same module stood before, or None), `calls`, `order` (of its first call, from 0, else None) and `shapes`
          of what its first call returned.
        - `edges`: `{"from", "to", "kind"}` with kind `contains` (parent to child), `flow` (what one module made
          reaches a leaf, directly or through operations between them), `input` (from "") and `output` (to "").
          A module with others inside whose result mixes several, as a residual block's does, stands for the
          mixture: `join` edges lead to it from what is mixed, and `flow` goes on from it.
        - `parameters`, `trainable`: totals, in which a shared parameter counts once.
        - `bytes`: the size of all parameters.
        - `forward_s`: how long the forward pass took, None without one.
        - `note`: why there is no flow, or "".

    Raises:
        TypeError: It is no torch module.
    """
    if not (hasattr(model, "named_modules") and hasattr(model, "parameters") and "torch" in sys.modules):
        raise TypeError(f"a model must be a torch.nn.Module, not {type_name(model)}")
    nodes, totals = _structure(model)
    edges = [{"from": node["parent"], "to": node["name"], "kind": "contains"} for node in nodes if node["name"]]
    forward_s, note = None, ""
    if example is None:
        note = "no example was given"
    elif any(type(parameter).__name__ == "UninitializedParameter" for parameter in model.parameters()):
        note = "the model has lazy parameters, whose shapes a forward pass would decide"
    else:
        flow = _Flow()
        try:
            forward_s = _observed(model, example, flow)
        except Exception as error:  # noqa: BLE001  a wall: the user's model is called
            note = f"the forward pass failed: {type(error).__name__}: {error}"
        else:
            edges += [{"from": source, "to": to, "kind": kind} for source, to, kind in flow.edges]
            for node in nodes:
                _add_calls(node, flow)
    return {"nodes": nodes, "edges": edges, **totals, "forward_s": forward_s, "note": note}


def _structure(model: torch.nn.Module) -> tuple[list[dict[str, object]], dict[str, int]]:
    """Return the modules and the totals, by looking only."""
    nodes: list[dict[str, object]] = []
    names: dict[int, str] = {}
    owners: dict[int, list[str]] = {}
    totals = {"parameters": 0, "trainable": 0, "bytes": 0}
    modules = list(model.named_modules(remove_duplicate=False))
    for name, module in modules:
        same_as = names.setdefault(id(module), name)
        own = list(module.parameters(recurse=False))
        for parameter in own if same_as == name else ():
            if id(parameter) not in owners:
                size = _size(parameter)
                totals["parameters"] += size
                totals["trainable"] += size * bool(parameter.requires_grad)
                totals["bytes"] += size * (parameter.element_size() if size else 0)
            owners.setdefault(id(parameter), []).append(name)
        nodes.append(
            {
                "name": name,
                "class": type(module).__name__,
                "parent": name.rpartition(".")[0] if name else None,
                "parameters": sum(map(_size, own)),
                "trainable": sum(_size(parameter) for parameter in own if parameter.requires_grad),
                "dtype": ", ".join(sorted({str(parameter.dtype).removeprefix("torch.") for parameter in own})),
                "shared_with": [],
                "same_as": None if same_as == name else same_as,
                "calls": 0,
                "order": None,
                "shapes": [],
            }
        )
    for (_, module), node in zip(modules, nodes, strict=True):
        holders = (holder for parameter in module.parameters(recurse=False) for holder in owners[id(parameter)])
        node["shared_with"] = list(dict.fromkeys(holder for holder in holders if holder != names[id(module)]))
    return nodes, totals


def _size(parameter: torch.nn.Parameter) -> int:
    try:
        return int(parameter.numel())
    except (RuntimeError, ValueError):  # a lazy parameter, whose shape the first batch decides
        return 0


@dataclass(slots=True)
class _Flow:
    """Which leaves a tensor comes from, and what was called.

    A tensor is known by its identity, held weakly: memory that a forward pass would free is freed.
    """

    order: dict[str, int] = field(default_factory=dict)
    calls: dict[str, int] = field(default_factory=dict)
    shapes: dict[str, list[list[int]]] = field(default_factory=dict)
    edges: dict[tuple[str, str, str], None] = field(default_factory=dict)
    _known: dict[int, tuple[weakref.ref[torch.Tensor], _Sources]] = field(default_factory=dict)

    def sources(self, value: object) -> _Sources:
        """Return the leaves that the tensors in a value come from; "" is the model's input."""
        found: set[str] = set()
        for tensor in _tensors(value):
            reference, sources = self._known.get(id(tensor), (None, frozenset()))
            if reference is not None and reference() is tensor:
                found |= sources
        return frozenset(found)

    def mark(self, value: object, sources: _Sources) -> None:
        """Say where the tensors in a value come from."""
        for tensor in _tensors(value):
            self._known[id(tensor)] = (weakref.ref(tensor), sources)

    def enter(self, name: str, value: object, *, leaf: bool) -> None:
        """Note that a module is called with something."""
        self.order.setdefault(name, len(self.order))
        self.calls[name] = self.calls.get(name, 0) + 1
        if leaf:
            for source in sorted(self.sources(value)):
                self.edges[source, name, "flow" if source else "input"] = None

    def leave(self, name: str, value: object, *, leaf: bool) -> None:
        """Note what a module returned."""
        if name not in self.shapes:
            self.shapes[name] = [list(tensor.shape) for tensor in _tensors(value)][:_MOST_SHAPES]
        if leaf:
            self.mark(value, frozenset({name}))
        elif name:  # else each layer would be joined to all before it, through the residual stream
            for tensor in _tensors(value):
                sources = self.sources(tensor)
                if len(sources) > 1:
                    self.edges.update(dict.fromkeys((source, name, "join") for source in sorted(sources)))
                    self.mark(tensor, frozenset({name}))


def _observed(model: torch.nn.Module, example: object, flow: _Flow) -> float:
    """Call the model once with eyes open; return the seconds it took."""
    torch = sys.modules["torch"]
    args, kwargs = _arguments(example)
    with ExitStack() as stack:
        stack.enter_context(_as_it_was(model))
        stack.enter_context(torch.no_grad())
        for name, module in model.named_modules():
            leaf = next(module.children(), None) is None
            for handle in _hooked(module, name, flow, leaf=leaf):
                stack.callback(handle.remove)
        flow.mark((args, kwargs), frozenset({""}))
        with _following(flow):
            started = time.perf_counter()
            returned = model(*args, **kwargs)
            took = time.perf_counter() - started
        for source in sorted(flow.sources(returned) - {""}):
            flow.edges[source, "", "output"] = None
    return took


def _arguments(example: object) -> tuple[tuple[object, ...], dict[str, object]]:
    if isinstance(example, Mapping):
        return (), dict(example)
    return (tuple(example) if isinstance(example, tuple | list) else (example,)), {}


def _hooked(
    module: torch.nn.Module, name: str, flow: _Flow, *, leaf: bool
) -> Iterator[torch.utils.hooks.RemovableHandle]:
    """Register the two hooks of a module."""

    def enter(module: torch.nn.Module, args: object, kwargs: object) -> None:
        flow.enter(name, (args, kwargs), leaf=leaf)

    def leave(module: torch.nn.Module, args: object, returned: object) -> None:
        flow.leave(name, returned, leaf=leaf)

    yield module.register_forward_pre_hook(enter, with_kwargs=True)
    yield module.register_forward_hook(leave)


def _following(flow: _Flow) -> AbstractContextManager[object]:
    """Return a mode that carries sources through the operations between modules: residuals, products, reshapes."""
    torch = sys.modules["torch"]

    class Following(torch.overrides.TorchFunctionMode):  # type: ignore[misc, name-defined]
        def __torch_function__(
            self, function: Callable[..., object], types: object, args: tuple[object, ...] = (), kwargs: object = None
        ) -> object:
            given = kwargs if isinstance(kwargs, dict) else {}
            sources = flow.sources((args, given))
            result = function(*args, **given)
            if sources:
                flow.mark(result, sources)
                if getattr(function, "__name__", "") == "__setitem__":
                    flow.mark(args[0], sources)
            return result

    mode: AbstractContextManager[object] = Following()
    return mode


@contextmanager
def _as_it_was(model: torch.nn.Module) -> Iterator[None]:
    """Put the model in evaluation mode; give back its flags and every random state."""
    torch, numpy = sys.modules["torch"], sys.modules.get("numpy")
    # flags, not `eval()`: some models do more there, such as merging adapters
    flags = [(module, module.training) for module in model.modules()]
    python_state, torch_state = random.getstate(), torch.get_rng_state()
    numpy_state = numpy.random.get_state() if numpy is not None else None
    cuda_states = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else None
    try:
        for module, _ in flags:
            module.training = False
        yield
    finally:
        for module, flag in flags:
            module.training = flag
        random.setstate(python_state)
        torch.set_rng_state(torch_state)
        if numpy is not None:
            numpy.random.set_state(numpy_state)
        if cuda_states is not None:
            torch.cuda.set_rng_state_all(cuda_states)


def _tensors(value: object, depth: int = 0) -> Iterator[torch.Tensor]:
    """Yield the tensors in nested tuples, lists, mappings and dataclasses that are mappings, as transformers' are."""
    if isinstance(value, sys.modules["torch"].Tensor):
        yield value
    elif depth < 6 and isinstance(value, tuple | list | Mapping):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from _tensors(item, depth + 1)


def _add_calls(node: dict[str, object], flow: _Flow) -> None:
    name = str(node["name"] if node["same_as"] is None else node["same_as"])
    node["calls"] = flow.calls.get(name, 0)
    node["order"] = flow.order.get(name)
    node["shapes"] = flow.shapes.get(name, [])
