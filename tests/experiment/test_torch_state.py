from __future__ import annotations

import random
from collections import OrderedDict

import numpy as np
import pytest
import torch

from burnish.experiment.torch_state import load_state, save_state


class Holder:
    def __init__(self, state):
        self.state = state

    def state_dict(self):
        return self.state

    def load_state_dict(self, state):
        self.state = state


def test_arrays_numbers_and_containers_come_back_as_they_were(tmp_path):
    state = OrderedDict(
        a=np.arange(6.0).reshape(2, 3),
        b=[1, "x", None, (2.5, np.float64(0.5))],
        c={"deep": np.array([], np.int64)},
        d=torch.ones(2),
    )
    save_state(tmp_path, {"it": Holder(state)})
    back = Holder(None)
    load_state(tmp_path, {"it": back})
    np.testing.assert_array_equal(back.state["a"], state["a"])
    assert back.state["a"].dtype == np.float64
    assert back.state["b"] == [1, "x", None, (2.5, 0.5)]
    assert back.state["c"]["deep"].dtype == np.int64
    assert torch.equal(back.state["d"], state["d"])


def test_what_could_not_be_read_back_is_refused_at_the_save(tmp_path):
    with pytest.raises(TypeError, match="state 'it.model.0' holds a Holder; use tensors, arrays, numbers and text"):
        save_state(tmp_path, {"it": Holder({"model": [Holder(None)]})})


def test_random_generators_go_on_where_they_were(tmp_path):
    def draw():
        return random.random(), np.random.rand(), torch.rand(1).item()

    draw()
    save_state(tmp_path, {})
    expected = [draw() for _ in range(3)]
    draw()
    load_state(tmp_path, {})
    assert [draw() for _ in range(3)] == expected
