"""A bundle of a real inspection: what it holds, who can check it, and that nothing in it can be altered unseen."""

from __future__ import annotations

import ast
import io
import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from custody import archive, checks, digests, report_pdf, single
from custody.bundle import BUNDLE_TAG, Bundle, Draft, Manifest, base64, joined
from custody.checks import CHECKS, Verdict, examine
from custody.report import read_report
from server import acts, bundles, trusts
from server.keys import ServerKeys
from sync.core.errors import BrokenFile, NotFound, Problem
from sync.core.note import fingerprint
from sync.core.rules import Rights
from tests.support.server import TestDevice, TestServer, wsgi_server

AREA = "430104001003"
PHOTO = b"\xff\xd8\xff\xe0" + bytes(range(256)) * 4
EVERYWHERE = Rights("lead", ("43",))
PROVED = {"V01", "V02", "V03", "V04", "V05", "V06", "V07", "V09", "V10", "V11", "V12", "V15", "V17", "V18", "V20"}


class Case(NamedTuple):
    """A bundle's bytes, the fingerprint of the root that it is to be checked with, and where it came from."""

    content: bytes
    root: str
    server: TestServer
    record: str
    device: TestDevice


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    folder = tmp_path_factory.mktemp("bundle")
    server = wsgi_server(folder)
    house = server.instance
    passphrase = "竹子 and 河流"
    root = trusts.create_root(folder / "root.age", passphrase)
    trust = trusts.next_edition(house.keys, "湖南省教育厅", house.now(), None)
    trusts.publish(house.settings, trust, trusts.open_root(folder / "root.age", passphrase))
    device = server.enrol("officer", AREA[:6])
    note = device.get("/log/checkpoint").text.split("\n")
    seen = {"size": int(note[1]), "root": b64(note[2])}
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
    yield Case(file.read_bytes(), fingerprint(root), server, inspection, device)
    house.close()


def b64(text: str) -> str:
    from base64 import b64decode

    return b64decode(text).hex()


def render(content: bytes) -> bytes:
    return report_pdf.render(read_report(content))


def checked(content: bytes, root: str = "", **more: Any) -> Verdict:
    return examine(io.BytesIO(content), root=root, **more)


def outcomes(verdict: Verdict) -> dict[str, str]:
    return {one.code: one.outcome for one in verdict.findings}


# --- An honest bundle ---------------------------------------------------------------------------------------------


def test_an_honest_bundle_passes_every_required_check(case: Case) -> None:
    verdict = checked(case.content, case.root, render=render)
    found = outcomes(verdict)
    assert {code for code, outcome in found.items() if outcome == "fail"} == set(), verdict.findings
    assert {code for code, outcome in found.items() if outcome == "pass"} >= PROVED | {"V14", "V19"}
    assert verdict.status == 0 and list(found) == [f"V{n:02d}" for n in range(1, 21)]


def test_without_the_fingerprint_from_elsewhere_it_is_incomplete_and_says_so(case: Case) -> None:
    verdict = checked(case.content)
    assert outcomes(verdict)["V03"] == "not-checked" and verdict.status == 2
    third = next(one for one in verdict.findings if one.code == "V03")
    assert case.root in third.detail.zh  # what it claims, to be compared with paper


def test_another_root_s_fingerprint_fails(case: Case) -> None:
    assert checked(case.content, "0000 " * 8).status == 1


def test_the_other_case_s_content_is_not_in_it_and_its_chain_still_holds(case: Case) -> None:
    assert "别的案子".encode() not in case.content
    opened = Bundle(io.BytesIO(case.content))
    (chain,) = (name for name in opened.under("chains") if not name.startswith("server"))
    shown = [line["shown"] for line in opened.lines(f"chains/{chain}")]
    assert shown == [True, True, False, True]


def test_the_export_was_logged_before_it_was_written(case: Case) -> None:
    number = Bundle(io.BytesIO(case.content)).manifest.number
    with case.server.instance.database.read() as conn:
        (exported,) = [act for act in acts.every(conn, "", acts.EXPORTED) if act.body["bundle"] == number]
    assert exported.body["purpose"] == "随卷移送"


def test_what_lies_outside_a_person_s_area_makes_no_bundle(case: Case, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        bundles.make(
            case.server.instance, case.record, tmp_path / "x", purpose="x", by="p", rights=Rights("lead", ("44",))
        )
    assert not (tmp_path / "x").exists()


def test_without_originals_it_is_incomplete_and_not_wrong(case: Case, tmp_path: Path) -> None:
    file = tmp_path / "thin.fib"
    bundles.make(case.server.instance, case.record, file, purpose="x", by="p", rights=EVERYWHERE, originals=False)
    verdict = checked(file.read_bytes(), case.root)
    assert outcomes(verdict)["V09"] == "not-checked" and verdict.status == 2
    assert PHOTO not in file.read_bytes()


def test_any_program_can_unpack_it(case: Case, tmp_path: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(case.content)) as opened:
        assert opened.testzip() is None
        digest = sha256(PHOTO).hexdigest()
        assert opened.read(f"fib/blobs/{digest}") == PHOTO
        assert {one.compress_type for one in opened.infolist()} == {zipfile.ZIP_STORED}


def test_a_paper_anchor_must_be_on_the_chain(case: Case) -> None:
    head, n = case.device.prev, case.device.n
    good, bad = f"PB1|{head}|{n}|x", f"PB1|{'0' * 64}|{n}|x"
    assert outcomes(checked(case.content, case.root, anchors=[good]))["V16"] == "pass"
    assert outcomes(checked(case.content, case.root, anchors=[bad]))["V16"] == "fail"


# --- Altered ------------------------------------------------------------------------------------------------------


def test_each_flipped_byte_is_found(case: Case) -> None:
    """C1: every byte position of the bundle, one after the other."""
    content, missed = bytearray(case.content), []
    skipped = _free_text(case.content)
    for at in range(len(content)):
        if at in skipped and at % 97:  # the fonts of the PDF and the verifier's text: one in 97, they are one digest
            continue
        content[at] ^= 1 << (at % 8)
        if not _found(bytes(content), case.root):
            missed.append(at)
        content[at] ^= 1 << (at % 8)
    assert missed == []


def _free_text(content: bytes) -> set[int]:
    large: set[int] = set()
    for member in archive.read(io.BytesIO(content)):
        if member.name in ("fib/report.pdf", "fib/verify.py", "fib/README-zh.txt"):
            large |= set(range(member.start, member.start + member.size))
    return large


def _found(content: bytes, root: str) -> bool:
    try:
        bundle = Bundle(io.BytesIO(content))
        case = checks.Examination(bundle, root)
        for code in ("V01", "V02"):
            CHECKS[code][1](case)
    except (Problem, checks.Failed, ValueError):
        return True
    return False


Change = Callable[[dict[str, bytes]], None]


def forged(case: Case, alter: Change) -> bytes:
    """The bundle with altered members, by somebody who knows the format and makes a manifest of his own key to match."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    opened = Bundle(io.BytesIO(case.content))
    texts = {one.name: opened.open(one.name).read() for one in opened.manifest.members}
    alter(texts)
    draft = Draft(texts=texts)
    old, key = opened.manifest, Ed25519PrivateKey.generate()
    body = {
        name: getattr(old, name)
        for name in ("number", "root", "kind", "title", "purpose", "authority", "made", "signer")
    }
    manifest = Manifest(
        **body, key=base64(key.public_key().public_bytes_raw()), members=draft.listed(), withheld=old.withheld
    )
    out = io.BytesIO()
    draft.write(out, manifest, key.sign(BUNDLE_TAG + manifest.dump()))
    return out.getvalue()


def chain_file(texts: dict[str, bytes], folder: str = "chains") -> str:
    return next(name for name in texts if name.startswith(f"{folder}/") and "/server" not in name)


def lines(texts: dict[str, bytes], name: str) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in texts[name].splitlines()]


def drop_last(texts: dict[str, bytes]) -> None:
    name = chain_file(texts)
    del_from = lines(texts, name)
    texts[name] = joined(del_from[:1] + del_from[2:])
    file = chain_file(texts, "changes")
    kept = texts[file].splitlines(keepends=True)
    texts[file] = b"".join(kept[:1] + kept[2:])


def hide_the_gap(texts: dict[str, bytes]) -> None:
    drop_last(texts)
    name = chain_file(texts)
    texts[name] = joined([line | {"n": n} for n, line in enumerate(lines(texts, name), start=1)])


def reorder(texts: dict[str, bytes]) -> None:
    name = chain_file(texts)
    first, second, *others = lines(texts, name)
    texts[name] = joined([second | {"n": first["n"]}, first | {"n": second["n"]}, *others])
    file = chain_file(texts, "changes")
    one, two, *rest = texts[file].splitlines(keepends=True)
    texts[file] = b"".join([two, one, *rest])


def insert(texts: dict[str, bytes]) -> None:
    name = chain_file(texts)
    held = lines(texts, name)
    texts[name] = joined([*held, held[-1] | {"n": held[-1]["n"] + 1}])
    file = chain_file(texts, "changes")
    texts[file] += texts[file].splitlines(keepends=True)[-1].replace("三间".encode(), "四间".encode())


def rewrite(texts: dict[str, bytes]) -> None:
    file = chain_file(texts, "changes")
    texts[file] = texts[file].replace("三间".encode(), "四间".encode())


def rewrite_with_its_hash(texts: dict[str, bytes]) -> None:
    from sync.core.change import Change as Read

    rewrite(texts)
    name, contents = chain_file(texts), iter(texts[chain_file(texts, "changes")].splitlines())
    texts[name] = joined([
        line | {"hash": Read.read(next(contents)).hash.hex()} if line["shown"] else line for line in lines(texts, name)
    ])  # fmt: skip


def fork(texts: dict[str, bytes]) -> None:
    name = chain_file(texts)
    held = lines(texts, name)
    texts[name] = joined([held[0], *held])
    file = chain_file(texts, "changes")
    texts[file] = texts[file].splitlines(keepends=True)[0] + texts[file]


def exchange_photo(texts: dict[str, bytes]) -> None:
    name = next(name for name in texts if name.startswith("blobs/"))
    texts[name] = texts[name][::-1]


def other_photo_under_another_name(texts: dict[str, bytes]) -> None:
    name = next(name for name in texts if name.startswith("blobs/"))
    content = texts.pop(name)[::-1]
    texts[f"blobs/{sha256(content).hexdigest()}"] = content


def roll_the_log_back(texts: dict[str, bytes]) -> None:
    held = lines(texts, "checkpoints.ndjson")
    origin, size, root, *rest = held[0]["note"].split("\n")
    held[0]["note"] = "\n".join([origin, str(int(size) - 1), root, *rest])
    texts["checkpoints.ndjson"] = joined(held)


def show_another_view(texts: dict[str, bytes]) -> None:
    held = lines(texts, "checkpoints.ndjson")
    origin, size, _, *rest = held[0]["note"].split("\n")
    other = {"note": "\n".join([origin, size, base64(bytes(32)), *rest])}
    texts["checkpoints.ndjson"] = joined([other, *held])


def forget_an_act(texts: dict[str, bytes]) -> None:
    texts["acts.ndjson"] = joined([one for one in lines(texts, "acts.ndjson") if "device-enrolled" not in one["act"]])


def own_trust(texts: dict[str, bytes]) -> None:
    texts["trust.json"] = texts["trust.json"].replace("湖南".encode(), "湖北".encode())


def better_grade(texts: dict[str, bytes]) -> None:
    texts["grades.ndjson"] = joined([one | {"grade": "A"} for one in lines(texts, "grades.ndjson")])


def other_values_in_the_grade(texts: dict[str, bytes]) -> None:
    held = lines(texts, "grades.ndjson")
    held[0]["values"]["mode"] = "enforcement"
    texts["grades.ndjson"] = joined(held)


def invented_officer(texts: dict[str, bytes]) -> None:
    held = lines(texts, "grades.ndjson")
    held[0]["officers"]["o-1"] = {"name": "张三", "certificate_number": "43010400117"}
    texts["grades.ndjson"] = joined(held)


def slipped_in(texts: dict[str, bytes]) -> None:
    texts[f"blobs/{sha256(b'x').hexdigest()}"] = b"x"


def other_report(texts: dict[str, bytes]) -> None:
    held = orjson.loads(texts["report.json"])
    held["items"][0]["sha256"] = "0" * 64
    texts["report.json"] = orjson.dumps(held, option=orjson.OPT_SORT_KEYS)


def painted_report(texts: dict[str, bytes]) -> None:
    texts["report.pdf"] = texts["report.pdf"].replace(b"%PDF-1.", b"%PDF-2.", 1)


ATTACKS: list[tuple[Change, str]] = [
    (rewrite, "V04"), (rewrite_with_its_hash, "V05"), (rewrite_with_its_hash, "V10"), (drop_last, "V06"),
    (hide_the_gap, "V05"), (reorder, "V05"), (insert, "V04"), (fork, "V06"), (exchange_photo, "V09"),
    (roll_the_log_back, "V10"), (roll_the_log_back, "V11"), (show_another_view, "V12"), (forget_an_act, "V07"), (own_trust, "V03"),
    (better_grade, "V20"), (invented_officer, "V20"), (slipped_in, "V09"), (other_values_in_the_grade, "V20"), (other_report, "V19"), (painted_report, "V19"),
]  # fmt: skip


@pytest.mark.parametrize(("alter", "code"), ATTACKS, ids=[f"{a.__name__}-{code}" for a, code in ATTACKS])
def test_each_manipulation_is_found_by_the_check_that_should_find_it(case: Case, alter: Change, code: str) -> None:
    """By somebody who makes the manifest match: the digests alone would not tell."""
    verdict = checked(forged(case, alter), case.root, render=render)
    assert outcomes(verdict)[code] == "fail" and verdict.status == 1


def test_a_manifest_signed_by_a_key_of_one_s_own_is_found_even_where_nothing_else_is(case: Case) -> None:
    verdict = checked(forged(case, lambda texts: None), case.root)
    assert outcomes(verdict)["V02"] == "fail"


def test_another_photo_in_place_of_the_original_is_named_by_no_record(case: Case) -> None:
    verdict = checked(forged(case, other_photo_under_another_name), case.root)
    assert outcomes(verdict)["V09"] == "fail" and verdict.status == 1


def zipped_again(content: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for info in old.infolist():
            new.writestr(info.filename, old.read(info))
    return out.getvalue()


def with_a_double(content: bytes) -> bytes:
    out = io.BytesIO(content)
    with pytest.warns(UserWarning), zipfile.ZipFile(out, "a") as opened:
        opened.writestr("fib/bundle.json", b"{}")
    return out.getvalue()


@pytest.mark.parametrize(
    "alter",
    [
        lambda content: content[:-1],
        lambda content: content[: len(content) // 2],
        lambda content: b"#!/bin/sh\n" + content,
        lambda content: content + b"\n",
        lambda content: content + content,
        zipped_again,
        with_a_double,
        lambda content: b"",
        lambda content: b"PK\x05\x06" + bytes(18),
    ],
)
def test_what_is_no_bundle_in_its_one_form_is_refused(case: Case, alter: Callable[[bytes], bytes]) -> None:
    with pytest.raises(BrokenFile):
        checked(alter(case.content), case.root)


@given(st.binary(max_size=400))
def test_rubbish_is_refused_with_a_problem(content: bytes) -> None:
    with pytest.raises(BrokenFile):
        examine(io.BytesIO(content))


@given(
    st.lists(
        st.tuples(st.from_regex(r"[a-z]{1,8}(/[a-z0-9][a-z0-9.]{0,7})?", fullmatch=True), st.binary(max_size=99)),
        unique_by=lambda m: m[0],
    )
)
def test_an_archive_gives_back_what_was_put_in(members: list[tuple[str, bytes]]) -> None:
    out = io.BytesIO()
    writer = archive.Writer(out)
    for name, content in members:
        writer.add(name, io.BytesIO(content), len(content))
    writer.close()
    found = archive.read(out)
    assert [(one.name, archive.Content(out, one).read()) for one in found] == members
    with zipfile.ZipFile(out) as opened:
        assert [(one.filename, opened.read(one)) for one in opened.infolist()] == members


@pytest.mark.parametrize("name", ["../x", "/x", "a//b", "a\\b", "", "a/../b", "é", "a/.hidden"])
def test_a_member_has_a_plain_name(name: str) -> None:
    with pytest.raises(ValueError):
        archive.Writer(io.BytesIO()).add(name, b"")


# --- The verifier that travels in it ------------------------------------------------------------------------------


def run_single(folder: Path, case: Case, *words: str, bare: bool = True) -> subprocess.CompletedProcess[str]:
    """Run the `verify.py` of the bundle, by default in a Python without any package installed."""
    script, file = folder / "verify.py", folder / "case.fib"
    file.write_bytes(case.content)
    script.write_bytes(Bundle(io.BytesIO(case.content)).open("verify.py").read())
    flags = ["-I", "-S"] if bare else ["-I"]
    command = [sys.executable, *flags, "-O", str(script), str(file), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl command")
def test_the_single_file_agrees_without_any_package(case: Case, tmp_path: Path) -> None:
    done = run_single(tmp_path, case, "--root", case.root, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    ours = checked(case.content, case.root)
    assert [(one[0], one[1]) for one in told["findings"]] == [(one.code, one.outcome) for one in ours.findings]


def test_the_single_file_tells_what_is_wrong_by_its_exit_code(case: Case, tmp_path: Path) -> None:
    assert run_single(tmp_path, case, bare=False).returncode == 2
    assert run_single(tmp_path, case, "--root", "00" * 16, bare=False).returncode == 1
    broken = case._replace(content=case.content)
    done = run_single(tmp_path, broken, "--root", case.root, bare=False)
    assert done.returncode == 0 and "必查项目全部通过" in done.stdout
    (tmp_path / "case.fib").write_bytes(b"rubbish")
    command = [sys.executable, str(tmp_path / "verify.py"), str(tmp_path / "case.fib")]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 3


def test_the_single_file_holds_every_module_that_it_needs() -> None:
    allowed = {*single.MODULES, *single.STAND_INS, "custody", "schemas", "sync", "sync.core"}
    for name in single.MODULES:
        tree = ast.parse(single._text(name))
        for node in ast.walk(tree):
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
                node.body = []
        for node in ast.walk(tree):
            wanted = [one.name for one in node.names] if isinstance(node, ast.Import) else []
            wanted += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for one in wanted:
                assert one in allowed or one.split(".")[0] in sys.stdlib_module_names | set(single.STAND_INS), (
                    name,
                    one,
                )


def test_no_check_vanishes_when_python_optimises() -> None:
    for name in single.MODULES:
        asserts = [node for node in ast.walk(ast.parse(single._text(name))) if isinstance(node, ast.Assert)]
        assert asserts == [], name


def stand_in() -> Any:
    """The stand-in for orjson out of the single file."""
    scope: dict[str, Any] = {"__name__": "front"}
    kept = sys.modules["orjson"]
    exec(compile(single._FRONT.read_text("utf-8"), "front", "exec"), scope)
    try:
        scope["stand_in_for_orjson"]()
        return sys.modules["orjson"]
    finally:
        sys.modules["orjson"] = kept


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


@given(JSON)
def test_the_stand_in_writes_the_bytes_that_orjson_writes(value: Any) -> None:
    other = stand_in()
    try:
        expected = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        with pytest.raises((TypeError, ValueError)):
            other.dumps(value, option=1)
        return
    assert other.dumps(value, option=1) == expected
    assert other.loads(expected) == orjson.loads(expected) == value


@pytest.mark.parametrize("depth", [1100, 100_000])
def test_the_stand_in_refuses_what_is_nested_too_deeply_as_orjson_does(depth: int) -> None:
    for module in (orjson, stand_in()):
        with pytest.raises(ValueError):
            module.loads(b"[" * depth + b"]" * depth)


# --- By hand, with other people's tools ----------------------------------------------------------------------------


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl command")
def test_one_signature_and_one_digest_are_checked_with_openssl_alone(case: Case, tmp_path: Path) -> None:
    opened = Bundle(io.BytesIO(case.content))
    found = checks.Examination(opened, case.root)
    link, change = next(pair for pair in found.changes if pair[0].n == 1 and not pair[0].replica.startswith("server"))
    chain = json.dumps(
        {"hash": link.hash.hex(), "n": 1, "prev": "0" * 64, "replica": link.replica}, separators=(",", ":")
    )
    head = sha256(b"patrolbook/chain/v1\0" + chain.encode()).digest()
    (tmp_path / "key").write_bytes(bytes.fromhex("302a300506032b6570032100") + found.devices[link.replica])
    (tmp_path / "sig").write_bytes(link.signature)
    (tmp_path / "message").write_bytes(b"patrolbook/sig/v1\0" + head)
    command = [
        "openssl",
        "pkeyutl",
        "-verify",
        "-pubin",
        "-keyform",
        "DER",
        "-inkey",
        "key",
        "-rawin",
        "-in",
        "message",
        "-sigfile",
        "sig",
    ]
    assert subprocess.run(command, cwd=tmp_path, check=False, capture_output=True).returncode == 0
    (tmp_path / "content").write_bytes(b"patrolbook/change/v1\0" + change.content)
    (tmp_path / "photo").write_bytes(PHOTO)
    for name, kind, expected in (
        ("content", "sha256", link.hash.hex()),
        ("photo", "sm3", digests.sm3_of(io.BytesIO(PHOTO))),
    ):
        told = subprocess.run(
            ["openssl", "dgst", f"-{kind}", name], cwd=tmp_path, check=True, capture_output=True, text=True
        )
        assert told.stdout.split()[-1] == expected
