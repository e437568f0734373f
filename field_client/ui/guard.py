"""Who may talk to the screens: the one browser that was started with them, and nobody else on this device or behind it.

    start URL   http://127.0.0.1:<port>/start/<token>: opens the door once and sets a cookie; the newest start counts
    Host        127.0.0.1 or localhost with our port, so that no name that points here from outside is answered
    origin      a page of another site, another port or no site at all sends nothing and loads nothing from here

Everything else is answered with 403 and a plain page that tells nothing. The PIN is asked for behind this door.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from pathlib import Path

from flask import Flask, Response, redirect, request

from field_client.platform.files import replace_file

_TAG = b"patrolbook/ui-start/v1\0"
_NONCE = 16
SAFE = ("GET", "HEAD")
FROM_OUTSIDE = ("cross-site", "same-site")


def token(secret: bytes) -> str:
    """A token for one start, made by whoever knows the secret of the server."""
    nonce = secrets.token_bytes(_NONCE)
    return (nonce + _proof(secret, nonce)).hex()


def start_url(port: int, secret: bytes) -> str:
    """The address that opens the screens, once."""
    return f"http://127.0.0.1:{port}/start/{token(secret)}"


class Guard:
    """Checks every request of one server on `port`.

    memory  a file that keeps the digest of the browser's cookie, so that the same window goes on after a crash
    """

    def __init__(self, port: int, secret: bytes, memory: Path) -> None:
        self.hosts = (f"127.0.0.1:{port}", f"localhost:{port}")
        self.cookie = f"patrolbook-{port}"
        self._secret = secret
        self._used: set[bytes] = set()
        self._memory = memory
        self._browser = _read(memory)

    def protect(self, app: Flask) -> None:
        """Ask before every request, and take a start in."""
        app.before_request(self._refused)
        app.add_url_rule("/start/<token>", "start", self._start)

    def lets_in(self, method: str, host: str, site: str | None, origin: str | None) -> bool:
        """Whether a request comes from a page of ours, or from a person who typed the address; `site` and `origin` are
        what the browser says in `Sec-Fetch-Site` and `Origin`."""
        if host not in self.hosts:
            return False
        ours = origin == f"http://{host}" or (origin == "null" and site == "same-origin")
        if method in SAFE:
            return site not in FROM_OUTSIDE and (origin is None or ours)
        return site in (None, "same-origin") and (ours or (origin is None and site == "same-origin"))

    def knows(self, cookie: str) -> bool:
        """Whether this is the browser that was started last."""
        return bool(self._browser) and hmac.compare_digest(_digest(cookie), self._browser)

    def accepts(self, told: str) -> bool:
        """Spend the token of a start."""
        try:
            raw = bytes.fromhex(told)
        except ValueError:
            return False
        nonce, proof = raw[:_NONCE], raw[_NONCE:]
        if nonce in self._used or not hmac.compare_digest(proof, _proof(self._secret, nonce)):
            return False
        self._used.add(nonce)
        return True

    def _refused(self) -> Response | None:
        said = request.headers
        if not self.lets_in(request.method, request.host, said.get("Sec-Fetch-Site"), said.get("Origin")):
            return refusal()
        if request.endpoint == "start" or self.knows(request.cookies.get(self.cookie, "")):
            return None
        return refusal()

    def _start(self, token: str) -> Response:
        if not self.accepts(token):
            # A reloaded or restored start page of the right browser is no stranger.
            return redirect("/", 303) if self.knows(request.cookies.get(self.cookie, "")) else refusal()  # type: ignore[return-value]
        cookie = secrets.token_urlsafe(32)
        self._browser = _digest(cookie)
        replace_file(self._memory, self._browser.encode())
        response = redirect("/", 303)
        response.set_cookie(self.cookie, cookie, httponly=True, samesite="Strict", path="/")
        response.headers["Cache-Control"] = "no-store"
        return response  # type: ignore[return-value]


def refusal() -> Response:
    """The plain page of the door."""
    response = Response(_PAGE, 403, content_type="text/html; charset=utf-8")
    response.headers.update({"Cache-Control": "no-store", "Content-Security-Policy": "default-src 'none'"})
    return response


def _digest(cookie: str) -> str:
    return hashlib.sha256(cookie.encode()).hexdigest()


def _read(memory: Path) -> str:
    try:
        return memory.read_text("ascii").strip()
    except (OSError, ValueError):
        return ""


def _proof(secret: bytes, nonce: bytes) -> bytes:
    return hmac.digest(secret, _TAG + nonce, "sha256")


_PAGE = """<!doctype html><html lang="zh-CN"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>403</title><body>
<p>此页面只能从本机启动的窗口打开。请重新启动程序。</p>
<p>This page opens only in the window that was started on this device. Start the program again.</p>
</body></html>
"""
