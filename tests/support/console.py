"""A browser for tests of the console: real HTTP, real cookies, forms with their tokens."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html import unescape
from typing import Any

import requests

from server.access import accounts
from server.storage.people import Person
from tests.support.server import TestServer

PASSWORD = "竹林 晨跑 青石 茶壶 南风"
_TOKEN = re.compile(r'name="csrf" value="([0-9a-f]{64})"')


@dataclass
class Browser:
    """Somebody's browser. `get` and `post` take paths below `/console`; redirections are not followed unless asked."""

    server: TestServer
    session: requests.Session = field(default_factory=requests.Session)
    token: str = ""

    def __post_init__(self) -> None:
        self.session.trust_env = False
        self.session.headers["Accept"] = "text/html"

    def get(self, path: str, **more: Any) -> requests.Response:
        return self._asked("GET", path, **more)

    def post(
        self, path: str, data: dict[str, Any] | None = None, token: str | None = None, **more: Any
    ) -> requests.Response:
        """Send a form, with the token of the page that was got last."""
        return self._asked("POST", path, data={"csrf": self.token if token is None else token, **(data or {})}, **more)

    def _asked(self, method: str, path: str, follow: bool = False, **more: Any) -> requests.Response:
        url = self.server.url + (path if path.startswith("/") else f"/console/{path}")
        response = self.session.request(method, url, timeout=30, allow_redirects=follow, **more)
        found = _TOKEN.search(response.text)
        self.token = found.group(1) if found else self.token
        return response

    def sign_in(self, login: str, password: str = PASSWORD, follow: bool = False) -> requests.Response:
        self.get("sign-in")
        return self.post("sign-in", {"login": login, "password": password}, follow=follow)

    @property
    def cookie(self) -> str:
        """The token of the session."""
        return self.session.cookies.get("patrolbook") or ""


def account(server: TestServer, role: str, *areas: str, name: str = "孙丽", login: str = "", **grant: Any) -> Person:
    """A person with grants, an account and `PASSWORD`."""
    person = server.person(role, *areas, name=name, **grant)
    house = server.instance
    code = accounts.open_account(house, person, login or f"{role}-{person.id[-12:]}", None, person.id)
    accounts.first(house, login or f"{role}-{person.id[-12:]}", code, PASSWORD, accounts.Visit("test", "test"))
    return person


def signed_in(server: TestServer, role: str, *areas: str, name: str = "孙丽", **grant: Any) -> Browser:
    """The browser of somebody new who has signed in."""
    person = account(server, role, *areas, name=name, **grant)
    browser = Browser(server)
    response = browser.sign_in(f"{role}-{person.id[-12:]}")
    assert response.status_code == 303, response.text
    browser.get("account")
    return browser


def text_of(response: requests.Response) -> str:
    """What a page says, without its markup."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", response.text)).split())
