import copy
import gc
import importlib
import math
import time
import weakref

import pytest
import torch
from torch import nn

from burnish.track.watch import Watch

optimizers = importlib.import_module("torch.optim.optimizer")


class Tied(nn.Module):
    """Two layers that share a weight, one that is frozen, one that is never used, and a parameter of its own."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(11, 8)
        self.inner = nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 8))
        self.frozen = nn.Linear(8, 8).requires_grad_(False)
        self.unused = nn.Linear(8, 8)
        self.head = nn.Linear(8, 11, bias=False)
        self.head.weight = self.embed.weight
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, tokens):
        return self.head(self.frozen(self.inner(self.embed(tokens))) * self.scale)


def loss_of(model, step, micro=0):
    generator = torch.Generator().manual_seed(100 * step + micro)
    tokens = torch.randint(11, (4, 6), generator=generator)
    return nn.functional.cross_entropy(model(tokens).flatten(0, 1), tokens.flatten())


def train(model, steps, *, watch=None, micro=1, on_step=lambda step: None, optimizer=None):
    """A loop as people write it: zeroed gradients before the log call."""
    optimizer = optimizer or torch.optim.AdamW(model.parameters(), lr=0.01)
    for step in range(steps):
        for number in range(micro):
            loss_of(model, step, number).backward()
        on_step(step)
        nn.utils.clip_grad_norm_(model.parameters(), 0.01)
        optimizer.step()
        optimizer.zero_grad()
        if watch is not None:
            watch.logged(step)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return Tied()


@pytest.fixture
def seen():
    return {}


def keep(seen):
    return lambda values, step: seen.update({step: values})


def naive(model, *, weights=True):
    """The same norms as anybody would write them."""
    squares = {}
    owners = [("(root)", ["scale"]), ("embed", ["embed.weight"]), ("unused", ["unused.weight", "unused.bias"])]
    owners += [(f"inner.{n}", [f"inner.{n}.weight", f"inner.{n}.bias"]) for n in (0, 2)]
    by_name = dict(model.named_parameters())
    for layer, names in owners:
        for kind in ("grad_norm", "weight_norm") if weights else ("grad_norm",):
            tensors = [by_name[n].grad if kind == "grad_norm" else by_name[n] for n in names]
            if all(t is not None for t in tensors):
                squares[f"{kind}/{layer}"] = math.sqrt(sum(float((t.detach().double() ** 2).sum()) for t in tensors))
    squares["grad_norm/total"] = math.sqrt(sum(v * v for k, v in squares.items() if k.startswith("grad")))
    return squares


@pytest.mark.parametrize("micro", [1, 3])
def test_norms_are_those_of_the_accumulated_gradients_before_clipping(model, seen, micro):
    watch, expected = Watch(model, 2, keep(seen)), {}
    train(model, 6, watch=watch, micro=micro, on_step=lambda step: expected.update({step: naive(model)}))
    assert sorted(seen) == [0, 2, 4]
    frozen = seen[0].pop("weight_norm/frozen")
    assert frozen == pytest.approx(math.sqrt(sum(float((p.detach() ** 2).sum()) for p in model.frozen.parameters())))
    for step, values in seen.items():
        assert values == pytest.approx(expected[step], rel=1e-5)
        assert "grad_norm/unused" not in values


def test_training_is_the_same_to_the_bit_with_a_watch(model):
    other = copy.deepcopy(model)
    spread = []
    watch = Watch(model, 1, lambda *row: None, histograms=lambda *row: spread.append(row))
    train(model, 5, watch=watch, micro=2)
    train(other, 5, micro=2)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True))
    assert spread


def test_hooks_stand_only_on_a_step_that_is_due(model, seen):
    watch, hooked = Watch(model, 3, keep(seen)), []

    def on_step(step):
        hooked.append(sum(bool(p._post_accumulate_grad_hooks) for p in model.parameters()))

    train(model, 7, watch=watch, on_step=on_step)
    assert hooked == [8, 0, 0, 8, 0, 0, 8]
    assert sorted(seen) == [0, 3, 6]


def test_a_trainer_that_logs_seldom_and_counts_from_one_gets_the_right_steps(model, seen):
    watch, expected = Watch(model, 4, keep(seen)), {}

    class Seldom:
        def logged(self, step):
            if (step + 1) % 10 == 0:
                watch.logged(step + 1)

    train(model, 20, watch=Seldom(), on_step=lambda s: expected.update({s + 1: naive(model, weights=False)}))
    assert sorted(seen) == [1, 5, 9, 12, 16, 20]  # until the first log call nobody knows that it counts from one
    for step, values in seen.items():
        assert values["grad_norm/total"] == pytest.approx(expected[step]["grad_norm/total"], rel=1e-5)


def test_a_loop_that_logs_before_it_steps_gets_the_right_steps(model, seen):
    watch, expected = Watch(model, 3, keep(seen)), {}

    def on_step(step):
        expected[step] = naive(model)
        watch.logged(step)

    train(model, 8, on_step=on_step)
    watch.close()
    assert sorted(seen) == [0, 3, 6]
    for step, values in seen.items():
        assert values["grad_norm/total"] == pytest.approx(expected[step]["grad_norm/total"], rel=1e-5)


def test_steps_without_a_torch_optimizer_end_where_they_are_logged(model, seen):
    watch, expected = Watch(model, 2, keep(seen)), {}
    for step in range(5):
        loss_of(model, step).backward()
        expected[step] = naive(model)["grad_norm/total"]
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.grad is not None:
                    parameter -= 0.1 * parameter.grad
                    parameter.grad = None
        watch.logged(step)
    assert {step: values["grad_norm/total"] for step, values in seen.items()} == pytest.approx(
        {step: expected[step] for step in (0, 2, 4)}, rel=1e-5
    )


def test_a_second_optimizer_does_not_count_and_takes_over_when_the_first_one_rests(model, seen):
    first = torch.optim.SGD(model.inner.parameters(), lr=0.1)
    second = torch.optim.SGD([model.embed.weight], lr=0.1)
    stranger = torch.optim.SGD(nn.Linear(2, 2).parameters(), lr=0.1)
    watch = Watch(model, 1, keep(seen))
    for step in range(3):
        loss_of(model, step).backward()
        for optimizer in (stranger, first, second):
            optimizer.step()
        watch.logged(step)
    assert sorted(seen) == [0, 1, 2]
    for step in range(3, 20):
        loss_of(model, step).backward()
        second.step()
        watch.logged(step)
    assert max(seen) == 19


def test_layers_added_and_thawed_later_are_seen(model, seen):
    watch = Watch(model, 1, keep(seen))
    train(model, 1, watch=watch)
    model.frozen.requires_grad_(True)
    model.unused = nn.Linear(3, 3)
    train(model, 2, watch=watch)
    watch.close()
    assert "grad_norm/frozen" not in seen[0]
    assert any("grad_norm/frozen" in values for values in seen.values())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_half_precision_is_measured_in_full(seen, dtype):
    model = nn.Linear(2, 1, bias=False).to(dtype)
    watch = Watch(model, 1, keep(seen))
    loss = (model(torch.tensor([[3.0, 4.0]], dtype=dtype)) * (2.0**13)).sum()
    loss.backward()
    watch.close()
    assert seen[0]["grad_norm/total"] == 5.0 * 2**13


def test_sparse_complex_mixed_and_quantised_parameters(seen):
    class Mixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Embedding(10, 2, sparse=True)
            self.wave = nn.Parameter(torch.tensor(3 + 4j))
            self.bits = nn.Parameter(torch.ones(4, dtype=torch.int8), requires_grad=False)
            self.narrow = nn.Parameter(torch.ones(1, dtype=torch.bfloat16))
            self.empty = nn.Parameter(torch.ones(0))

    model = Mixed()
    watch = Watch(model, 1, keep(seen))
    (model.embed(torch.tensor([1, 1])).sum() + model.wave.abs() + 2 * model.narrow.float().sum()).backward()
    watch.close()
    assert seen[0]["grad_norm/embed"] == pytest.approx(math.sqrt(8))
    assert seen[0]["grad_norm/(root)"] == pytest.approx(math.sqrt(1 + 4))
    assert seen[0]["weight_norm/(root)"] == pytest.approx(math.sqrt(25 + 1))


def test_values_that_are_not_finite_are_kept(model, seen):
    watch = Watch(model, 1, keep(seen))
    (loss_of(model, 0) * math.inf).backward()
    watch.close()
    assert not math.isfinite(seen[0]["grad_norm/total"])


def test_reentrant_checkpointing_is_measured_whole(seen):
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4))
    watch = Watch(model, 1, keep(seen))
    x = torch.ones(1, 4, requires_grad=True)
    x = torch.utils.checkpoint.checkpoint(model[0], x, use_reentrant=True)
    x = torch.utils.checkpoint.checkpoint(model[1], x, use_reentrant=True)
    model[2](x).sum().backward()
    watch.close()
    total = nn.utils.get_total_norm([p.grad for p in model.parameters()])
    assert seen[0]["grad_norm/total"] == pytest.approx(float(total))


def test_wrappers_leave_no_trace_in_names(seen):
    inner = nn.Sequential(nn.Linear(2, 2))
    watch = Watch(nn.DataParallel(inner), 1, keep(seen))
    inner(torch.ones(1, 2)).sum().backward()
    watch.close()
    assert set(seen[0]) == {"grad_norm/0", "weight_norm/0", "grad_norm/total"}


def test_a_layer_called_total_is_not_taken_for_the_total(seen):
    model = nn.ModuleDict({"total": nn.Linear(2, 2), "x": nn.Linear(2, 2)})
    watch = Watch(model, 1, keep(seen))
    model["x"](model["total"](torch.ones(1, 2))).sum().backward()
    watch.close()
    assert seen[0]["grad_norm/total"] == pytest.approx(math.hypot(seen[0]["grad_norm/total "], seen[0]["grad_norm/x"]))


def test_spread_of_gradients_and_weights_is_told_when_asked_for(model):
    spread = {}
    watch = Watch(model, 1, lambda *row: None, histograms=lambda name, payload, step: spread.update({name: payload}))
    loss_of(model, 0).backward()
    watch.close()
    assert spread["grad/inner.0.weight"]["count"] == 64
    assert sum(spread["weight/embed.weight"]["counts"]) == 88
    assert "grad/frozen.weight" not in spread


def test_what_fails_is_told_once_and_training_goes_on(model, caplog):
    def emit(values, step):
        raise OSError("disk full")

    watch = Watch(model, 1, emit)
    watch._measure = lambda: 1 / 0
    train(model, 2, watch=watch)
    assert caplog.messages == ["cannot watch the model: ZeroDivisionError: division by zero; training goes on"]


def test_closing_takes_everything_off(model, seen):
    before = len(optimizers._global_optimizer_post_hooks)
    watch = Watch(model, 1, keep(seen))
    loss_of(model, 0).backward()
    watch.close()
    watch.close()
    watch.logged(3)
    assert list(seen) == [0]
    assert len(optimizers._global_optimizer_post_hooks) == before
    assert not any(p._post_accumulate_grad_hooks for p in model.parameters())


def test_a_watch_keeps_no_model_alive_and_leaves_no_hook_behind(model, seen):
    gc.collect()  # watches of other tests
    before = len(optimizers._global_optimizer_post_hooks)
    watch = Watch(nn.Linear(2, 2), 1, keep(seen))
    gc.collect()
    assert watch._model() is None
    watch.logged(0)
    gone = weakref.ref(watch)
    del watch
    gc.collect()
    assert gone() is None
    assert len(optimizers._global_optimizer_post_hooks) == before


@pytest.mark.train
def test_totals_are_those_that_the_trainer_reports_and_its_weights_the_same_to_the_bit(tmp_path):
    from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainerCallback, TrainingArguments

    config = LlamaConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2, vocab_size=64
    )
    rows = [{"input_ids": torch.arange(8) + n % 8, "labels": torch.arange(8) + n % 8} for n in range(64)]

    def weights(seen, reported, *, is_watched):
        torch.manual_seed(0)
        model = LlamaForCausalLM(config)
        watch = Watch(model, 4, keep(seen)) if is_watched else None

        class Log(TrainerCallback):
            def on_log(self, args, state, control, logs=None, **kwargs):
                if "grad_norm" in logs:
                    reported[state.global_step] = float(logs["grad_norm"])
                if watch is not None:
                    watch.logged(state.global_step)

        arguments = TrainingArguments(
            str(tmp_path),
            max_steps=12,
            per_device_train_batch_size=2,
            gradient_accumulation_steps=2,
            logging_steps=1,
            max_grad_norm=0.1,
            report_to=[],
            save_strategy="no",
            use_cpu=True,
            disable_tqdm=True,
        )
        Trainer(model, arguments, train_dataset=rows, callbacks=[Log()]).train()
        return model

    seen, reported = {}, {}
    model = weights(seen, reported, is_watched=True)
    other = weights({}, {}, is_watched=False)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True))
    assert sorted(seen) == [1, 4, 8, 12]
    totals = {step: values["grad_norm/total"] for step, values in seen.items()}
    assert totals == pytest.approx({step: reported[step] for step in seen}, rel=1e-5)


@pytest.mark.parametrize(
    ("model", "every", "error", "message"),
    [
        ("model", 1, TypeError, "a torch module is wanted, not str"),
        (nn.Linear(1, 1), 1.5, TypeError, "'float' object cannot be interpreted as an integer"),
        (nn.Linear(1, 1), 0, ValueError, "every must be at least 1, not 0"),
    ],
)
def test_wrong_arguments_are_told(model, every, error, message):
    with pytest.raises(error) as told:
        Watch(model, every, lambda *row: None)
    assert str(told.value) == message


def test_a_step_that_is_not_due_costs_little(model):
    watch = Watch(model, 10**9, lambda *row: None)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    loss_of(model, 0).backward()
    optimizer.step()
    watch.logged(0)
    start = time.perf_counter()
    for _ in range(10_000):
        watch._stepped(optimizer)
    assert (time.perf_counter() - start) / 10_000 < 20e-6  # 0.5 µs at rest
    watch.close()
