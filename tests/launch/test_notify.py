import logging
import threading
import time

import pytest

from burnish.launch.alerts import Alert
from burnish.launch.notify import Notifier


def alert(title="loss is not finite", text="loss = nan"):
    return Alert("nan", "warning", title, text, 7, 12.5)


@pytest.fixture
def plugin(tmp_path, monkeypatch, installed):
    """Return a function that installs a package with alert channels; `sent` of its module is what they got."""

    def install(package, source, **channels):
        (tmp_path / f"{package}.py").write_text(source)
        points = {name: f"{package}:{target}" for name, target in channels.items()}
        installed(tmp_path, package, "burnish.alerts", **points)

    monkeypatch.syspath_prepend(str(tmp_path))
    return install


def told(*channels, alerts=None, environ=None, on_alert=None, timeout_s=20.0):
    notifier = Notifier("20260101_toy_k7f2", channels, environ or {}, on_alert=on_alert)
    for one in alerts or [alert()]:
        notifier.send(one)
    notifier.finish(timeout_s)


def test_the_console_is_told_by_who_owns_it():
    shown = []
    told("console", on_alert=shown.append)
    assert [notice.line for notice in shown] == ["20260101_toy_k7f2: loss is not finite: loss = nan"]


def test_without_an_owner_the_console_is_the_log(caplog):
    told("console")
    assert caplog.messages == ["run 20260101_toy_k7f2: loss is not finite: loss = nan"]


def test_alerts_reach_the_webhook_in_order_and_once(hook):
    told("webhook", alerts=[alert(str(n)) for n in range(5)], environ={"BURNISH_WEBHOOK_URL": hook.url})
    assert hook.titles == ["0", "1", "2", "3", "4"]


def test_a_webhook_that_is_not_set_is_a_warning(caplog):
    told("webhook")
    assert caplog.messages == ["alerts: a webhook is wanted, but BURNISH_WEBHOOK_URL is not set"]


def test_a_server_that_is_slow_delays_neither_the_sender_nor_the_end(hook, caplog):
    hook.may_answer.clear()
    began = time.monotonic()
    told("webhook", environ={"BURNISH_WEBHOOK_URL": hook.url}, timeout_s=0.3)
    assert time.monotonic() - began < 5
    assert caplog.messages == ["alerts: webhook has not taken all in time"]


def test_the_wait_at_the_end_can_be_cut_short(hook):
    hook.may_answer.clear()
    notifier = Notifier("run", ["webhook"], {"BURNISH_WEBHOOK_URL": hook.url})
    notifier.send(alert())
    began = time.monotonic()
    notifier.finish(60, hurry=lambda: True)
    assert time.monotonic() - began < 5


def test_a_server_that_refuses_is_a_warning_without_its_address(hook, caplog):
    hook.answers = [403]
    told("webhook", environ={"BURNISH_WEBHOOK_URL": hook.url})
    assert caplog.messages == [
        "alerts: webhook cannot tell 'loss is not finite': WebhookError: the webhook answered 403"
    ]


def test_more_alerts_than_a_slow_channel_can_hold_are_dropped_with_one_warning(hook, caplog):
    hook.may_answer.clear()
    told("webhook", alerts=[alert()] * 300, environ={"BURNISH_WEBHOOK_URL": hook.url}, timeout_s=0.2)
    assert caplog.messages == [
        "alerts: webhook is too slow, some are not sent",
        "alerts: webhook has not taken all in time",
    ]


def test_functions_and_classes_of_other_packages_are_channels(plugin):
    plugin(
        "pager_a",
        "sent = []\ndef page(notice):\n    sent.append(notice.alert.title)\n"
        "class Pager:\n    def send(self, notice):\n        sent.append(notice.run)\n",
        call="page",
        pager="Pager",
    )
    told("call", "pager")
    import pager_a

    assert sorted(pager_a.sent) == ["20260101_toy_k7f2", "loss is not finite"]


def test_a_channel_that_is_broken_is_a_warning_and_the_others_are_told(plugin, hook, caplog):
    plugin(
        "pager_b",
        "def page(notice):\n    raise RuntimeError('token is planted-zz8-secret')\nnumber = 3\n",
        bad="page",
        none="number",
        gone="nothing",
    )
    environ = {"BURNISH_WEBHOOK_URL": hook.url, "PAGER_TOKEN": "planted-zz8-secret"}
    told("bad", "none", "gone", "webhook", environ=environ)
    assert hook.titles == ["loss is not finite"]
    assert sorted(caplog.messages) == [
        "alerts: bad cannot tell 'loss is not finite': RuntimeError: token is ***",
        "alerts: gone cannot tell 'loss is not finite': AttributeError: module 'pager_b' has no attribute 'nothing'",
        "alerts: none cannot tell 'loss is not finite': TypeError: pager_b:number is neither callable nor has it a "
        "method send",
    ]


def test_an_unknown_channel_is_told_with_those_that_there_are(plugin, caplog):
    plugin("pager_c", "", pager="x")
    told("slack")
    assert caplog.messages == ["alerts: no channel is called 'slack'; there are console, pager, webhook"]


def test_two_packages_with_one_name_are_both_named(plugin, caplog):
    plugin("pager_d", "", pager="x")
    plugin("pager_e", "", pager="x")
    told("pager")
    assert caplog.messages == ["alerts: pager_d and pager_e both have a channel 'pager'; none is used"]


def test_no_thread_is_started_before_there_is_something_to_tell(hook):
    before = threading.active_count()
    Notifier("run", ["webhook"], {"BURNISH_WEBHOOK_URL": hook.url}).finish(1)
    assert threading.active_count() == before


@pytest.fixture(autouse=True)
def _only_ours(caplog):
    caplog.set_level(logging.WARNING, "burnish.launch.notify")
