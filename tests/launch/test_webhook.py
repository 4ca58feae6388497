import socket
import threading
import traceback

import pytest

from burnish.launch.alerts import Alert
from burnish.launch.notice import Notice
from burnish.launch.webhook import Webhook, WebhookError

NOTICE = Notice("20260101_toy_k7f2", "box", Alert("nan", "warning", "loss is not finite", "loss = nan", 7, 12.5))
SECRET = "planted-webhook-secret"


def refusal(url, **options):
    """Return what sending to an address raises, as people would see it, whole traceback and all."""
    with pytest.raises(WebhookError) as caught:
        Webhook(url, pause=lambda seconds: None, **options).send(NOTICE)
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    return str(caught.value)


def test_an_alert_is_posted_once_with_all_that_is_known_of_it(hook):
    Webhook(hook.url).send(NOTICE)
    assert hook.posts == [
        {
            "text": "20260101_toy_k7f2: loss is not finite: loss = nan",
            "run": "20260101_toy_k7f2",
            "reason": "nan",
            "level": "warning",
            "title": "loss is not finite",
            "step": 7,
            "time": 12.5,
            "host": "box",
        }
    ]


def test_a_server_that_fails_is_asked_again(hook):
    hook.answers = [500, 503, 200]
    pauses = []
    Webhook(hook.url, pause=pauses.append).send(NOTICE)
    assert len(hook.posts) == 3
    assert pauses == [0.5, 2.0]


def test_after_three_tries_it_is_given_up(hook):
    hook.answers = [500]
    assert refusal(hook.url) == "the webhook answered 500"
    assert len(hook.posts) == 3


def test_a_request_that_is_refused_for_good_is_not_repeated(hook):
    hook.answers = [404]
    assert refusal(hook.url) == "the webhook answered 404"
    assert len(hook.posts) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(hook, status):
    hook.answers = [status, 200]
    hook.headers = {"Location": hook.url}
    assert refusal(hook.url) == f"the webhook answered {status}: redirects are not followed"
    assert len(hook.posts) == 1


def test_a_server_that_is_gone_is_told_without_its_address():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert refusal(f"http://127.0.0.1:{port}/{SECRET}") == "the webhook cannot be reached: Connection refused"


def test_a_server_that_does_not_answer_in_time_is_given_up(hook):
    hook.may_answer.clear()
    assert refusal(hook.url, timeout_s=0.1) == "the webhook cannot be reached: TimeoutError"
    assert len(hook.posts) == 3


def test_a_server_that_speaks_something_else_is_given_up():
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)
        url = f"http://127.0.0.1:{server.getsockname()[1]}/{SECRET}"

        def pause(seconds):
            raise AssertionError("what is no HTTP is not tried again")

        def speak():
            connection, _ = server.accept()
            connection.recv(1 << 16)
            connection.sendall(b"SSH-2.0-OpenSSH_9.9\r\n\r\n")
            connection.close()

        thread = threading.Thread(target=speak)
        thread.start()
        with pytest.raises(WebhookError, match="the webhook cannot be reached: BadStatusLine"):
            Webhook(url, pause=pause).send(NOTICE)
        thread.join()


@pytest.mark.parametrize(
    "url", ["", f"file:///{SECRET}", f"ftp://host/{SECRET}", SECRET, f"http://[{SECRET}", "http://"]
)
def test_only_web_addresses_are_taken(url):
    assert refusal(url) == "BURNISH_WEBHOOK_URL is no http or https address"


def test_an_address_that_cannot_be_asked_for_is_told_without_it():
    assert refusal(f"http://127.0.0.1:9/{SECRET} x\n") == "the webhook cannot be reached: InvalidURL"
    assert refusal(f"http://127.0.0.1:nine/{SECRET}") == "the webhook cannot be reached: InvalidURL"
