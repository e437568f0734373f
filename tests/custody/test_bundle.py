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
from typing import Any

import click
import orjson
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from custody import archive, checks, digests, single
from custody.bundle import Bundle
from custody.checks import examine
from field_client.cli import cli as patrolbook
from server import acts
from server.cli import main as patrolbook_server
from server.proofs import bundles
from sync.core.errors import BrokenFile, NotFound
from sync.core.rules import Rights
from tests.support.bundles import EVERYWHERE, PHOTO, Case, checked, made_case, outcomes, render

PROVED = {"V01", "V02", "V03", "V04", "V05", "V06", "V07", "V09", "V10", "V11", "V12", "V15", "V17", "V18", "V20"}


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    with made_case(tmp_path_factory.mktemp("bundle")) as made:
        yield made


# --- An honest bundle ---------------------------------------------------------------------------------------------


def test_an_honest_bundle_passes_every_required_check(case: Case) -> None:
    verdict = checked(case.content, case.root, render=render)
    found = outcomes(verdict)
    assert {code for code, outcome in found.items() if outcome == "fail"} == set(), verdict.findings
    assert {code for code, outcome in found.items() if outcome == "pass"} >= PROVED | {"V14", "V19"}
    assert verdict.status == 0 and list(found) == [f"V{n:02d}" for n in range(1, 22)]


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
    good, bad = f"PB1|{head}|{n}|{'0' * 64}", f"PB1|{'0' * 64}|{n}|{'0' * 64}"
    assert outcomes(checked(case.content, case.root, anchors=[good]))["V16"] == "pass"
    assert outcomes(checked(case.content, case.root, anchors=[bad]))["V16"] == "fail"


# --- In another form ----------------------------------------------------------------------------------------------


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


@pytest.mark.parametrize("program, words", [(patrolbook, ["verify"]), (patrolbook_server, ["verify-bundle"])])
def test_the_commands_tell_what_is_wrong_by_their_exit_code(
    case: Case, tmp_path: Path, program: click.Command, words: list[str]
) -> None:
    def status(content: bytes, *more: str) -> int:
        file = tmp_path / "case.fib"
        file.write_bytes(content)
        env = {"PATROLBOOK_HOME": str(tmp_path / "none"), "PATROLBOOK_DATA": str(tmp_path / "none")}
        return CliRunner().invoke(program, [*words, str(file), *more], env=env).exit_code

    assert status(case.content, "--root", case.root) == 0
    assert status(case.content, "--root", "00" * 16) == 1
    assert status(case.content) == 2
    assert status(b"rubbish", "--root", case.root) == status(b"") == 3


def test_the_single_file_holds_every_module_that_it_needs() -> None:
    allowed = {*single.MODULES, *single.STAND_INS, *single.OPTIONAL, "custody", "schemas", "sync", "sync.core"}
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
