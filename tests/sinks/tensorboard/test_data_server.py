"""What TensorBoard shows by default: its data server, a program of its own, reads otherwise than its Python code."""

import json
import subprocess

import pytest
from tensorboard import context
from tensorboard.data import grpc_provider, server_ingester
from tensorboard.data.provider import RunTagFilter
from tensorboard.util.grpc_util import ChannelCredsType

from burnish.journal import JournalWriter, Kind
from burnish.track.blobs import store_blob
from burnish.track.histogram import histogram

CONTEXT = context.RequestContext()
GRAPH = {"nodes": [{"name": "", "class": "Linear", "parent": None}], "edges": []}
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010800000000"
    "3a7e9b550000000a49444154789c6360000000020001e221bc330000000049454e44ae426082"
)


@pytest.fixture
def served(tmp_path, eventually):
    """Return a function that starts the server on a folder, and returns what reads from it."""
    started = []

    def serve(runs):
        port = tmp_path / f"port-{len(started)}"
        command = [server_ingester.get_server_binary().path, f"--logdir={runs}", "--reload=1", "--port=0"]
        process = subprocess.Popen(
            [*command, f"--port-file={port}", "--die-after-stdin", "--samples-per-plugin=scalars=all,images=all"],
            stdin=subprocess.PIPE,
        )
        started.append(process)
        eventually(lambda: port.exists() and port.read_text().endswith("\n"), "the server's port")
        address = f"localhost:{int(port.read_text())}"
        stub = server_ingester._make_stub(address, ChannelCredsType.LOCAL)
        return grpc_provider.GrpcDataProvider(address, stub)

    yield serve
    for process in started:
        process.stdin.close()
        assert process.wait(30) == 0


def everything(shipping, steps, *, attempt, resume=None):
    def blob(content, suffix):
        stored = store_blob(shipping.run.root, content, suffix)
        return {"file": stored.file, "sha256": stored.sha256}

    writer = JournalWriter(shipping.run.journals, 0, lambda: {"attempt": attempt})
    if resume is not None:
        writer.record(Kind.LIFECYCLE, "resume", {}, resume)
    writer.record(Kind.MEDIA, "policy", {"type": "graph", **blob(json.dumps(GRAPH).encode(), "json")}, None)
    for step in steps:
        writer.row(("loss", "reward"), (1 / (step + 1), float(attempt)), step, 1e9 + step)
        writer.record(Kind.HISTOGRAM, "reward", histogram([0.0, float(attempt)], bins=4), step)
        picture = {"type": "image", **blob(PIXEL, "png"), "width": 1, "height": 1, "caption": f"at {step}"}
        writer.record(Kind.MEDIA, "sample", picture, step)
    writer.close()


class Reader:
    """Reads one run of a server."""

    def __init__(self, provider, run):
        self.provider, self.run = provider, run
        self.wanted = {"experiment_id": "", "run_tag_filter": RunTagFilter(runs=[run])}

    def _read(self, read, plugin):
        return read(CONTEXT, plugin_name=plugin, downsample=1000, **self.wanted).get(self.run, {})

    def scalars(self, tag):
        return [(one.step, one.value) for one in self._read(self.provider.read_scalars, "scalars").get(tag, ())]

    def tensors(self, plugin, tag):
        return [(one.step, one.numpy) for one in self._read(self.provider.read_tensors, plugin).get(tag, ())]

    def blobs(self, plugin, tag):
        found = self._read(self.provider.read_blob_sequences, plugin).get(tag, ())
        read = self.provider.read_blob
        return [(one.step, [read(CONTEXT, blob_key=blob.blob_key) for blob in one.values]) for one in found]

    def hparams(self):
        return set(self.provider.list_tensors(CONTEXT, plugin_name="hparams", **self.wanted).get(self.run, {}))


def test_data_server_shows_a_run_while_it_is_shipped_and_resumed(shipping, configure, served, eventually):
    configure({"lr": 0.5})
    everything(shipping, range(6), attempt=1)
    shipping.ship("", size=400)
    reader = Reader(served(shipping.run.root.parent), f"{shipping.run.name}/tensorboard")
    eventually(lambda: len(reader.scalars("loss")) == 6, "the first attempt")
    everything(shipping, range(3, 9), attempt=2, resume=2)
    shipping.ship("finished", size=400)
    eventually(lambda: len(reader.scalars("loss")) == 9, "the second attempt")
    attempts = [1] * 3 + [2] * 6
    assert reader.scalars("reward") == list(enumerate(attempts))
    bins = reader.tensors("histograms", "reward/histogram")
    assert [(step, shown[-1].tolist()) for step, shown in bins] == [
        (s, [a * 0.75, a, 1]) for s, a in enumerate(attempts)
    ]
    assert [step for step, _ in reader.blobs("images", "sample/image")] == list(range(9))
    assert reader.blobs("images", "sample/image")[0][1][2] == PIXEL
    captions = [(step, text.tolist()) for step, text in reader.tensors("text", "sample/caption")]
    assert captions == [(step, [f"at {step}".encode()]) for step in range(9)]
    assert len(reader.blobs("graphs", "__run_graph__")) == 1
    eventually(lambda: len(reader.hparams()) == 2, "beginning and end in the HParams tab")
    assert reader.hparams() == {"_hparams_/session_start_info", "_hparams_/session_end_info"}
