"""Sending an alert to a web address. The address is a credential: it stands in no message, whatever goes wrong."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from email.message import Message
from http.client import HTTPException
from typing import IO
from urllib.parse import urlsplit

from burnish.core.environment import WEBHOOK_VARIABLE
from burnish.launch.notice import Notice

_TIMEOUT_S = 10.0
_PAUSES_S = (0.5, 2.0)  # between three tries
_WORTH_A_TRY = frozenset({408, 425, 429})


class WebhookError(Exception):
    """An alert that could not be sent, told without the address."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows nothing: another host must not be handed what was meant for this one."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> None:
        return None


class Webhook:
    """Posts alerts as JSON to one address.

    Args:
        url: The address, http or https.
        timeout_s: How long one try may take to connect, and to be answered.
        pause: Waits so many seconds.

    Raises:
        WebhookError: The address is none.
    """

    def __init__(self, url: str, *, timeout_s: float = _TIMEOUT_S, pause: Callable[[float], None] = time.sleep) -> None:
        try:
            parts = urlsplit(url)
            is_address = parts.scheme in ("http", "https") and bool(parts.hostname)
        except ValueError:
            is_address = False
        if not is_address:
            raise WebhookError(f"{WEBHOOK_VARIABLE} is no http or https address")
        self._url = url
        self._timeout_s = timeout_s
        self._pause = pause
        self._opener = urllib.request.build_opener(_NoRedirect)

    def send(self, notice: Notice) -> None:
        """Post one alert, in up to three tries.

        Raises:
            WebhookError: It was not taken.
        """
        body = json.dumps(notice.to_json()).encode()
        for pause_s in (*_PAUSES_S, None):
            trouble, is_final = self._post(body)
            if not trouble:
                return
            if is_final or pause_s is None:
                # Nothing is chained: an error of urllib may quote the address.
                raise WebhookError(trouble)
            self._pause(pause_s)

    def _post(self, body: bytes) -> tuple[str, bool]:
        """Return what went wrong, empty when nothing did, and whether a further try is of no use."""
        try:
            headers = {"Content-Type": "application/json", "User-Agent": "burnish"}
            request = urllib.request.Request(self._url, data=body, headers=headers, method="POST")
            with self._opener.open(request, timeout=self._timeout_s) as answer:
                answer.read(1)
            return "", True
        except urllib.error.HTTPError as error:
            error.close()
            if 300 <= error.code < 400:
                return f"the webhook answered {error.code}: redirects are not followed", True
            return f"the webhook answered {error.code}", error.code < 500 and error.code not in _WORTH_A_TRY
        except (OSError, HTTPException, ValueError) as error:
            reason = error.reason if isinstance(error, urllib.error.URLError) else error
            told = reason.strerror if isinstance(reason, OSError) and reason.strerror else type(reason).__name__
            return f"the webhook cannot be reached: {told}", not isinstance(error, OSError)
