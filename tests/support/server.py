"""A real server for tests: in this process behind a requests adapter, or in a thread behind a real socket.

with running_server(tmp_path) as server:
    device = server.enrol("inspector", "430102")
    device.post("/have", json={"ids": []}).json()
"""

from __future__ import annotations

import io
import secrets
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import orjson
import requests
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from flask import Flask
from requests.adapters import HTTPAdapter
from urllib3 import HTTPResponse
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.test import EnvironBuilder, run_wsgi_app

from schemas.registry import Registry
from server.access import enrolment, rights, signatures
from server.api.door import EXTENSION
from server.app import create_app
from server.config import Settings
from server.instance import Instance, create_instance, wall_ms
from server.keys import ServerKeys
from server.storage import people
from server.storage.people import Grant, Person
from sync.core.change import START, Change, Link, compose, signature_input
from sync.peer import enrolment_proof_input

BASE = "/api/v1"
ORIGIN = "test.example/log"


class Clock:
    """The server's clock in a test: the real one, moved by `ahead` milliseconds, or one that stands still at `ms`."""

    def __init__(self) -> None:
        self.ahead = 0
        self.ms: int | None = None

    def __call__(self) -> int:
        return wall_ms() + self.ahead if self.ms is None else self.ms


class WsgiAdapter(HTTPAdapter):
    """Lets a requests session talk to an application without a socket."""

    def __init__(self, app: Callable[..., Any]) -> None:
        super().__init__()
        self.app = app

    def send(self, request: Any, *args: Any, **kwargs: Any) -> requests.Response:  # type: ignore[override]
        body = request.body or b""
        content = body.encode() if isinstance(body, str) else body if isinstance(body, bytes) else b"".join(body)
        headers = dict(request.headers)
        builder = EnvironBuilder(request.path_url, _host(request.url), method=request.method, headers=headers)
        environ = builder.get_environ()
        environ["RAW_URI"] = request.path_url
        environ["wsgi.input"] = io.BytesIO(content)
        environ["CONTENT_LENGTH"] = str(len(content))
        pieces, status, answered = run_wsgi_app(self.app, environ, buffered=True)
        answer = HTTPResponse(
            body=io.BytesIO(b"".join(pieces)),
            headers=dict(answered),
            status=int(status.split()[0]),
            preload_content=False,
        )
        return self.build_response(request, answer)


def _host(url: str) -> str:
    return f"http://{urlsplit(url).netloc}"


@dataclass
class TestDevice:
    """An enrolled tablet as far as HTTP goes: a key, an id, and signed requests."""

    __test__ = False

    session: requests.Session
    url: str
    id: str
    key: Ed25519PrivateKey
    now: Callable[[], int]
    answer: dict[str, Any] = field(default_factory=dict)
    replica: str = field(default_factory=lambda: str(uuid4()))
    n: int = 0
    prev: str = START

    def headers(
        self, method: str, target: str, body: bytes, *, time: int | None = None, nonce: str = ""
    ) -> dict[str, str]:
        """The Authorization header for a request."""
        nonce = nonce or secrets.token_hex(16)
        stamp = self.now() if time is None else time
        message = signatures.signed_bytes(method, target, sha256(body).hexdigest(), stamp, nonce)
        sig = b64encode(self.key.sign(message)).decode()
        return {"Authorization": f'Patrolbook device="{self.id}", time="{stamp}", nonce="{nonce}", sig="{sig}"'}

    def request(self, method: str, path: str, body: bytes = b"", **headers: str) -> requests.Response:
        """A signed request; underscores in header names stand for dashes."""
        said = {name.replace("_", "-"): value for name, value in headers.items()}
        said |= self.headers(method, BASE + path, body)
        return self.session.request(method, self.url + BASE + path, data=body, headers=said, timeout=60)

    def get(self, path: str, **headers: str) -> requests.Response:
        return self.request("GET", path, **headers)

    def post(self, path: str, json: Any = None, **headers: str) -> requests.Response:
        body = b"" if json is None else orjson.dumps(json)
        return self.request("POST", path, body, **{"Content_Type": "application/json", **headers})

    def put_part(self, upload: str, number: int, content: bytes, digest: bytes | None = None) -> requests.Response:
        claimed = b64encode(digest or sha256(content).digest()).decode()
        return self.request("PUT", f"/blobs/{upload}/parts/{number}", content, Content_Digest=f"sha-256=:{claimed}:")

    def send_blob(self, content: bytes, part_size: int = 1 << 16, mime: str = "image/jpeg") -> dict[str, Any]:
        """Announce, send every part, complete; returns the last answer."""
        claim = {"sha256": sha256(content).hexdigest(), "size": len(content), "mime": mime, "part_size": part_size,
                 "role": "original"}  # fmt: skip
        begun = self.post("/blobs", claim).json()
        size = begun["part_size"]
        for number, start in enumerate(range(0, len(content), size), start=1):
            self.put_part(begun["upload"], number, content[start : start + size]).raise_for_status()
        done: dict[str, Any] = self.post(f"/blobs/{begun['upload']}/complete").json()
        return done

    def change(
        self, kind: str, record: str, values: dict[str, Any], parents: dict[str, list[str]] | None = None, **more: Any
    ) -> Change:
        """A change by the device's person; parents by path."""
        now = self.now()
        written = {path: (value, (parents or {}).get(path, [])) for path, value in values.items()}
        clock = {"wall": now, "mono": 0, "boot": "b", "off": 0}
        common = {"by": [self.answer["person"]["id"]], "schema": 1, "hlc": f"{now:012x}-0000", "clock": clock} | more
        return compose(id=ServerKeys.new_id(now), kind=kind, record=record, set=written, **common)

    def carried(self, *changes: Change) -> list[tuple[Change, Link]]:
        """These changes with their links, as the next ones of this tablet's replica."""
        found = []
        for change in changes:
            self.n += 1
            link = Link(self.replica, self.n, self.prev, b"")
            self.prev = link.chain(change.hash)
            found.append((change, link._replace(signature=self.key.sign(signature_input(self.prev)))))
        return found

    def push(self, *changes: Change) -> list[dict[str, Any]]:
        """Register the replica, push the changes as its next run; returns the results."""
        self.post("/replicas", {"replica": self.replica}).raise_for_status()
        linked = self.carried(*changes)
        sigs = [b64encode(link.signature).decode() for _, link in linked]
        first = linked[0][1]
        run = {"replica": self.replica, "n": first.n, "prev": first.prev, "sigs": sigs}
        header = orjson.dumps({"epoch": self.answer["epoch"], "runs": [run]})
        response = self.request("POST", "/push", b"\n".join([header, *(change.content for change in changes)]))
        response.raise_for_status()
        results: list[dict[str, Any]] = response.json()["results"]
        return results


@dataclass
class TestServer:
    """A server with a session that reaches it at `url`."""

    __test__ = False

    app: Flask
    url: str
    session: requests.Session
    clock: Clock

    @property
    def instance(self) -> Instance:
        return self.app.extensions[EXTENSION]  # type: ignore[no-any-return]

    def person(self, role: str = "inspector", *areas: str, name: str = "李敏", department: str = "") -> Person:
        """Somebody new, with grants on these areas from the beginning of time."""
        house = self.instance
        one = Person(house.keys.new_id(house.now()), name, role, house.now())
        with house.database.write() as conn:
            people.add_person(conn, one)
            for area in areas:
                for compartment in {"", rights.BEHIND.get(role, "")}:
                    new = house.keys.new_id(house.now())
                    rights.grant(conn, Grant(new, one.id, area, role, 0, None, compartment, department))
        return one

    def code(self, person: Person) -> str:
        house = self.instance
        return enrolment.invite(house.database, house.keys, person.id, house.now(), house.settings.code_ms)

    def claim(self, code: str, key: Ed25519PrivateKey) -> dict[str, Any]:
        """The body of an enrolment."""
        public = key.public_key().public_bytes_raw()
        proof = key.sign(enrolment_proof_input(code, public))
        return {"code": code, "key": b64encode(public).decode(), "name": "T-14", "model": "test",
                "proof": b64encode(proof).decode()}  # fmt: skip

    def enrol(self, role: str = "inspector", *areas: str, department: str = "") -> TestDevice:
        """A new person's tablet, enrolled over HTTP."""
        key = Ed25519PrivateKey.generate()
        claim = self.claim(self.code(self.person(role, *areas, department=department)), key)
        response = self.session.post(f"{self.url}{BASE}/enrol", json=claim, timeout=60)
        response.raise_for_status()
        answer = response.json()
        return TestDevice(self.session, self.url, answer["device"], key, self.clock, answer)


def wsgi_server(folder: Path, registry: Registry | None = None, **settings: Any) -> TestServer:
    """A new server in this process, reached without a socket."""
    made = Settings(folder / "data", **settings)
    create_instance(made, ORIGIN, registry).close()
    return opened_server(made, registry)


def opened_server(settings: Settings, registry: Registry | None = None) -> TestServer:
    """The server that was set up with these settings, reached without a socket."""
    clock = Clock()
    app = create_app(settings, registry, clock)
    session = requests.Session()
    session.mount("http://", WsgiAdapter(app))
    return TestServer(app, "http://server.test", session, clock)


@contextmanager
def running_server(folder: Path, registry: Registry | None = None, **settings: Any) -> Iterator[TestServer]:
    """The same behind a real socket on a free port of this machine, in a thread."""
    server = wsgi_server(folder, registry, **settings)
    listener = make_server("127.0.0.1", 0, server.app, threaded=True, request_handler=_KeepAlive)
    thread = threading.Thread(target=listener.serve_forever, daemon=True)
    thread.start()
    try:
        with requests.Session() as session:
            session.trust_env = False
            yield TestServer(server.app, f"http://127.0.0.1:{listener.server_port}", session, server.clock)
    finally:
        listener.shutdown()
        thread.join()
        listener.server_close()
        server.instance.close()


class _KeepAlive(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, type: str, message: str, *args: Any) -> None:
        """Tests have their own output."""
