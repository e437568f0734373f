"""The twelve traps that were found while custody was designed. Each test shows what we do about one; several also show
that the trap is real, so that they tell when a library no longer has it.

     1  sqlite-utils catches the errors of another SQLite binding      7  Pillow's own check passes hostile files
     2  `PRAGMA key` takes text, and a new file does not use it        8  a compressed request body is a bomb
     3  SQLCipher writes to stderr                                     9  `assert` vanishes under `python -O`
     4  time stamps in another order of certificates                  10  a parser that takes two forms
     5  age hands out plaintext before it knows that all is there     11  one code that is right twice
     6  a small picture that is huge when decoded                     12  a lone surrogate
"""

from __future__ import annotations

import ast
import base64
import gzip
import io
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from itertools import chain
from pathlib import Path

import pyrage
import pytest
import sqlite_utils
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from PIL import Image
from sqlcipher3 import dbapi2 as sqlcipher

from custody import bundle, single
from custody.digests import CHUNK
from custody.pictures.orders import Order
from custody.pictures.workshop import Workshop
from custody.sealing import new_identity, open_key, open_sealed, seal
from custody.timestamps import NoJudge, by_library, judged, read, verify
from field_client.evidence.capture import capture
from field_client.platform import database
from server.proofs import stamping, trusts
from server.storage import attested
from server.storage.nonces import Nonces
from sync.core.change import Change, canonical
from sync.core.errors import BrokenFile, BrokenSeal, Malformed, NotCanonical, Problem, WrongKey
from sync.core.note import parse_checkpoint
from tests.support.bundles import Case, Texts, chain_file, forged, made_case
from tests.support.pictures import encoded, hollow_png, jpeg, scene
from tests.support.server import BASE, TestServer, wsgi_server
from tests.support.stampers import Authority, running_authority
from tests.support.tablets import hazard, tablet_in
from tests.support.witnesses import publish_trust

ROOMS = [Path(name) for name in ("schemas", "sync", "custody", "server", "field_client")]


def sources(*rooms: Path) -> Iterator[tuple[Path, ast.Module]]:
    for file in chain.from_iterable(room.rglob("*.py") for room in rooms or ROOMS):
        yield file, ast.parse(file.read_text("utf-8"))


# --- 1: sqlite-utils catches the errors of another binding --------------------------------------------------------------


def test_trap_1_what_needs_the_caught_error_fails_on_sqlcipher_and_is_used_nowhere(tmp_path: Path) -> None:
    opened = database.create(tmp_path / "t.db", secrets.token_bytes(32))
    opened.tables["t"].insert({"a": 1})
    with pytest.raises(sqlcipher.OperationalError):
        opened.tables["t"].insert({"b": 2}, alter=True)
    opened.close()
    assert sqlite_utils.db.OperationalError is not sqlcipher.OperationalError
    risky = {"alter", "find_unique_name"}
    used = [
        (file, node.lineno)
        for file, tree in sources(Path("field_client"))
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and risky & {word.arg for word in node.keywords}
    ]
    assert used == []


# --- 2: the key of a database -------------------------------------------------------------------------------------------


def test_trap_2_a_wrong_key_is_told_at_opening_again_and_not_at_the_first_query(tmp_path: Path) -> None:
    path, key = tmp_path / "t.db", secrets.token_bytes(32)
    made = database.create(path, key)
    made.tables["t"].insert({"a": "文字"})
    made.close()
    again = database.open_existing(path, key)
    assert again.value("SELECT a FROM t") == "文字"
    again.close()
    with pytest.raises(WrongKey):
        database.open_existing(path, secrets.token_bytes(32))
    bare = sqlcipher.connect(str(path))  # and SQLCipher itself cannot read it without the key
    with pytest.raises(sqlcipher.DatabaseError):
        bare.execute("SELECT a FROM t")
    bare.close()


def test_trap_2_only_raw_keys_reach_the_pragma() -> None:
    """A PIN in it would be text in SQL, and a passphrase would be stretched by SQLCipher's own rule."""
    statements = [
        node
        for _, tree in sources(Path("field_client"))
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr | ast.Constant) and "PRAGMA key" in ast.unparse(node)
    ]
    texts = {ast.unparse(node) for node in statements if isinstance(node, ast.JoinedStr)}
    assert texts and all("x\\'{" in text.replace("\"'", "\\'") or "x'{" in text for text in texts), texts
    assert all(".hex()}" in text for text in texts)
    with pytest.raises(ValueError):
        database._connect(Path("unused"), b"123456")


# --- 3: SQLCipher writes to stderr --------------------------------------------------------------------------------------

_WRONG = """
import sys
from pathlib import Path
from field_client.platform import database
from sync.core.errors import Problem
path = Path(sys.argv[1])
database._check = None
content = bytearray(path.read_bytes())
for at in range(4096, len(content), 4096):
    content[at + 99] ^= 1
path.write_bytes(content)
try:
    opened = database.open_existing(path, bytes.fromhex(sys.argv[2]))
    with opened.translated():
        opened.connection.execute("SELECT count(*), max(a) FROM t").fetchall()
except Problem as problem:
    print(problem.code)
"""

_BARE = """
import sys
from sqlcipher3 import dbapi2 as sqlcipher
bare = sqlcipher.connect(sys.argv[1])
bare.execute(f"PRAGMA key = \\"x'{'00' * 32}'\\"")
try:
    bare.execute("SELECT * FROM t")
except sqlcipher.DatabaseError:
    pass
"""


def test_trap_3_a_damaged_page_says_nothing_on_the_terminal(tmp_path: Path) -> None:
    path, key = tmp_path / "t.db", secrets.token_bytes(32)
    made = database.create(path, key)
    made.tables["t"].insert_all({"a": "x" * 500} for _ in range(200))
    made.close()
    bare = subprocess.run([sys.executable, "-c", _BARE, str(path)], capture_output=True, text=True, check=True)
    assert "hmac" in bare.stderr.lower()  # the trap is there
    done = subprocess.run(
        [sys.executable, "-c", _WRONG, str(path), key.hex()], capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("broken-store\n", "")


# --- 4: a time stamp whose certificates are out of order -----------------------------------------------------------------


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl command")
def test_trap_4_an_authority_that_sends_its_chain_out_of_order_is_understood_all_the_same(tmp_path: Path) -> None:
    """`openssl ts` writes the certificates as it likes, and the library reads DER only."""
    message, refused = b"a checkpoint", 0
    for number in range(6):
        tsa = Authority(tmp_path / f"chain{number}", chain=True)
        response = tsa.stamp(message)
        try:
            by_library(response, message, [tsa.root], read(response))
        except NoJudge:
            refused += 1
        assert verify(response, message, [tsa.root], judge=judged).nonce == 7
        if refused:
            break
    assert refused


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl command")
def test_trap_4_what_the_authority_sent_is_kept_as_it_came(server: TestServer, tmp_path: Path) -> None:
    """Whoever reads it later may have another reader."""
    sent: list[bytes] = []

    def noted(query: bytes, reply: bytes) -> bytes:
        sent.append(reply)
        return reply

    house = server.instance
    with running_authority(tmp_path / "tsa", noted, chain=True) as tsa:
        publish_trust(house, tmp_path, stampers=(trusts.stamper(tsa.root.encode()),))
        stamping.set_authorities(house, [stamping.Authority(tsa.url)], 60, "p-1")
        assert [one.problem for one in stamping.stamp(house)] == [None] * len(sent)
    with house.database.read() as conn:
        kept = [one.response for log in house.keys.voices for one in attested.stamps_of(conn, log)]
    assert kept and sorted(kept) == sorted(sent)


# --- 5: age hands out plaintext early -----------------------------------------------------------------------------------


def test_trap_5_a_cut_stream_delivers_nothing_though_age_had_decrypted_most_of_it(tmp_path: Path) -> None:
    key, out = new_identity(), io.BytesIO()
    made = seal(io.BytesIO(bytes(4 * CHUNK)), out, [key.recipient])
    secret = open_key(made.key_file, key.secret)
    cut = out.getvalue()[: 3 * CHUNK]
    plain = io.BytesIO()
    with pytest.raises(OSError):
        pyrage.decrypt_io(io.BytesIO(cut), plain, [pyrage.x25519.Identity.from_str(secret)])
    assert len(plain.getvalue()) > 2 * CHUNK  # this is the trap
    target = tmp_path / "video.mp4"
    target.write_bytes(b"an older one")
    for sealed in (made[:2], None):
        with pytest.raises(BrokenSeal):
            open_sealed(io.BytesIO(cut), secret, target, sealed=sealed, plain=None)
    assert [one.name for one in tmp_path.iterdir()] == ["video.mp4"]
    assert target.read_bytes() == b"an older one"


# --- 6, 7: pictures that are not what they seem -------------------------------------------------------------------------

SHOP = Workshop()


def previews(content: bytes, mime: str) -> dict[str, bytes]:
    return SHOP.make(io.BytesIO(content), Order(mime, {"preview": (1600, 1600)}), "IMG").files


@pytest.mark.parametrize(("width", "height"), [(10_000, 6_000), (9_400, 9_400), (14_200, 14_200), (20_000, 20_000)])
def test_trap_6_more_than_fifty_million_pixels_are_refused_before_decoding(width: int, height: int) -> None:
    bomb = hollow_png(width, height)
    assert len(bomb) < 100_000
    started = time.monotonic()
    with pytest.raises(BrokenFile, match="50 million"):
        previews(bomb, "image/png")
    assert time.monotonic() - started < 5


def test_trap_7_a_photo_with_a_web_page_behind_it_gives_a_picture_without_it() -> None:
    content = jpeg(400, 300) + b"<html><script>alert(1)</script></html>"
    Image.open(io.BytesIO(content)).verify()  # which says that all is well
    assert all(b"<script>" not in one for one in previews(content, "image/jpeg").values())


@pytest.mark.parametrize("mime", ["image/heic", "image/jpeg", "image/png", "image/webp"])
def test_trap_7_only_the_format_that_a_file_claims_is_tried(mime: str) -> None:
    postscript = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n"
    gif = encoded(scene(8, 8).convert("P"), "GIF")
    for content in (postscript, gif, encoded(scene(8, 8), "BMP")):
        with pytest.raises(BrokenFile):
            previews(content, mime)


def test_trap_7_no_picture_is_opened_without_saying_its_format() -> None:
    bare = [
        (file, node.lineno)
        for file, tree in sources()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) == "Image.open"
        and "formats" not in {word.arg for word in node.keywords}
    ]
    assert bare == []


# --- 8: bodies that grow ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestServer]:
    made = wsgi_server(tmp_path_factory.mktemp("server"))
    yield made
    made.instance.close()


BODIES = {
    "a bomb": gzip.compress(bytes(200 << 20)),
    "no gzip": b"\x1f\x8b rubbish",
    "cut": gzip.compress(b"x" * 99)[:-4],
}


@pytest.mark.parametrize(("what", "status"), [("a bomb", 413), ("no gzip", 400), ("cut", 400)])
def test_trap_8_a_compressed_body_is_bounded_and_a_broken_one_is_the_sender_s_mistake(
    server: TestServer, what: str, status: int
) -> None:
    body, device = BODIES[what], server.enrol("inspector", "430102")
    started = time.monotonic()
    answer = device.request("POST", "/have", body, Content_Encoding="gzip")
    assert answer.status_code == status and time.monotonic() - started < 2
    assert len(BODIES["a bomb"]) < 210_000  # 1:1028


# --- 9: assert vanishes -------------------------------------------------------------------------------------------------


def test_trap_9_no_check_of_the_verifier_is_an_assert() -> None:
    for name in single.MODULES:
        asserts = [node for node in ast.walk(ast.parse(single._text(name))) if isinstance(node, ast.Assert)]
        assert asserts == [], name


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    with made_case(tmp_path_factory.mktemp("bundle")) as made:
        yield made


def test_trap_9_the_verifier_finds_a_forgery_under_python_o(case: Case, tmp_path: Path) -> None:
    def rewrite(texts: Texts) -> None:
        file = chain_file(texts, "changes")
        texts[file] = texts[file].replace("三间".encode(), "四间".encode())

    (tmp_path / "verify.py").write_bytes(single.source().encode())
    for content, status in ((case.content, 0), (forged(case, rewrite), 1)):
        (tmp_path / "case.fib").write_bytes(content)
        command = [sys.executable, "-I", "-O", "verify.py", "case.fib", "--root", case.root]
        assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode == status


# --- 10: one byte form only ---------------------------------------------------------------------------------------------

ROOT = base64.b64encode(bytes(range(32))).decode()


@pytest.mark.parametrize("size", ["042", "+42", " 42", "4_2", "４２", "-1", "", "42\r", str(2**63), "9" * 5000])
def test_trap_10_a_number_has_no_second_form(size: str) -> None:
    with pytest.raises(Malformed):
        parse_checkpoint(f"log\n{size}\n{ROOT}\n")


OTHER_FORMS: list[Callable[[str], str]] = [
    lambda text: text[:-2] + "9=",  # stray bits before the padding
    lambda text: text.rstrip("="),
    lambda text: text + "=",
    lambda text: f" {text}",
    lambda text: text.replace("A", "-", 1),
    lambda text: text[:4] + "\n" + text[4:],
    lambda text: text.replace("A", "Ａ", 1),
]


@pytest.mark.parametrize("other", OTHER_FORMS)
def test_trap_10_base64_has_no_second_form(other: Callable[[str], str]) -> None:
    assert bundle.raw(ROOT, "x") == bytes(range(32)) == parse_checkpoint(f"log\n1\n{ROOT}\n").root
    with pytest.raises(BrokenFile):
        bundle.raw(other(ROOT), "x")
    with pytest.raises(Malformed):
        parse_checkpoint(f"log\n1\n{other(ROOT)}\n")


# --- 11: right twice ----------------------------------------------------------------------------------------------------


def test_trap_11_a_code_for_enrolment_is_right_once(server: TestServer) -> None:
    code = server.code(server.person())
    answers = []
    for _ in range(2):
        claim = server.claim(code, Ed25519PrivateKey.generate())
        answers.append(server.session.post(f"{server.url}{BASE}/enrol", json=claim, timeout=60).status_code)
    assert answers == [200, 410]


def test_trap_11_a_signed_request_is_right_once_for_all_processes_of_a_server(
    server: TestServer, tmp_path: Path
) -> None:
    device = server.enrol("inspector", "430102")
    headers = device.headers("POST", f"{BASE}/have", b'{"ids":[]}') | {"Content-Type": "application/json"}
    url = f"{server.url}{BASE}/have"
    answers = [server.session.post(url, data=b'{"ids":[]}', headers=headers, timeout=60).status_code for _ in range(2)]
    assert answers == [200, 401]
    one, other = Nonces(tmp_path / "nonces.db", 1000), Nonces(tmp_path / "nonces.db", 1000)
    assert one.fresh("d", "ab", 0) and not other.fresh("d", "ab", 0)


# --- 12: lone surrogates ------------------------------------------------------------------------------------------------


def test_trap_12_a_lone_surrogate_is_refused_and_not_a_crash() -> None:
    with pytest.raises(NotCanonical):
        canonical({"name": "\ud800"})
    for escaped in (b'{"v":1,"id":"\\ud800"}', '{"v":1,"id":"\ud800"}'.encode("utf-8", "surrogatepass")):
        with pytest.raises(Malformed):
            Change.read(escaped)


def test_trap_12_a_photo_with_a_hostile_name_is_taken_and_the_log_goes_on(tmp_path: Path) -> None:
    photo = Path(os.fsdecode(os.fsencode(tmp_path) + b"/IMG_\xff\xed\xa0\x80.jpg"))
    photo.write_bytes(jpeg(320, 240))
    assert any("\ud800" <= sign <= "\udfff" for sign in photo.name)
    tablet = tablet_in(tmp_path / "home")
    record = hazard(tablet)
    made = capture(tablet, record, photo)
    assert made.sha256 == sha256(photo.read_bytes()).hexdigest()
    queued = tablet.store.queued()
    assert capture(tablet, record, photo).sha256 == made.sha256 and tablet.store.queued() >= queued
    tablet.close()


def test_trap_12_a_note_or_a_name_with_one_is_a_problem_in_both_languages() -> None:
    with pytest.raises(Problem) as told:
        parse_checkpoint(f"\ud800\n1\n{ROOT}\n")
    assert told.value.text("zh") and told.value.text("en")
