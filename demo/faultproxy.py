"""A bad network between a tablet and the server: a TCP relay on loopback that breaks on request.

It passes bytes on and knows no more of HTTP/1.1 than where requests and answers begin, so keep-alive,
streaming and any body work through it as they are. Faults are switched on and off from any thread:

    with FaultProxy("127.0.0.1", server_port) as proxy:
        proxy.cut_before_answer(server.kill, match=b"POST /api/v1/push")
        tablet.sync(f"http://127.0.0.1:{proxy.port}")

A connection has two threads, one for each direction. Only the first closes the sockets, after the second
has ended: a socket closed under a thread that waits for it neither wakes the thread nor tells the peer.
"""

import re
import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

_CHUNK = 65_536
_REQUEST_LINE = re.compile(rb"[A-Z]+ [^\r\n]+\r\n")
# What may still become a request line when more arrives; anything else is the rest of a body.
_PART_OF_REQUEST_LINE = re.compile(rb"[A-Z]+( [^\r\n]*)?\r?\Z")
_LONGEST_REQUEST_LINE = 8_192
_CONNECT_SECONDS = 5.0
_JOIN_SECONDS = 10.0


@dataclass
class _AnswerCut:
    action: Callable[[], object] | None
    match: bytes


@dataclass
class _Faults:
    """What is switched on now; None, False and 0 are off."""

    cut_after: int | None = None
    drop_after: int | None = None
    answer_cut: _AnswerCut | None = None
    reset: bool = False
    flip_at: int | None = None
    delay_s: float = 0.0
    bytes_per_s: int | None = None


@dataclass
class _Direction:
    """What all connections together passed on one way; when the link is free again, in monotonic seconds."""

    passed: int = 0
    free_at: float = 0.0


@dataclass
class _BodyByte:
    """Looks for one byte of an answer's body, over as many chunks as that takes."""

    at: int
    head: bytes = b""
    in_body: bool = False

    def place_in(self, chunk: bytes) -> int | None:
        """Where in this next chunk of the answer the byte lies, if it does."""
        start = 0
        if not self.in_body:
            known = len(self.head)
            self.head += chunk
            end = self.head.find(b"\r\n\r\n")
            if end < 0:
                return None
            self.in_body = True
            start = end + 4 - known
        if start + self.at < len(chunk):
            return start + self.at
        self.at -= len(chunk) - start
        return None


@dataclass(eq=False)
class _Connection:
    """The tablet's connection, ours to the server, and where in the conversation they are."""

    client: socket.socket
    server: socket.socket
    request_line: bytes = b""
    between_requests: bool = True
    held: bytes = b""
    dropping: bool = False
    body_byte: _BodyByte | None = None
    broken: threading.Event = field(default_factory=threading.Event)

    def reset(self, how: int = socket.SHUT_RD) -> None:
        """Wake both threads and let them end; the tablet is sent a reset (RST) when the last has ended.

        `how` wakes the threads that use the tablet's socket. SHUT_RD sends nothing itself; SHUT_RDWR, needed
        when a thread may be stuck sending, can let the tablet see an orderly end before the reset.
        """
        self.broken.set()
        with suppress(OSError):
            _reset_when_closed(self.client)
            self.client.shutdown(how)
        with suppress(OSError):
            self.server.shutdown(socket.SHUT_RDWR)


def _reset_when_closed(connection: socket.socket) -> None:
    """Make close() send a reset and forget unsent bytes: SO_LINGER switched on, with no time to linger."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class FaultProxy:
    """Relays connections from a loopback port of its own to `target_host:target_port`, or breaks them.

    `fired` lists the single faults that happened, in order: cut_upload, drop_request, cut_before_answer,
    reset, flip_byte; each is in the list before the tablet can notice it. `connections` counts those relayed.
    """

    def __init__(self, target_host: str, target_port: int) -> None:
        self._target = (target_host, target_port)
        self._lock = threading.Lock()
        self._faults = _Faults()
        self._up, self._down = _Direction(), _Direction()
        self._open: set[_Connection] = set()
        self._threads: set[threading.Thread] = set()
        self._listener: socket.socket | None = None
        self._port = 0
        self._failed_actions: list[Exception] = []
        self.connections = 0
        self.fired: list[str] = []

    @property
    def port(self) -> int:
        """The port for the tablet, the same for the proxy's whole life; 0 before `start`."""
        return self._port

    @property
    def bytes_up(self) -> int:
        """Bytes passed on to the server so far."""
        return self._up.passed

    @property
    def bytes_down(self) -> int:
        """Bytes passed on to the tablet so far."""
        return self._down.passed

    def start(self) -> "FaultProxy":
        """Listen on a free loopback port."""
        self._listen()
        return self

    def close(self) -> None:
        """Break what is open, stop listening, wait for all threads.

        Raises what the action of a `cut_before_answer` raised.
        """
        self.refuse()
        with self._lock:
            threads = list(self._threads)
        for thread in threads:
            thread.join(_JOIN_SECONDS)
        if self._failed_actions:
            raise self._failed_actions[0]

    def __enter__(self) -> "FaultProxy":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def retarget(self, port: int) -> None:
        """Relay new connections to another port, as when the server has come up again elsewhere."""
        with self._lock:
            self._target = (self._target[0], port)

    # What can go wrong

    def cut_upload_after(self, n_bytes: int) -> None:
        """When `n_bytes` more of requests, heads included, were passed on, reset that connection. Once."""
        with self._lock:
            self._faults.cut_after = n_bytes

    def drop_request_after(self, n_bytes: int) -> None:
        """When `n_bytes` more of requests were passed on, let that connection go silent. Once.

        A dead link: whatever else is sent on it vanishes and nothing comes back until the tablet gives up.
        """
        with self._lock:
            self._faults.drop_after = n_bytes

    def cut_before_answer(self, action: Callable[[], object] | None = None, match: bytes | None = None) -> None:
        """Lose the next answer to a request whose first line contains `match` (None: to any request). Once.

        The request is passed on whole. When the server begins to answer, so has committed what it was asked
        to, `action` is called (to kill the server, say); when that has returned the connection is reset. Not
        a byte of the answer is passed on.
        """
        with self._lock:
            self._faults.answer_cut = _AnswerCut(action, match or b"")

    def reset_next(self) -> None:
        """Answer the next request with a reset; none of it reaches the server. Once."""
        with self._lock:
            self._faults.reset = True

    def flip_byte(self, at: int = 0) -> None:
        """Change one bit of byte `at` (from 0) of the body of the next answer that is so long. Once.

        What counts is what follows the answer's head on the wire: with chunked encoding, size lines too.
        """
        with self._lock:
            self._faults.flip_at = at

    def delay(self, seconds: float) -> None:
        """Let every request start so much later: the round trip is longer by that."""
        with self._lock:
            self._faults.delay_s = seconds

    def rate(self, bytes_per_s: int) -> None:
        """Pass on at most so much in each direction, all connections together."""
        with self._lock:
            self._faults.bytes_per_s = bytes_per_s

    def refuse(self) -> None:
        """Break every connection and refuse new ones."""
        with self._lock:
            listener, self._listener = self._listener, None
            open_now = list(self._open)
        if listener is not None:
            # close() alone would not wake the thread that waits in accept().
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        for connection in open_now:
            connection.reset(socket.SHUT_RDWR)

    def heal(self) -> None:
        """Switch every fault off and listen again. Connections that were broken or went silent stay so."""
        with self._lock:
            self._faults = _Faults()
            self._up.free_at = self._down.free_at = 0.0
        self._listen()

    # Connections

    def _listen(self) -> None:
        with self._lock:
            if self._listener is not None:
                return
            self._listener = listener = socket.create_server(("127.0.0.1", self._port), backlog=128)
            self._port = listener.getsockname()[1]
        self._spawn(partial(self._accept, listener))

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                self._spawn(partial(self._serve, client))

    def _spawn(self, work: Callable[[], None]) -> threading.Thread:
        def run() -> None:
            try:
                work()
            finally:
                with self._lock:
                    self._threads.discard(thread)

        thread = threading.Thread(target=run, name="fault proxy", daemon=True)
        with self._lock:
            self._threads.add(thread)
        thread.start()
        return thread

    def _serve(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(self._target, _CONNECT_SECONDS)
        except OSError:
            # Nobody listens there. It is too late to refuse this connection, but not to reset it.
            _reset_when_closed(client)
            client.close()
            return
        server.settimeout(None)
        for end in (client, server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = _Connection(client, server)
        with self._lock:
            self._open.add(connection)
            self.connections += 1
            too_late = self._listener is None
        if too_late:
            connection.reset()
        answers = self._spawn(partial(self._relay_answers, connection))
        self._relay_requests(connection)
        answers.join()
        with self._lock:
            self._open.discard(connection)
        client.close()
        server.close()

    def _relay_requests(self, connection: _Connection) -> None:
        with suppress(OSError):
            while chunk := connection.client.recv(_CHUNK):
                self._pass_request(connection, chunk)
        # Even after an error: the server may have answered early and closed, and the answer be on its way.
        with suppress(OSError):
            connection.server.shutdown(socket.SHUT_WR)

    def _relay_answers(self, connection: _Connection) -> None:
        try:
            while chunk := connection.server.recv(_CHUNK):
                self._pass_answer(connection, chunk)
            if not connection.broken.is_set():
                connection.client.shutdown(socket.SHUT_WR)
        except OSError:
            connection.reset()

    def _pass_request(self, connection: _Connection, chunk: bytes) -> None:
        if connection.dropping:
            return
        if connection.between_requests:
            chunk, connection.held = connection.held + chunk, b""
            if line := _REQUEST_LINE.match(chunk):
                self._begin_request(connection, line[0])
            elif len(chunk) < _LONGEST_REQUEST_LINE and _PART_OF_REQUEST_LINE.match(chunk):
                connection.held = chunk
                return
        if connection.broken.is_set():
            return
        with self._lock:
            faults = self._faults
            chunk, faults.cut_after, cut = _spend(chunk, faults.cut_after)
            chunk, faults.drop_after, drop = _spend(chunk, faults.drop_after)
        self._send(connection, connection.server, self._up, chunk)
        if drop:
            connection.dropping = True
            self._fire("drop_request")
        if cut:
            self._fire("cut_upload")
            connection.reset()

    def _begin_request(self, connection: _Connection, line: bytes) -> None:
        connection.request_line = line
        connection.between_requests = False
        with self._lock:
            delay_s, reset = self._faults.delay_s, self._faults.reset
            self._faults.reset = False
        if reset:
            self._fire("reset")
            connection.reset()
        elif delay_s:
            connection.broken.wait(delay_s)

    def _pass_answer(self, connection: _Connection, chunk: bytes) -> None:
        if connection.dropping or connection.broken.is_set():
            return
        # "100 Continue" and its like are no answers: the request is not even complete.
        if not connection.between_requests and not chunk.startswith(b"HTTP/1.1 1"):
            connection.between_requests = True
            if self._cut_answer(connection):
                return
            flip_at = self._faults.flip_at
            connection.body_byte = None if flip_at is None else _BodyByte(flip_at)
        if connection.body_byte and (place := connection.body_byte.place_in(chunk)) is not None:
            connection.body_byte = None
            chunk = self._flipped(chunk, place)
        self._send(connection, connection.client, self._down, chunk)

    def _cut_answer(self, connection: _Connection) -> bool:
        with self._lock:
            cut = self._faults.answer_cut
            if cut is None or cut.match not in connection.request_line:
                return False
            self._faults.answer_cut = None
        try:
            if cut.action:
                cut.action()
        except Exception as error:
            self._failed_actions.append(error)
        self._fire("cut_before_answer")
        connection.reset()
        return True

    def _flipped(self, chunk: bytes, place: int) -> bytes:
        with self._lock:
            # Another connection's answer may have been the next one, or the proxy was healed meanwhile.
            if self._faults.flip_at is None:
                return chunk
            self._faults.flip_at = None
        self._fire("flip_byte")
        return chunk[:place] + bytes([chunk[place] ^ 1]) + chunk[place + 1 :]

    def _fire(self, fault: str) -> None:
        with self._lock:
            self.fired.append(fault)

    def _send(self, connection: _Connection, sink: socket.socket, direction: _Direction, data: bytes) -> None:
        while data and not connection.broken.is_set():
            rate = self._faults.bytes_per_s
            # A twentieth of a second at a time, so that a change of rate or a break is soon felt.
            size = min(_CHUNK, max(1, rate // 20)) if rate else _CHUNK
            piece, data = data[:size], data[size:]
            if rate:
                connection.broken.wait(self._reserve(direction, len(piece) / rate))
            sink.sendall(piece)
            with self._lock:
                direction.passed += len(piece)

    def _reserve(self, direction: _Direction, seconds: float) -> float:
        """Take the link for so long; returns how long from now until that is over."""
        with self._lock:
            now = time.monotonic()
            direction.free_at = max(now, direction.free_at) + seconds
            return direction.free_at - now


def _spend(chunk: bytes, budget: int | None) -> tuple[bytes, int | None, bool]:
    """What of `chunk` a budget of bytes lets through, the budget left, and whether this used it up."""
    if budget is None:
        return chunk, None, False
    if len(chunk) >= budget:
        return chunk[:budget], None, True
    return chunk, budget - len(chunk), False
