import asyncio
import os
import threading
import timeit

import pytest

from burnish.track.phases import Phases


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


class FakeCuda:
    """A device whose stream moves on only when told to: there is no GPU in the tests."""

    def __init__(self):
        self.asked, self.done, self.capturing, self.broken = 0, 0, False, False
        cuda = self

        class Event:
            def __init__(self, enable_timing):
                assert enable_timing

            def record(self):
                if cuda.broken:
                    raise RuntimeError("device-side assert")
                cuda.asked += 1
                self.at = cuda.asked

            def query(self):
                return self.at <= cuda.done

            def synchronize(self):
                raise AssertionError("waited for the device")

            def elapsed_time(self, end):
                return 1000.0 * (end.at - self.at)

        self.Event = Event

    def is_current_stream_capturing(self):
        return self.capturing


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def phases(clock):
    return Phases(clock, lambda: None)


def spend(phases, clock, name, seconds):
    with phases.phase(name):
        clock.now += seconds


def test_seconds_of_a_phase_add_up_until_they_are_drained(phases, clock):
    spend(phases, clock, "data_loading", 1)
    spend(phases, clock, "data_loading", 2)
    assert phases.drain() == {"data_loading": 3}
    assert phases.drain() == {}


def test_inner_phases_are_named_after_the_outer_ones(phases, clock):
    with phases.phase("step"):
        clock.now += 1
        spend(phases, clock, "forward", 2)
        with phases.phase("backward"):
            spend(phases, clock, "reduce", 4)
    assert phases.drain() == {
        "step": 7,
        "step/forward": 2,
        "step/backward": 4,
        "step/backward/reduce": 4,
    }


def test_a_phase_that_is_still_open_counts_when_it_is_left(phases, clock):
    with phases.phase("epoch"):
        spend(phases, clock, "step", 1)
        assert phases.drain() == {"epoch/step": 1}
    assert phases.drain() == {"epoch": 1}


def test_an_exception_passes_and_the_time_counts(phases, clock):
    @phases.phase("b")
    def fail():
        clock.now += 1
        raise KeyError

    with pytest.raises(KeyError), phases.phase("a"):
        fail()
    spend(phases, clock, "c", 1)
    assert phases.drain() == {"a/b": 1, "a": 1, "c": 1}


def test_a_function_is_timed_even_when_it_calls_itself(phases, clock):
    @phases.phase("count")
    def count(n):
        """Count down."""
        clock.now += 1
        return count(n - 1) + 1 if n else 0

    assert (count(2), count.__name__, count.__doc__) == (2, "count", "Count down.")
    assert phases.drain() == {"count": 3, "count/count": 2, "count/count/count": 1}


def test_each_thread_has_its_own_nesting(phases):
    barrier = threading.Barrier(8)

    def work(name):
        barrier.wait()
        for _ in range(500):
            with phases.phase(name), phases.phase("inner"):
                pass

    threads = [threading.Thread(target=work, args=(str(n),)) for n in range(8)]
    with phases.phase("main"):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    names = {f"{n}" for n in range(8)} | {f"{n}/inner" for n in range(8)} | {"main"}
    assert set(phases.drain()) == names


def test_no_second_is_lost_between_threads_that_enter_and_one_that_drains():
    ticks = threading.local()

    def clock():  # each call of a thread is one second later
        ticks.now = getattr(ticks, "now", 0) + 1
        return ticks.now

    phases = Phases(clock, lambda: None)

    def work():
        for _ in range(2000):
            with phases.phase("x"):
                pass

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    total = 0.0
    while any(thread.is_alive() for thread in threads):
        total += phases.drain().get("x", 0)
    assert total + phases.drain().get("x", 0) == 8000


def test_tasks_of_an_event_loop_do_not_nest_in_each_other(phases):
    async def work(name, first, second):
        with phases.phase(name):
            first.set()
            await second.wait()

    async def both():
        a, b = asyncio.Event(), asyncio.Event()
        await asyncio.gather(work("a", a, b), work("b", b, a))

    asyncio.run(both())
    assert set(phases.drain()) == {"a", "b"}


def test_a_generator_left_inside_its_phase_does_not_take_the_outer_one_along(phases, clock):
    def batches():
        with phases.phase("load"):
            yield

    suspended = batches()
    with phases.phase("step"):
        next(suspended)
        clock.now += 1
    spend(phases, clock, "after", 1)
    assert phases.drain() == {"step": 1, "after": 1}
    suspended.close()


def test_generators_and_coroutines_are_not_decorated(phases):
    async def work():
        pass

    def batches():
        yield

    for function, name in ((work, "work"), (batches, "batches")):
        with pytest.raises(TypeError) as error:
            phases.phase("x")(function)
        assert str(error.value).startswith("phase 'x' cannot time ")
        assert str(error.value).endswith(f"{name}, a generator or coroutine: use `with` inside it")


def test_a_name_that_is_none_is_told(phases):
    with pytest.raises(TypeError, match=r"^a phase's name must be a string, not 3$"):
        phases.phase(3)
    for name in ("", "gpu", "a/gpu"):
        with pytest.raises(ValueError, match=f"^a phase cannot be called '{name}': phase/<name>/gpu holds the seconds"):
            phases.phase(name)


def test_device_time_is_read_once_the_device_has_passed_it(clock):
    cuda = FakeCuda()
    phases = Phases(clock, lambda: cuda)
    with phases.phase("forward"), phases.phase("attention"):
        clock.now += 0.5
    assert phases.drain() == {"forward/attention": 0.5, "forward": 0.5}
    cuda.done = 3
    assert phases.drain() == {"forward/attention/gpu": 1.0}
    cuda.done = 4
    assert phases.drain() == {"forward/gpu": 3.0}
    assert phases.drain() == {}


def test_a_device_far_behind_costs_no_endless_memory(clock, caplog):
    cuda = FakeCuda()
    phases = Phases(clock, lambda: cuda)
    for _ in range(1000):
        spend(phases, clock, "x", 1)
    assert len(phases._waiting) == 256
    assert caplog.messages == ["more than 256 phases wait for the device; its time in the others is not counted"]
    cuda.done = cuda.asked
    spend(phases, clock, "x", 1)
    cuda.done = cuda.asked
    assert phases.drain() == {"x": 1001, "x/gpu": 257}


def test_phases_inside_a_captured_graph_have_host_time_only(clock):
    cuda = FakeCuda()
    cuda.capturing = True
    phases = Phases(clock, lambda: cuda)
    spend(phases, clock, "x", 1)
    assert (phases.drain(), cuda.asked) == ({"x": 1}, 0)


def test_a_broken_device_is_told_once(clock, caplog):
    cuda = FakeCuda()
    cuda.broken = True
    phases = Phases(clock, lambda: cuda)
    spend(phases, clock, "x", 1)
    spend(phases, clock, "x", 1)
    assert phases.drain() == {"x": 2}
    assert caplog.messages == ["cannot time phases on the device: device-side assert"]


def test_a_forked_child_does_not_count_the_parents_seconds(phases, clock):
    spend(phases, clock, "parent", 1)
    with phases._lock:  # as if another thread held it
        child = os.fork()
        if child == 0:
            spend(phases, clock, "child", 2)
            os._exit(0 if phases.drain() == {"child": 2} else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert phases.drain() == {"parent": 1}


def test_a_phase_costs_little():
    phases = Phases()

    def once():
        with phases.phase("x"):
            pass

    best_us = min(timeit.repeat(once, number=20_000, repeat=5)) / 20_000 * 1e6
    assert best_us < 10  # the budget, 1.5, holds at rest; a busy machine must not fail the suite
