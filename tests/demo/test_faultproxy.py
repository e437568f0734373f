import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests

from demo.faultproxy import FaultProxy

BODY = b"0123456789" * 20


class Handler(BaseHTTPRequestHandler):
    """Answers GET with BODY and POST with the number of bytes that it was sent."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.answer(BODY)

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        content = self.rfile.read(length)
        self.server.received.append((self.path, len(content), length))  # type: ignore[attr-defined]
        if len(content) == length:
            self.answer(str(length).encode())

    def answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    """`received` holds path, bytes that arrived and bytes announced, for each POST."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.received: list[tuple[str, int, int]] = []


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        threading.Thread(target=running.serve_forever, args=(0.02,), daemon=True).start()
        yield running
        running.shutdown()


@pytest.fixture
def proxy(server: Server) -> Iterator[FaultProxy]:
    with FaultProxy("127.0.0.1", server.server_port) as running:
        yield running


@pytest.fixture
def tablet() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        yield session


def url(proxy: FaultProxy, path: str = "/") -> str:
    return f"http://127.0.0.1:{proxy.port}{path}"


def wait_until(holds: Callable[[], object], seconds: float = 5) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_many_requests_pass_over_one_kept_connection(
    server: Server, proxy: FaultProxy, tablet: requests.Session
) -> None:
    content = bytes(300_000)
    for _ in range(5):
        assert tablet.get(url(proxy), timeout=5).content == BODY
        assert tablet.post(url(proxy), content, timeout=5).content == b"300000"
    assert proxy.connections == 1
    assert proxy.fired == []
    assert 1_500_000 < proxy.bytes_up < 1_510_000
    assert 1_000 < proxy.bytes_down < 5_000


def test_an_upload_is_cut_after_so_many_bytes(server: Server, proxy: FaultProxy, tablet: requests.Session) -> None:
    proxy.cut_upload_after(100_000)
    with pytest.raises(requests.ConnectionError):
        tablet.post(url(proxy), bytes(3_000_000), timeout=5)
    assert proxy.bytes_up == 100_000
    assert proxy.fired == ["cut_upload"]
    wait_until(lambda: server.received)
    assert 99_000 < server.received[0][1] < 100_000
    assert tablet.post(url(proxy), b"again", timeout=5).content == b"5"


def test_the_cut_before_the_answer_comes_when_the_server_has_the_whole_request(
    server: Server, proxy: FaultProxy, tablet: requests.Session
) -> None:
    seen: list[int] = []
    proxy.cut_before_answer(lambda: seen.append(len(server.received)), match=b"POST /push")
    assert tablet.post(url(proxy, "/other"), b"x", timeout=5).ok
    with pytest.raises(requests.ConnectionError):
        tablet.post(url(proxy, "/push"), bytes(200_000), timeout=5)
    assert seen == [2]
    assert server.received[1] == ("/push", 200_000, 200_000)
    assert proxy.fired == ["cut_before_answer"]
    assert tablet.post(url(proxy, "/push"), b"xyz", timeout=5).content == b"3"


def test_no_byte_of_a_cut_answer_reaches_the_tablet(proxy: FaultProxy, tablet: requests.Session) -> None:
    proxy.cut_before_answer()
    with pytest.raises(requests.ConnectionError):
        tablet.get(url(proxy), timeout=5)
    assert proxy.bytes_down == 0


@pytest.fixture
def process(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A web server in a process of its own; the first line that it prints names its port."""
    serve = [sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1"]
    with subprocess.Popen(serve, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as running:
        yield running
        running.kill()


def test_a_server_can_be_killed_before_it_has_answered(
    process: subprocess.Popen[str], server: Server, tablet: requests.Session
) -> None:
    def kill() -> None:
        process.kill()
        process.wait()

    assert process.stdout
    with FaultProxy("127.0.0.1", int(process.stdout.readline().split(" port ")[1].split()[0])) as proxy:
        proxy.cut_before_answer(kill)
        with pytest.raises(requests.ConnectionError):
            tablet.get(url(proxy), timeout=5)
        assert process.returncode == -signal.SIGKILL
        proxy.retarget(server.server_port)
        assert tablet.get(url(proxy), timeout=5).content == BODY


def test_an_action_that_fails_is_raised_on_close(server: Server, tablet: requests.Session) -> None:
    proxy = FaultProxy("127.0.0.1", server.server_port).start()
    proxy.cut_before_answer(lambda: 1 // 0)
    with pytest.raises(requests.ConnectionError):
        tablet.get(url(proxy), timeout=5)
    with pytest.raises(ZeroDivisionError):
        proxy.close()


def test_a_dropped_request_leaves_the_tablet_waiting(
    server: Server, proxy: FaultProxy, tablet: requests.Session
) -> None:
    proxy.drop_request_after(50)
    with pytest.raises(requests.ReadTimeout):
        tablet.post(url(proxy), bytes(1000), timeout=0.3)
    assert proxy.fired == ["drop_request"]
    assert proxy.bytes_up == 50
    assert tablet.get(url(proxy), timeout=5).ok


def test_a_reset_hits_the_next_request_on_a_kept_connection(server: Server, proxy: FaultProxy) -> None:
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as connection:
        connection.sendall(b"POST /first HTTP/1.1\r\nContent-Length: 2\r\n\r\nab")
        assert connection.recv(4096).startswith(b"HTTP/1.1 200")
        proxy.reset_next()
        connection.sendall(b"POST /second HTTP/1.1\r\nContent-Length: 2\r\n\r\nab")
        with pytest.raises(ConnectionResetError):
            while connection.recv(4096):
                pass
    assert [path for path, _, _ in server.received] == ["/first"]


def test_a_request_line_may_arrive_in_pieces(proxy: FaultProxy) -> None:
    proxy.cut_before_answer(match=b"POST /push")
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as connection:
        for piece in (b"PO", b"ST ", b"/push HTTP/1.1", b"\r", b"\nContent-Length: 1\r\n\r\n", b"x"):
            connection.sendall(piece)
            time.sleep(0.01)
        with pytest.raises(ConnectionResetError):
            connection.recv(4096)
    assert proxy.fired == ["cut_before_answer"]


def test_a_refusing_proxy_comes_back_on_the_same_port(proxy: FaultProxy, tablet: requests.Session) -> None:
    port = proxy.port
    assert tablet.get(url(proxy), timeout=5).ok
    proxy.refuse()
    with pytest.raises(requests.ConnectionError, match="refused"):
        requests.get(url(proxy), timeout=5, proxies={"http": ""})
    proxy.heal()
    assert proxy.port == port
    assert tablet.get(url(proxy), timeout=5).ok


def test_a_flipped_byte_changes_one_answer_by_one_bit(proxy: FaultProxy, tablet: requests.Session) -> None:
    proxy.flip_byte(at=3)
    assert tablet.get(url(proxy), timeout=5).content == b"0122" + BODY[4:]
    assert tablet.get(url(proxy), timeout=5).content == BODY


def test_a_flip_waits_for_an_answer_that_is_long_enough(proxy: FaultProxy, tablet: requests.Session) -> None:
    proxy.flip_byte(at=150)
    assert tablet.post(url(proxy), b"short", timeout=5).content == b"5"
    assert tablet.get(url(proxy), timeout=5).content == BODY[:150] + b"1" + BODY[151:]
    assert proxy.fired == ["flip_byte"]


def test_delay_lengthens_every_round_trip(proxy: FaultProxy, tablet: requests.Session) -> None:
    proxy.delay(0.1)
    began = time.monotonic()
    for _ in range(3):
        tablet.get(url(proxy), timeout=5)
    assert 0.3 <= time.monotonic() - began < 3


def test_rate_holds_an_upload_to_its_speed_until_healed(proxy: FaultProxy, tablet: requests.Session) -> None:
    proxy.rate(200_000)
    began = time.monotonic()
    tablet.post(url(proxy), bytes(100_000), timeout=5)
    assert 0.45 <= time.monotonic() - began < 3
    proxy.heal()
    began = time.monotonic()
    tablet.post(url(proxy), bytes(2_000_000), timeout=5)
    assert time.monotonic() - began < 3


def test_healing_disarms_a_fault_that_has_not_happened(proxy: FaultProxy, tablet: requests.Session) -> None:
    proxy.cut_upload_after(10_000)
    proxy.cut_before_answer()
    proxy.flip_byte()
    proxy.heal()
    assert tablet.post(url(proxy), bytes(20_000), timeout=5).content == b"20000"
    assert proxy.fired == []


def test_a_restarted_server_is_found_on_its_new_port(server: Server, tablet: requests.Session) -> None:
    with Server() as gone:
        port = gone.server_port
    with FaultProxy("127.0.0.1", port) as proxy:
        with pytest.raises(requests.ConnectionError):
            tablet.get(url(proxy), timeout=5)
        proxy.retarget(server.server_port)
        assert tablet.get(url(proxy), timeout=5).content == BODY


def test_a_closed_proxy_leaves_no_thread_behind(server: Server, tablet: requests.Session) -> None:
    with FaultProxy("127.0.0.1", server.server_port) as proxy:
        proxy.drop_request_after(10)
        with pytest.raises(requests.ReadTimeout):
            tablet.get(url(proxy), timeout=0.2)
        tablet.get(url(proxy), timeout=5)
    assert not [thread for thread in threading.enumerate() if thread.name == "fault proxy"]
