"""Gradient and weight norms of a torch model, by layer, on the steps that are due; other steps cost next to nothing.

A look never changes the training: it reads gradients where they lie, on their device, and what it computes is
brought over without waiting. No torch is imported here: where there is a model, torch is loaded already.
"""

from __future__ import annotations

import logging
import math
import sys
import weakref
from collections.abc import Callable, Iterator, Mapping
from operator import index
from typing import TYPE_CHECKING, Final, NamedTuple

from burnish.track.lazy import Transfer

if TYPE_CHECKING:
    import torch

_log = logging.getLogger(__name__)

_WRAPPERS: Final = frozenset({"DistributedDataParallel", "DataParallel", "FullyShardedDataParallel"})
_TOTAL: Final = "total"
_TAKES_OVER_AFTER: Final = 8

Emit = Callable[[dict[str, float], int], None]
EmitHistogram = Callable[[str, Mapping[str, object], int], None]


class _Named(NamedTuple):
    """A parameter, its name, and the layer that owns it."""

    layer: str
    name: str
    parameter: torch.nn.Parameter


class _Norms(NamedTuple):
    """Norms of parameters by layer, on their way from one device."""

    prefix: str
    layers: list[str]
    transfer: Transfer


class _Look:
    """What was seen of one step."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.step: int | None = None
        self.gradients: list[_Norms] = []
        self.weights: list[_Norms] = []
        self.histograms: dict[str, dict[str, object]] = {}

    def has_seen(self) -> bool:
        """Return whether a backward pass has ended since it began."""
        return bool(self.gradients or self.weights or self.histograms)

    def ready(self) -> bool:
        """Return whether everything has arrived from the device."""
        return all(norms.transfer.ready() for norms in (*self.gradients, *self.weights))

    def values(self) -> dict[str, float]:
        """Return the norm of each layer, `sqrt` of the sum of its parameters' squared norms, and of all gradients."""
        squares: dict[str, float] = {}
        totals: dict[str, float] = {}
        for prefix, layers, transfer in (*self.gradients, *self.weights):
            for layer, norm in zip(layers, transfer.read().double().tolist(), strict=True):
                name = f"{prefix}/{layer}"
                squares[name] = squares.get(name, 0.0) + norm * norm
                totals[prefix] = totals.get(prefix, 0.0) + norm * norm
        if "grad_norm" in totals:
            squares[f"grad_norm/{_TOTAL}"] = totals["grad_norm"]
        return {name: math.sqrt(square) for name, square in squares.items()}


class Watch:
    """Looks at a model's gradients and weights once in `every` steps of its optimizer.

    On a step that is due, hooks stand on the parameters that are trained; each time a backward pass ends, the
    gradients accumulated so far are measured, so that of several micro-batches the last one counts, before clipping
    and before anything sets gradients to zero. A step ends with `step` of the first torch optimizer that holds some
    of the parameters (or, where none is seen, with `logged`). Under DistributedDataParallel the gradients are this
    process's own, before they are averaged; of a sharded parameter they are this process's part; a GradScaler's
    factor is in them.

    Names are `grad_norm/<layer>`, `weight_norm/<layer>` and `grad_norm/total`, where a layer is the module that owns
    the parameters; a shared parameter counts once, for its first owner. Parameters that got no gradient in the
    step are left out. Weights of frozen parameters are measured once, at the first look.

    Args:
        model: The torch module. It is not kept alive.
        every: Steps between two looks: those whose number it divides, and the first.
        emit: Takes the values and the number of their step; called from `logged` and `close`.
        norms: Whether to measure gradients.
        weights: Whether to measure weights.
        histograms: Takes the name (`grad/<parameter>`, `weight/<parameter>`), spread and step of each trained
            parameter; counting waits for the device once for each.

    Raises:
        TypeError: The model is no torch module, or `every` no integer.
        ValueError: `every` is below 1.
    """

    def __init__(
        self,
        model: object,
        every: int,
        emit: Emit,
        *,
        norms: bool = True,
        weights: bool = True,
        histograms: EmitHistogram | None = None,
    ) -> None:
        library = sys.modules.get("torch")
        if library is None or not isinstance(model, library.nn.Module):
            raise TypeError(f"a torch module is wanted, not {type(model).__name__}")
        if index(every) < 1:
            raise ValueError(f"every must be at least 1, not {every}")
        module: torch.nn.Module = model
        self._model = weakref.ref(module.module if type(module).__name__ in _WRAPPERS else module)
        self._every = every
        self._emit = emit
        self._norms, self._weights, self._histograms = norms, weights, histograms
        self._count = 0  # optimizer steps that have ended
        self._since = 0  # of these, since the last that was logged
        self._logged = -1
        self._leader: weakref.ref[torch.optim.Optimizer] | None = None
        self._others = 0  # steps of other optimizers since the leader's last
        self._look: _Look | None = None
        self._waiting: list[_Look] = []
        self._fired: set[int] = set()
        self._is_queued = False
        self._is_early = False  # whether steps are logged before the optimizer takes them
        self._has_ended_by_log = False
        self._hooks: list[torch.utils.hooks.RemovableHandle] = []
        self._has_frozen = False
        self._has_warned = False
        self.is_closed = False
        me = weakref.ref(self)

        def stepped(optimizer: torch.optim.Optimizer, args: object, kwargs: object) -> None:
            if (watch := me()) is not None:
                watch._stepped(optimizer)

        optimizers = sys.modules["torch.optim.optimizer"]  # `torch.optim` deletes its name for it
        self._global_hook = optimizers.register_optimizer_step_post_hook(stepped)
        # The hook is everybody's: it must not outlive the watch where nobody closes it.
        weakref.finalize(self, self._global_hook.remove)
        self._guarded(self._arm)

    def logged(self, step: int) -> None:
        """Say that this step was logged: it numbers what was seen, and hands on what has arrived from the device."""
        if self.is_closed:
            return
        for look in self._waiting:
            if look.step is None:
                look.step = step - (self._count - look.count - 1)  # a log call names the step that ended last
        if self._look is not None and self._look.has_seen() and self._leader is not None:
            self._look.step = step  # …but in this loop the one under way: it logs before it steps
            self._is_early = True
        self._logged, self._since = step, -1 if self._is_early else 0
        if self._leader is None:  # no optimizer that can be seen: a step ends where it is logged
            self._guarded(self._end_step)
            self._has_ended_by_log |= bool(self._waiting)
            for look in self._waiting:
                look.step = step if look.step is None else look.step
        self._guarded(self._hand_on)

    def close(self) -> None:
        """Take every hook off and hand on what was seen, waiting for the device if need be."""
        if self.is_closed:
            return
        self.is_closed = True
        self._global_hook.remove()
        self._disarm()
        if self._look is not None and self._look.has_seen():
            self._waiting.append(self._look)
        self._look = None
        self._guarded(lambda: self._hand_on(wait=True))

    def _stepped(self, optimizer: torch.optim.Optimizer) -> None:
        """Count a step of the optimizer; this is all that a step which is not due costs."""
        leader = self._leader() if self._leader is not None else None
        if leader is not optimizer:
            self._others += 1
            if leader is not None and self._others < _TAKES_OVER_AFTER:
                return
            if not self._holds_some(optimizer):
                return
            if self._leader is None and self._has_ended_by_log:  # the first step was logged before it was taken
                self._is_early, self._since = True, -1
            self._leader = weakref.ref(optimizer)
        self._others = 0
        self._count += 1
        self._since += 1
        if self._look is not None or (self._logged + 1 + self._since) % self._every == 0:
            self._guarded(self._end_step)

    def _holds_some(self, optimizer: torch.optim.Optimizer) -> bool:
        ours = {id(named.parameter) for named in self._parameters()}
        return any(id(parameter) in ours for group in optimizer.param_groups for parameter in group["params"])

    def _end_step(self) -> None:
        """Close the look at the step that has ended, if any, and begin one where the next is due."""
        if self._leader is None:
            self._count += 1
        if self._look is not None:
            if not self._look.has_seen():
                self._look.count = self._count  # no backward pass yet: look on
                return
            self._waiting.append(self._look)
            self._look = None
            self._disarm()
        if (self._logged + 1 + self._since) % self._every == 0:
            self._arm()

    def _arm(self) -> None:
        self._look = _Look(self._count)
        self._fired.clear()
        self._is_queued = False
        for _, _, parameter in self._parameters():
            if parameter.requires_grad:
                self._hooks.append(parameter.register_post_accumulate_grad_hook(self._accumulated))

    def _disarm(self) -> None:
        for hook in self._hooks:
            hook.remove()
        self._hooks.clear()

    def _accumulated(self, parameter: torch.nn.Parameter) -> None:
        """Note, inside a backward pass, that a parameter has its gradient, and see to a look when the pass ends."""
        self._fired.add(id(parameter))
        if not self._is_queued:
            try:
                # As DistributedDataParallel does: it runs when every gradient of this pass is in place.
                sys.modules["torch"].autograd.Variable._execution_engine.queue_callback(self._passed)
                self._is_queued = True
            except Exception as error:  # noqa: BLE001  one of the five walls: it must never reach the backward pass
                self._warn(error)

    def _passed(self) -> None:
        self._is_queued = False
        self._guarded(self._measure)

    def _measure(self) -> None:
        if (look := self._look) is None:
            return
        with sys.modules["torch"].no_grad():
            parameters = self._parameters()
            trained = [named for named in parameters if id(named.parameter) in self._fired]
            gradients = [(named, _local(named.parameter.grad)) for named in trained if named.parameter.grad is not None]
            if self._norms:
                look.gradients = _norms("grad_norm", [(named.layer, gradient) for named, gradient in gradients])
            if self._weights and not look.weights:  # they do not change between micro-batches
                look.weights = _norms(
                    "weight_norm",
                    [
                        (named.layer, _local(named.parameter.detach()))
                        for named in parameters
                        if not self._has_frozen or named.parameter.requires_grad
                    ],
                )
            if self._histograms is not None:
                from burnish.track.histogram import histogram

                for named, gradient in gradients:
                    look.histograms[f"grad/{named.name}"] = histogram(gradient)
                    look.histograms[f"weight/{named.name}"] = histogram(_local(named.parameter.detach()))

    def _hand_on(self, *, wait: bool = False) -> None:
        while self._waiting and (wait or (self._waiting[0].step is not None and self._waiting[0].ready())):
            look = self._waiting.pop(0)
            self._has_frozen = True
            step = self._logged + 1 if look.step is None else look.step
            if values := look.values():
                self._emit(values, step)
            if self._histograms is not None:
                for name, spread in look.histograms.items():
                    self._histograms(name, spread, step)

    def _parameters(self) -> list[_Named]:
        """Return the model's parameters as they are now: layers may be added, frozen and thawed."""
        model = self._model()
        return [] if model is None else list(_named(model))

    def _guarded(self, action: Callable[[], None]) -> None:
        try:
            action()
        except Exception as error:  # noqa: BLE001  one of the five walls: training never dies of tracking
            self._warn(error)

    def _warn(self, error: Exception) -> None:
        if not self._has_warned:
            self._has_warned = True
            _log.warning("cannot watch the model: %s: %s; training goes on", type(error).__name__, error)


def _named(model: torch.nn.Module) -> Iterator[_Named]:
    seen: set[int] = set()
    for path, module in model.named_modules():
        layer = path.replace("_orig_mod.", "").removesuffix("_orig_mod") or "(root)"  # torch.compile's own
        for name, parameter in module.named_parameters(recurse=False):
            if id(parameter) not in seen:
                seen.add(id(parameter))
                full = name if layer == "(root)" else f"{layer}.{name}"
                yield _Named(f"{layer} " if layer == _TOTAL else layer, full, parameter)


def _local(tensor: torch.Tensor) -> torch.Tensor:
    """Return what of a tensor lies in this process, as a dense tensor whose norm is the tensor's."""
    if hasattr(tensor, "to_local"):  # a DTensor: its norm would be a collective operation
        tensor = tensor.to_local()
    return tensor.coalesce().values() if tensor.is_sparse else tensor


def _norms(prefix: str, tensors: list[tuple[str, torch.Tensor]]) -> list[_Norms]:
    """Start measuring tensors: a few kernels and one copy for each device, and no wait."""
    library = sys.modules["torch"]
    groups: dict[tuple[object, object], list[tuple[str, torch.Tensor]]] = {}
    for layer, tensor in tensors:
        is_real = tensor.is_floating_point() or tensor.is_complex()  # quantised weights are neither
        if is_real and tensor.device.type != "meta" and tensor.numel():
            groups.setdefault((tensor.device, tensor.dtype), []).append((layer, tensor))
    by_device: dict[object, tuple[list[str], list[torch.Tensor]]] = {}
    for (device, dtype), group in groups.items():
        # A norm in bfloat16 would have three digits, and one in float16 overflow at 65,504.
        wide = dtype if dtype in (library.float32, library.float64, library.complex64, library.complex128) else None
        members = [tensor for _, tensor in group]
        if wide is None:
            found = library._foreach_norm(members, 2, dtype=library.float32)
        else:
            found = library._foreach_norm(members, 2)
        layers, norms = by_device.setdefault(device, ([], []))
        layers += [layer for layer, _ in group]
        norms += [norm.float() if norm.dtype != library.float64 else norm for norm in found]
    return [_Norms(prefix, layers, Transfer(_stacked(norms))) for layers, norms in by_device.values()]


def _stacked(norms: list[torch.Tensor]) -> torch.Tensor:
    library = sys.modules["torch"]
    dtypes = {norm.dtype for norm in norms}
    return library.stack(norms if len(dtypes) == 1 else [norm.double() for norm in norms])
