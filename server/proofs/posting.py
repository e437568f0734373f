"""Asking other organisations' services over HTTP: a bounded body out, a bounded answer back, no redirects."""

from __future__ import annotations

import urllib.error
import urllib.request
from http.client import HTTPException
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from schemas.labels import Label
from sync.core.errors import InvalidField, Unavailable

TIMEOUT_S = 15.0
LARGEST = 256 * 1024


class Answered(NamedTuple):
    """Status, media type without its parameters, and the whole body."""

    status: int
    kind: str
    content: bytes


class _Straight(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """Nobody else was meant to be asked."""
        return None


_OPENER = urllib.request.build_opener(_Straight())


def post(url: str, content: bytes, kind: str) -> Answered:
    """Send a body; whatever status came back is an answer.

    :raises Unavailable: there was none, or it is longer than `LARGEST`
    :raises InvalidField: not an address
    """
    check_url(url)
    request = urllib.request.Request(url, content, {"Content-Type": kind, "User-Agent": "patrolbook"}, method="POST")
    try:
        with _OPENER.open(request, timeout=TIMEOUT_S) as response:
            return _read(response)
    except urllib.error.HTTPError as refusal:
        with refusal:
            return _read(refusal)
    except (OSError, HTTPException, ValueError) as error:  # URLError is an OSError
        raise Unavailable(detail=Label(f"{url} 没有应答", f"no answer from {url} ({error})")) from error


def check_url(url: str) -> str:
    """The address; raises InvalidField where it is none of a web service."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InvalidField(field="url", detail=Label("应是 http(s) 地址", "is an address with http or https"))
    return url


def _read(response: Any) -> Answered:
    try:
        content = response.read(LARGEST + 1)
    except (OSError, HTTPException) as error:
        raise Unavailable(detail=Label("应答中断", "the answer was cut short")) from error
    if len(content) > LARGEST:
        raise Unavailable(detail=Label("应答过大", "the answer is too large"))
    return Answered(response.status, response.headers.get_content_type(), content)
