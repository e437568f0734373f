"""Files, names, numbers and bodies that mean harm, sent to the interface and to the console over real HTTP."""

from __future__ import annotations

import csv
import io
import re
import socket
from collections.abc import Iterator
from hashlib import sha256
from itertools import product
from urllib.parse import quote, urlencode, urlsplit

import openpyxl
import pytest
import requests

from server.keys import ServerKeys
from tests.support.console import Browser, signed_in
from tests.support.desk import COUNTY, Filled, fill
from tests.support.photographs import photograph
from tests.support.pictures import encoded
from tests.support.server import BASE, TestServer, running_server

SCRIPT = b"<!doctype html><html><script>alert(document.cookie)</script></html>"
RUN = ("text/html", "image/svg", "application/xhtml", "text/xml", "application/xml", "text/javascript", "application/javascript")
"""Types that a browser runs scripts of."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestServer]:
    with running_server(tmp_path_factory.mktemp("hostile")) as running:
        yield running


@pytest.fixture(scope="module")
def filled(server: TestServer) -> Filled:
    return fill(server, 12)


@pytest.fixture(scope="module")
def lead(server: TestServer, filled: Filled) -> Browser:
    return signed_in(server, "lead", COUNTY, name="周敏")


# --- Files ----------------------------------------------------------------------------------------------------------


def polyglot() -> bytes:
    """A whole JPEG that is a page as well, to a browser that guesses."""
    picture = encoded(photograph("dust-bowl-home"), "JPEG")
    comment = b"<!--" + SCRIPT + b"-->"
    return picture[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + picture[2:] + SCRIPT


FILES = {
    "a page": (SCRIPT, "text/html", "attachment"),
    "a drawing": (b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"><script>alert(1)</script></svg>', "image/svg+xml", "attachment"),
    "XML": (b'<?xml version="1.0"?><x xmlns="http://www.w3.org/1999/xhtml"><script>alert(1)</script></x>', "application/xml", "attachment"),
    "a script": (b"alert(1)", "text/javascript", "attachment"),
    "a page that calls itself a photo": (SCRIPT + b"1", "image/jpeg", "inline"),
    "a photo that is a page": (polyglot(), "image/jpeg", "inline"),
    "a document with a script": (b"%PDF-1.7\n1 0 obj<</OpenAction<</S/JavaScript/JS(app.alert(1))>>>>endobj", "application/pdf", "inline"),
}


@pytest.mark.parametrize("name", FILES)
def test_no_file_of_a_tablet_is_ever_a_page_to_a_browser(server: TestServer, filled: Filled, lead: Browser, name: str) -> None:
    content, mime, shown = FILES[name]
    tablet, digest = filled.tablet, sha256(content).hexdigest()
    tablet.send_blob(content, mime=mime)
    record = ServerKeys.new_id(tablet.now())
    tablet.push(tablet.change("evidence", record, {
        "subject": filled.inspection, "subject_kind": "inspection", "area": f"{COUNTY}002001", "role": "original", "source": "camera",
        "sha256": digest, "size": len(content), "mime": mime, "caption": name, "captured_at": "2026-11-24T02:12:00.000Z",
    }))  # fmt: skip
    answers = [tablet.get(f"/blobs/{digest}"), *(lead.get(f"record/{record}/{how}/{digest}") for how in ("file", "original"))]
    for answer in answers:
        assert answer.status_code == 200 and answer.content == content
        said = answer.headers
        assert not said["Content-Type"].startswith(RUN), said["Content-Type"]
        assert said["X-Content-Type-Options"] == "nosniff" and "sandbox" in said["Content-Security-Policy"]
        assert "script-src" not in said["Content-Security-Policy"] and said["Content-Disposition"].startswith(shown)
    for small in (tablet.get(f"/blobs/{digest}?width=320"), lead.get(f"record/{record}/file/{digest}?width=320")):
        assert small.status_code < 500 and b"alert" not in small.content
        assert small.status_code != 200 or small.headers["Content-Type"] == "image/jpeg"


@pytest.mark.parametrize("path", ["../../etc/passwd", "..%2f..%2fetc%2fpasswd", "%2e%2e/%2e%2e/trust.json", "..\\..\\x", "/etc/passwd",
                                  "css/..%2f..%2fframe.py", "console.css%00.html", "%c0%ae%c0%ae/x", "....//....//frame.py"])  # fmt: skip
def test_no_path_leads_out_of_the_folders_that_are_given_out(server: TestServer, lead: Browser, path: str) -> None:
    split = urlsplit(server.url)
    for folder in ("/look/", "/console/static/", "/console/map/tiles/1/1/", f"/console/record/{'0' * 36}/file/", f"{BASE}/blobs/"):
        with socket.create_connection((split.hostname or "", split.port or 0), timeout=10) as line:  # as it is: no client tidies it
            words = f"GET {folder}{path} HTTP/1.1\r\nHost: {split.netloc}\r\nCookie: patrolbook={lead.cookie}\r\nConnection: close\r\n\r\n"
            line.sendall(words.encode())
            answer = b""
            while piece := line.recv(65536):
                answer += piece
        status = int(answer.split(b" ", 2)[1])
        assert status in (303, 308, 400, 401, 403, 404), (folder, answer[:300])
        assert b"root:" not in answer and b"import " not in answer


# --- Names that leave in files --------------------------------------------------------------------------------------

NAMES = ('=cmd|"/c calc"!A1', "+1+1", "-2+3", "@SUM(1)", "\t=1", "\r=1", "a\r\nSet-Cookie: x=1", 'a";filename="b.html', "../../x", "＝1+1")


@pytest.fixture(scope="module")
def named(filled: Filled, server: TestServer) -> set[str]:
    """Institutions with all of these names."""
    tablet = filled.tablet
    for name in NAMES:
        results = tablet.push(tablet.change("institution", ServerKeys.new_id(tablet.now()), {"name": name, "area": f"{COUNTY}001001"}))
        assert results[0]["status"] in ("accepted", "parked", "quarantined")
    return set(NAMES)


@pytest.mark.parametrize("form", ["csv", "xlsx", "geojson"])
def test_an_export_holds_text_and_its_name_is_one_line(lead: Browser, named: set[str], form: str) -> None:
    lead.get("records/institution")
    answer = lead.post("records/institution/export", {"form": form, "all": "1"})
    assert answer.status_code == 200
    said = answer.headers
    assert said["Content-Disposition"].startswith("attachment;") and "x" not in answer.cookies
    assert not re.search(r"[\r\n/\\]", said["Content-Disposition"]) and said["X-Content-Type-Options"] == "nosniff"
    if form == "csv":
        cells = [cell for row in csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))) for cell in row]
        assert not [cell for cell in cells if cell[:1] in "=+-@\t\r" and cell]
        assert any("calc" in cell for cell in cells), "they are there, as text"
    if form == "xlsx":
        book = openpyxl.load_workbook(io.BytesIO(answer.content))
        cells = [cell for row in book.worksheets[0].iter_rows() for cell in row]
        assert not [cell for cell in cells if cell.data_type == "f"]
        assert any("calc" in str(cell.value) for cell in cells)


@pytest.mark.parametrize("kind", ["institution%0d%0aX: y", "institution%22", "..%2finstitution", "institution%00", "INSTITUTION"])
def test_the_kind_of_an_export_is_one_that_exists(lead: Browser, kind: str) -> None:
    lead.get("records/institution")
    answer = lead.post(f"records/{kind}/export", {"form": "csv"})
    assert answer.status_code in (303, 404) and "X" not in answer.headers


# --- What is typed into addresses -----------------------------------------------------------------------------------

TYPED = (
    "'", '"', "' OR 1=1 --", "1; DROP TABLE changes", '"a" NEAR("b", 9', "name:* OR {a b}:c", "^*", "-", "(", "NOT", "\x00", "\r\nX: y",
    "9" * 400, "-1", "1e999", "nan,inf,-inf,1e400", "9223372036854775808", "٣", "\ud7ff\U0010ffff", "%", "_%", "../../x", "{{7*7}}",
    "a" * 6000, "2026-99-99", "zoom", "1-1-1", "1.5", "true", "[]", "<script>alert(1)</script>",
)  # fmt: skip
PARAMETERS = (
    "q", "after", "before", "last", "sort", "order", "columns", "page", "kind", "width", "purpose", "box", "zoom", "person", "record",
    "since", "place", "day", "rule", "device", "area", "under", "all", "group", "code", "second", "v", "done", "name", "status", "text",
)  # fmt: skip


def pages(server: TestServer, filled: Filled) -> list[str]:
    """Every page of the console, with ids that exist in its address."""
    there = {"kind": "institution", "record": filled.inspection, "device": filled.tablet.id, "id": filled.tablet.id}
    found = set()
    for rule in server.app.url_map.iter_rules():
        if rule.rule.startswith("/console/") and "GET" in (rule.methods or set()):
            found.add(re.sub(r"<(?:(\w+):)?(\w+)>", lambda part: "1" if part[1] == "int" else there.get(part[2], "0" * 36), rule.rule))
    return sorted(found)


def test_whatever_stands_in_an_address_no_page_breaks_and_nothing_runs(server: TestServer, filled: Filled, lead: Browser) -> None:
    for number, path in enumerate(pages(server, filled)):
        # Every text in some parameter of every page, every parameter with some text: all pairs would take minutes.
        for turn in range(2):
            said = {name: TYPED[(number * 7 + turn * 11 + place) % len(TYPED)] for place, name in enumerate(PARAMETERS)}
            answer = lead.get(f"{path}?{urlencode(said, errors='replace')}")
            assert answer.status_code < 500, (path, said)
            assert "<script>alert" not in answer.text and "Traceback" not in answer.text, path


@pytest.mark.parametrize("text", TYPED)
def test_what_is_searched_for_is_only_text(server: TestServer, filled: Filled, lead: Browser, text: str) -> None:
    for path in (f"search?q={quote(text)}", f"records/institution?q={quote(text)}", f"records/hazard?after={quote(text)}",
                 f"map/clusters?box={quote(text)}&zoom={quote(text)}", f"records/institution?sort={quote(text)}"):  # fmt: skip
        answer = lead.get(path)
        assert answer.status_code < 500 and "<script>alert" not in answer.text, path
    whole = lead.get("records/institution").text
    assert "启航" in whole, "nothing was dropped"


@pytest.mark.parametrize("path", [f"{BASE}/blobs/%s", f"{BASE}/snapshots/%s", f"{BASE}/evidence/%s", f"{BASE}/blobs/u-%s/complete"])
def test_the_interface_takes_any_id_for_text(filled: Filled, path: str) -> None:
    for text in TYPED:
        method = "POST" if path.endswith("complete") else "GET"
        answer = filled.tablet.request(method, path.removeprefix(BASE) % quote(text[:2000], safe=""))
        assert 400 <= answer.status_code < 500, (text, answer.text)


# --- Bodies ---------------------------------------------------------------------------------------------------------

DEEP = {"a list": b"[" * 200_000 + b"]" * 200_000, "an object": b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "no end": b"[" * 400_000}


@pytest.mark.parametrize(("body", "path"), list(product(DEEP, ["/have", "/pull", "/push", "/enrol", "/replicas", "/blobs", "/log/inclusion"])))
def test_json_that_goes_deep_is_malformed_and_nothing_more(filled: Filled, body: str, path: str) -> None:
    answer = filled.tablet.request("POST", path, DEEP[body], Content_Type="application/json")
    assert answer.status_code in (400, 422), answer.text


@pytest.mark.parametrize("depth", [33, 900, 50_000])
def test_a_deep_change_is_kept_aside_or_refused_and_the_server_goes_on(filled: Filled, depth: int) -> None:
    tablet = filled.tablet
    header = b'{"epoch":"%s","runs":[]}' % tablet.answer["epoch"].encode()
    answer = tablet.request("POST", "/push", header + b"\n" + b'{"a":' * depth + b"1" + b"}" * depth)
    assert answer.status_code in (200, 400, 422), answer.text
    assert tablet.post("/have", {"ids": []}).status_code == 200


def test_a_form_that_is_a_bomb_is_refused(server: TestServer, lead: Browser) -> None:
    lead.get("account")
    many = lead.post("account/sessions", {f"f{n}": "x" for n in range(20_000)})
    assert many.status_code < 500 and many.status_code != 200
    long = lead.post("records/institution/export", {"form": "x" * (64 << 20)})
    assert long.status_code in (400, 413), long.status_code


# --- Methods and heads ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("header", ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"])
def test_no_header_and_no_field_turns_a_method_into_another(server: TestServer, lead: Browser, header: str) -> None:
    answer = lead.get("account?_method=POST", headers={header: "POST"})
    assert answer.status_code == 200 and "csrf" in answer.text
    assert lead.session.post(f"{server.url}/console/records", headers={header: "GET"}, timeout=10).status_code == 405


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PROPFIND", "DELETE", "PATCH", "PUT"])
def test_methods_that_nobody_needs_are_refused_by_the_interface(server: TestServer, method: str) -> None:
    answer = requests.request(method, f"{server.url}{BASE}/pull", timeout=10)
    assert answer.status_code in (405, 501) and "TRACE" not in answer.text.replace("不接受 TRACE", "").replace("take TRACE", "")


def test_nothing_of_a_case_is_kept_by_a_browser_or_shown_in_a_frame(server: TestServer, filled: Filled, lead: Browser) -> None:
    for path in pages(server, filled):
        answer = lead.get(path)
        kept = answer.headers["Cache-Control"]
        assert "no-store" in kept or "private" in kept or "/static/" in path or "max-age" in kept and "/map/" in path, (path, kept)
        if answer.headers.get("Content-Type", "").startswith("text/html"):
            assert "no-store" in kept and "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"], path
