import json
import subprocess
import sys
import threading
from types import ModuleType, SimpleNamespace

import pytest

from burnish.track.imported import imported_modules


def made(name, **attributes):
    """Return a module as an import leaves it."""
    module = ModuleType(name)
    module.__spec__ = SimpleNamespace(name=name)
    module.__file__ = f"/site/{name}.py"
    for key, value in attributes.items():
        setattr(module, key, value)
    return module


@pytest.fixture
def loaded(monkeypatch):
    """Put modules into the interpreter for a test."""

    def load(**modules):
        for name, module in modules.items():
            monkeypatch.setitem(sys.modules, name, module)

    return load


def test_fresh_process_tells_what_it_imported_and_imports_nothing_for_it():
    code = (
        "import sys, json, msgspec, burnish.track.imported as i; before = set(sys.modules)\n"
        "told = i.imported_modules(); assert set(sys.modules) == before\n"
        "print(json.dumps(told))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    told = json.loads(done.stdout)
    assert {"burnish", "msgspec"} <= set(told["imported"])
    assert not {"sys", "json", "__main__", "_json"} & set(told["imported"])
    assert told["versions"]["msgspec"].count(".") == 2
    assert told["cuda"] == {}


def test_versions_are_those_that_are_text_already(loaded):
    class Version(str):
        def __str__(self):
            raise RuntimeError("asked")

    loaded(plain=made("plain", __version__="1.2"), own=made("own", __version__=Version("3.4")))
    loaded(none=made("none"), odd=made("odd", __version__=(1, 2)), long=made("long", __version__="9" * 10**6))
    told = imported_modules()
    assert {"plain", "own", "none", "odd", "long"} <= set(told["imported"])
    known = {name: told["versions"].get(name) for name in ("plain", "own", "none", "odd", "long")}
    assert known == {"plain": "1.2", "own": "3.4", "none": None, "odd": None, "long": "9" * 100}
    assert type(told["versions"]["own"]) is str


def test_lazy_and_hostile_modules_are_not_woken(loaded):
    class Hostile:
        def __getattribute__(self, name):
            raise RuntimeError("woken")

    class Lazy(ModuleType):
        def __getattr__(self, name):
            raise RuntimeError("woken")

    lazy = Lazy("lazy")
    lazy.__spec__, lazy.__file__ = SimpleNamespace(), "lazy.py"
    lazy._objects = {"__version__": "5.0"}
    loaded(lazy=lazy, hostile=Hostile(), absent=None, number=3, adhoc=ModuleType("adhoc"))
    told = imported_modules()
    assert told["versions"]["lazy"] == "5.0"  # where transformers keeps its own
    assert not {"hostile", "absent", "number", "adhoc"} & set(told["imported"])


def test_of_a_namespace_its_parts_are_named(loaded):
    space = made("space", __path__=["/site/space"], __file__=None)
    loaded(**{"space": space, "space.one": made("space.one", __version__="1"), "space.one.deep": made("x")})
    told = imported_modules()
    assert [name for name in told["imported"] if name.startswith("space")] == ["space.one"]
    assert told["versions"]["space.one"] == "1"


def torch(**binding):
    cudnn = binding.pop("cudnn", None)
    version = made("torch.version", cuda=binding.pop("cuda", None), hip=binding.pop("hip", None))
    inside = made("torch._C", _cudnn=made("torch._C._cudnn", getVersionInt=cudnn) if cudnn else None, **binding)
    return made("torch", version=version, _C=inside, __version__="2.13.0+cu130")


@pytest.mark.parametrize(("number", "text"), [(8907, "8.9.7"), (90102, "9.1.2"), (91500, "9.15.0")])
def test_cuda_cudnn_and_nccl_come_from_the_binding_below_torch(loaded, number, text):
    loaded(torch=torch(cuda="13.0", cudnn=lambda: number, _nccl_version=lambda: (2 << 32) | (27 << 16) | 7))
    assert imported_modules()["cuda"] == {"cuda": "13.0", "cudnn": text, "nccl": "2.27.7"}


def test_rocm_is_told_as_hip(loaded):
    loaded(torch=torch(hip="6.4.1"))
    assert imported_modules()["cuda"] == {"hip": "6.4.1"}


def test_library_below_torch_that_does_not_load_is_left_out(loaded):
    def fails():
        raise RuntimeError("libcudnn.so.9: cannot open shared object file")

    loaded(torch=torch(cuda="13.0", cudnn=fails, _nccl_version=lambda: None))
    assert imported_modules()["cuda"] == {"cuda": "13.0"}


def test_half_imported_torch_is_no_error(loaded):
    loaded(torch=made("torch"))
    assert imported_modules()["cuda"] == {}


def test_real_torch_is_told_without_asking_for_a_device():
    pytest.importorskip("torch")
    code = (
        "import json, torch; torch.backends.cudnn.version = torch.cuda.is_available = torch.cuda.init = None\n"
        "from burnish.track.imported import imported_modules\n"
        "told = imported_modules()\n"
        "assert not torch.cuda.is_initialized()\n"
        "print(json.dumps([told['versions']['torch'], str(torch.__version__), told['cuda'], torch.version.cuda]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    told, version, cuda, built_for = json.loads(done.stdout)
    assert told == version
    assert cuda.get("cuda") == built_for


def test_imports_of_another_thread_meanwhile_are_no_error():
    stop = threading.Event()

    def importing():
        number = 0
        while not stop.is_set():
            number += 1
            sys.modules[f"meanwhile{number % 500}"] = made("meanwhile")
            sys.modules.pop(f"meanwhile{(number + 250) % 500}", None)

    thread = threading.Thread(target=importing)
    thread.start()
    try:
        told = [imported_modules() for _ in range(200)]
    finally:
        stop.set()
        thread.join()
        for name in [name for name in sys.modules if name.startswith("meanwhile")]:
            del sys.modules[name]
    assert all("burnish" in one["imported"] for one in told)
