"""A witness over HTTP (c2sp.org/tlog-witness): `POST /add-checkpoint`. `GET /` says who it is.

Requests need no authentication beyond the signature of the log under what they bring, so a body is bounded before it is
read, and nothing is kept of one that no known log has signed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from sync.core.errors import DiskFull
from sync.core.note import vkey
from sync.core.witnessing import MAX_SUBMISSION, Answer
from witness.book import Book

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

logger = logging.getLogger("patrolbook.witness")

TEXT = "text/plain; charset=utf-8"
SIZE = "text/x.tlog.size"
_REASONS = {
    200: "OK", 400: "Bad Request", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed", 409: "Conflict",
    411: "Length Required", 413: "Content Too Large", 422: "Unprocessable Content", 503: "Service Unavailable",
}  # fmt: skip


def application(book: Book) -> Callable[[WSGIEnvironment, StartResponse], Iterable[bytes]]:
    """The witness as a WSGI application."""

    def answer(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        status, kind, text = _answer(book, environ)
        content = text.encode()
        headers = [("Content-Type", kind), ("Content-Length", str(len(content)))]
        start(f"{status} {_REASONS[status]}", headers)
        return [content]

    return answer


def _answer(book: Book, environ: WSGIEnvironment) -> tuple[int, str, str]:
    path, method = environ.get("PATH_INFO", ""), environ["REQUEST_METHOD"]
    if path == "/" and method in ("GET", "HEAD"):
        return 200, TEXT, vkey(book.verifier) + "\n"
    if path != "/add-checkpoint":
        return 404, TEXT, ""
    if method != "POST":
        return 405, TEXT, ""
    length = environ.get("CONTENT_LENGTH", "")
    if not length.isdecimal():
        return 411, TEXT, ""
    if int(length) > MAX_SUBMISSION:
        return 413, TEXT, ""
    try:
        reply = book.add_checkpoint(environ["wsgi.input"].read(int(length)))
    except DiskFull as problem:
        logger.error("not stored, so not signed: %s", problem.text("en"))
        return 503, TEXT, ""
    if reply.answer is Answer.CONFLICT:
        return 409, SIZE, f"{reply.known}\n"
    return int(reply.answer), TEXT, reply.line


def serve(book: Book, host: str, port: int, ready: Callable[[str], None]) -> None:
    """Serve until a signal stops it; `ready` is told the address once connections are taken."""
    from waitress.server import create_server

    server: Any = create_server(
        application(book), host=host, port=port, threads=4, ident="", max_request_body_size=MAX_SUBMISSION,
        channel_timeout=30, connection_limit=200,
    )  # fmt: skip
    shown = f"[{host}]" if ":" in host else host
    ready(f"http://{shown}:{next(_ports(server))}")
    try:
        server.run()
    finally:
        server.close()


def _ports(server: Any) -> Iterator[int]:
    """The port that was taken: waitress has one server, or one for each address of a name."""
    yield from (
        [server.effective_port] if hasattr(server, "effective_port") else [port for _, port in server.effective_listen]
    )
