"""A bundle of a real inspection, and what somebody makes of it who knows the format.

with made_case(folder) as case:
    verdict = checked(forged(case, alter), case.root)
"""

from __future__ import annotations

import io
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from custody import checks, digests, report_pdf
from custody.bundle import BUNDLE_TAG, Bundle, Draft, base64, broken, joined
from custody.checks import CHECKS, Examination, Verdict, examine
from custody.report import read_report
from server.keys import ServerKeys
from server.proofs import bundles, trusts
from sync.core.errors import Problem
from sync.core.note import fingerprint
from sync.core.rules import Rights
from tests.support.server import TestDevice, TestServer, wsgi_server

AREA = "430104001003"
PHOTO = b"\xff\xd8\xff\xe0" + bytes(range(256)) * 4
EVERYWHERE = Rights("lead", ("43",))
TOLD = frozenset({"report.pdf", "verify.py", "README-zh.txt"})
"""Members for people, which are most of a bundle's bytes and no evidence."""

Texts = dict[str, bytes]
Alter = Callable[[Texts], None]
Sign = Callable[[bytes], bytes]


class Case(NamedTuple):
    """A bundle's bytes, the fingerprint of the root that it is to be checked with, and where it came from.

    early  a checkpoint that the log had signed before the case began
    """

    content: bytes
    root: str
    server: TestServer
    record: str
    device: TestDevice
    early: str


@contextmanager
def made_case(folder: Path) -> Iterator[Case]:
    """A server with an inspection, a photo and another case, and the bundle of the inspection."""
    server = wsgi_server(folder)
    house = server.instance
    passphrase = "竹子 and 河流"
    root = trusts.create_root(folder / "root.age", passphrase)
    trust = trusts.next_edition(house.keys, "湖南省教育厅", house.now(), None)
    trusts.publish(house.settings, trust, trusts.open_root(folder / "root.age", passphrase))
    device = server.enrol("officer", AREA[:6])
    early = device.get("/log/checkpoint").text
    _, size, digest64, *_ = early.split("\n")
    seen = {"size": int(size), "root": b64decode(digest64).hex()}
    inspection, other, evidence = (ServerKeys.new_id(server.clock()) for _ in range(3))
    digest = sha256(PHOTO).hexdigest()
    mention = {"sha256": digest, "size": len(PHOTO), "mime": "image/jpeg"}
    visit = {"name": "某培训中心", "area": AREA, "mode": "patrol", "status": "draft", f"evidence/{evidence}": mention}
    photo = {
        "subject": inspection, "subject_kind": "inspection", "area": AREA, **mention, "role": "original",
        "tree": digests.digests_of(io.BytesIO(PHOTO)).tree, "sm3": digests.sm3_of(io.BytesIO(PHOTO)), "source": "camera",
    }  # fmt: skip
    device.push(
        device.change("evidence", evidence, photo, seen=seen), device.change("inspection", inspection, visit, seen=seen)
    )
    device.push(device.change("inspection", other, {"name": "别的案子", "area": AREA, "status": "draft"}, seen=seen))
    device.push(device.change("inspection", inspection, {"findings": "三间教室"}, seen=seen))
    device.send_blob(PHOTO)
    file = folder / "case.fib"
    bundles.make(house, inspection, file, purpose="随卷移送", by="p-1", rights=EVERYWHERE)
    yield Case(file.read_bytes(), fingerprint(root), server, inspection, device, early)
    house.close()


# --- Checking ---------------------------------------------------------------------------------------------------------


def render(content: bytes) -> bytes:
    return report_pdf.render(read_report(content))


def checked(content: bytes, root: str = "", **more: Any) -> Verdict:
    return examine(io.BytesIO(content), root=root, **more)


def outcomes(verdict: Verdict) -> dict[str, str]:
    return {one.code: one.outcome for one in verdict.findings}


def finder(content: bytes, root: str) -> str:
    """What finds that a bundle was altered, by its form and digests alone: `form`, `V01`, `V02`, or nothing."""
    try:
        case = Examination(Bundle(io.BytesIO(content)), root)
        _ = case.bundle.manifest
    except Problem:
        return "form"
    for code in ("V01", "V02"):
        if checks._made(case, code, *CHECKS[code]).outcome == "fail":
            return code
    return ""


class Unpacked(Bundle):
    """The members of a bundle without an archive around them, to be altered one by one."""

    def __init__(self, texts: Texts, manifest: Any) -> None:
        self.texts = texts
        self.name = ""
        self.archive = {}
        self.manifest = manifest

    def has(self, name: str) -> bool:
        return name in self.texts

    def open(self, name: str) -> Any:
        return io.BytesIO(self.text(name))

    def text(self, name: str) -> bytes:
        if name not in self.texts:
            raise broken(name)
        return self.texts[name]

    def under(self, folder: str) -> Iterator[str]:
        return (name.removeprefix(f"{folder}/") for name in self.texts if name.startswith(f"{folder}/"))


def finder_inside(texts: Texts, manifest: Any, root: str) -> str:
    """What finds an altered member whose archive, digests and manifest were made to match: a check's code, or nothing."""
    case = Examination(Unpacked(texts, manifest), root)
    for code, (title, check) in CHECKS.items():
        if code not in ("V01", "V02", "V19") and checks._made(case, code, title, check).outcome == "fail":
            return code
    return ""


# --- Altering ---------------------------------------------------------------------------------------------------------


def members(content: bytes) -> Texts:
    """The members of a bundle that its manifest lists."""
    opened = Bundle(io.BytesIO(content))
    return {one.name: opened.open(one.name).read() for one in opened.manifest.members}


def packed(content: bytes, texts: Texts, sign: Sign, key: bytes) -> bytes:
    """The members as a bundle like that one, its manifest made to match and signed anew."""
    draft = Draft(texts=texts)
    manifest = replace(Bundle(io.BytesIO(content)).manifest, key=base64(key), members=draft.listed())
    out = io.BytesIO()
    draft.write(out, manifest, sign(BUNDLE_TAG + manifest.dump()))
    return out.getvalue()


def forged(case: Case, alter: Alter) -> bytes:
    """The bundle with altered members, by somebody who knows the format and makes a manifest of his own key to match."""
    key = Ed25519PrivateKey.generate()
    texts = members(case.content)
    alter(texts)
    return packed(case.content, texts, key.sign, key.public_key().public_bytes_raw())


def small(case: Case) -> bytes:
    """The bundle with the members for people cut short, signed by the server: valid, and every byte can be tried."""
    voice = case.server.instance.keys.voice("")
    texts = {name: text[:40] if name in TOLD else text for name, text in members(case.content).items()}
    return packed(case.content, texts, voice.sign, voice.replica_public)


def flipped(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Each byte's place, and the content with one bit of it turned over."""
    altered = bytearray(content)
    for at in range(len(altered)):
        altered[at] ^= 1 << (at % 8)
        yield at, bytes(altered)
        altered[at] ^= 1 << (at % 8)


def chain_file(texts: Texts, folder: str = "chains") -> str:
    """The tablet's chain, or its changes."""
    return next(name for name in texts if name.startswith(f"{folder}/") and "/server" not in name)


def lines(texts: Texts, name: str) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in texts[name].splitlines()]


def put(texts: Texts, name: str, held: list[dict[str, Any]]) -> None:
    texts[name] = joined(held)
