"""Whatever is altered in a bundle is found, each manipulation by the check that should find it."""

from __future__ import annotations

import io
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from custody import archive
from custody.bundle import Bundle, base64
from server.keys import ServerKeys
from server.proofs import bundles
from sync.core.change import START, Change, chain_hash, signature_input
from sync.core.errors import BrokenFile
from sync.core.trust import sign_trust
from tests.support.bundles import (
    AREA,
    EVERYWHERE,
    TOLD,
    Case,
    Texts,
    chain_file,
    checked,
    finder,
    finder_inside,
    flipped,
    forged,
    lines,
    made_case,
    members,
    outcomes,
    packed,
    put,
    render,
    small,
)


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    with made_case(tmp_path_factory.mktemp("bundle")) as made:
        yield made


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    """A bundle of another server, of the same kind and just as valid."""
    with made_case(tmp_path_factory.mktemp("foreign")) as made:
        yield made


# --- Every byte -------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_each_flipped_byte_of_a_small_bundle_is_found(case: Case) -> None:
    """C1: every byte position, one after the other, by the form of the archive, the manifest or a digest."""
    content = small(case)
    assert checked(content, case.root).status == 0
    found = Counter(finder(altered, case.root) for _, altered in flipped(content))
    assert found.total() == len(content) and found[""] == 0, found
    assert set(found) == {"form", "V01", "V02"} - ({"V01"} if not found["V01"] else set()), found


def test_what_is_long_in_a_whole_bundle_is_one_digest_each(case: Case) -> None:
    """The PDF and the verifier: the first and the last byte and some between, through the same check as above."""
    content = bytearray(case.content)
    for member in archive.read(io.BytesIO(case.content)):
        if member.name.removeprefix("fib/") in TOLD:
            places = {*range(member.start, member.start + member.size, 1999), member.start + member.size - 1}
            for at in places:
                content[at] ^= 1
                assert finder(bytes(content), case.root) == "V02", (member.name, at)
                content[at] ^= 1


INSIDE = {"acts.ndjson", "checkpoints.ndjson", "proofs.ndjson", "root.pub", "trust.json", "trust.sig"}


@pytest.mark.slow
def test_each_flipped_byte_of_the_evidence_is_found_even_where_the_server_itself_signs_the_manifest_anew(
    case: Case,
) -> None:
    """C5: whoever holds the server's key makes form, digests and manifest match; changes, files and log still tell."""
    texts, manifest = members(case.content), Bundle(io.BytesIO(case.content)).manifest
    assert finder_inside(texts, manifest, case.root) == ""
    found: Counter[str] = Counter()
    for name in texts:
        if name in INSIDE or name.split("/")[0] in ("blobs", "chains", "changes"):
            for at, altered in flipped(texts[name]):
                code = finder_inside(texts | {name: altered}, manifest, case.root)
                assert code, f"byte {at} of {name}: {texts[name][max(0, at - 30) : at + 10]!r}"
                found[code] += 1
    assert set(found) >= {"V03", "V04", "V05", "V09", "V10", "V11", "V12"}, found


# --- Manipulations, by somebody who makes the manifest match ----------------------------------------------------------


def rewrite(texts: Texts) -> None:
    file = chain_file(texts, "changes")
    texts[file] = texts[file].replace("三间".encode(), "四间".encode())


def rewrite_with_its_hash(texts: Texts) -> None:
    rewrite(texts)
    name, contents = chain_file(texts), iter(texts[chain_file(texts, "changes")].splitlines())
    put(texts, name, [
        line | {"hash": Change.read(next(contents)).hash.hex()} if line["shown"] else line
        for line in lines(texts, name)
    ])  # fmt: skip


def drop_a_change(texts: Texts) -> None:
    _without(texts, 1)


def drop_the_first_change(texts: Texts) -> None:
    _without(texts, 0)


def _without(texts: Texts, at: int) -> None:
    name, file = chain_file(texts), chain_file(texts, "changes")
    held = lines(texts, name)
    put(texts, name, held[:at] + held[at + 1 :])
    kept = texts[file].splitlines(keepends=True)
    texts[file] = b"".join(kept[:at] + kept[at + 1 :])


def drop_a_change_and_close_the_gap(texts: Texts) -> None:
    drop_a_change(texts)
    name = chain_file(texts)
    put(texts, name, [line | {"n": n} for n, line in enumerate(lines(texts, name), start=1)])


def drop_the_photo(texts: Texts) -> None:
    del texts[next(name for name in texts if name.startswith("blobs/"))]


def drop_the_enrolment(texts: Texts) -> None:
    put(texts, "acts.ndjson", [one for one in lines(texts, "acts.ndjson") if "device-enrolled" not in one["act"]])


def drop_the_export(texts: Texts) -> None:
    put(texts, "acts.ndjson", [one for one in lines(texts, "acts.ndjson") if '"exported"' not in one["act"]])


def drop_the_proofs(texts: Texts) -> None:
    put(texts, "proofs.ndjson", lines(texts, "proofs.ndjson")[:-1])


def reorder(texts: Texts) -> None:
    name = chain_file(texts)
    first, second, *others = lines(texts, name)
    put(texts, name, [second | {"n": first["n"]}, first | {"n": second["n"]}, *others])
    file = chain_file(texts, "changes")
    one, two, *rest = texts[file].splitlines(keepends=True)
    texts[file] = b"".join([two, one, *rest])


def insert(texts: Texts) -> None:
    name = chain_file(texts)
    held = lines(texts, name)
    put(texts, name, [*held, held[-1] | {"n": held[-1]["n"] + 1}])
    file = chain_file(texts, "changes")
    texts[file] += texts[file].splitlines(keepends=True)[-1].replace("三间".encode(), "四间".encode())


def insert_with_its_hash(texts: Texts) -> None:
    insert(texts)
    name, file = chain_file(texts), chain_file(texts, "changes")
    *held, added = lines(texts, name)
    put(texts, name, [*held, added | {"hash": Change.read(texts[file].splitlines()[-1]).hash.hex()}])


def insert_a_file(texts: Texts) -> None:
    texts[f"blobs/{sha256(b'x').hexdigest()}"] = b"x"


def fork(texts: Texts) -> None:
    """Two changes under one number."""
    name = chain_file(texts)
    held = lines(texts, name)
    put(texts, name, [held[0], *held])
    file = chain_file(texts, "changes")
    texts[file] = texts[file].splitlines(keepends=True)[0] + texts[file]


def exchange_the_photo(texts: Texts) -> None:
    name = next(name for name in texts if name.startswith("blobs/"))
    texts[name] = texts[name][::-1]


def exchange_the_photo_under_another_name(texts: Texts) -> None:
    name = next(name for name in texts if name.startswith("blobs/"))
    content = texts.pop(name)[::-1]
    texts[f"blobs/{sha256(content).hexdigest()}"] = content


def swap_the_device_s_key(texts: Texts) -> None:
    """A key of his own in the act of enrolment, and every change signed again with it."""
    key = Ed25519PrivateKey.generate()
    acts = lines(texts, "acts.ndjson")
    body = orjson.loads(acts[0]["act"])
    assert body["act"] == "device-enrolled"
    body["key"] = key.public_key().public_bytes_raw().hex()
    put(texts, "acts.ndjson", [acts[0] | {"act": orjson.dumps(body, option=orjson.OPT_SORT_KEYS).decode()}, *acts[1:]])
    name, head, again = chain_file(texts), START, []
    replica = name.split("/")[1].removesuffix(".ndjson")
    for line in lines(texts, name):
        head = chain_hash(replica, line["n"], head, bytes.fromhex(line["hash"]))
        again.append(line | {"sig": base64(key.sign(signature_input(head)))})
    put(texts, name, again)


def sign_again_with_another_key(texts: Texts) -> None:
    acts = texts["acts.ndjson"]
    swap_the_device_s_key(texts)
    texts["acts.ndjson"] = acts


def swap_the_root_key(texts: Texts) -> None:
    """The trust file signed by a root of his own, whose key lies beside it."""
    root = Ed25519PrivateKey.generate()
    texts["root.pub"] = base64(root.public_key().public_bytes_raw()).encode() + b"\n"
    texts["trust.sig"] = base64(sign_trust(texts["trust.json"], root.private_bytes_raw())).encode() + b"\n"


def trust_somebody_else(texts: Texts) -> None:
    texts["trust.json"] = texts["trust.json"].replace("湖南".encode(), "湖北".encode())


def roll_the_log_back(texts: Texts) -> None:
    held = lines(texts, "checkpoints.ndjson")
    origin, size, root, *rest = held[0]["note"].split("\n")
    held[0]["note"] = "\n".join([origin, str(int(size) - 1), root, *rest])
    put(texts, "checkpoints.ndjson", held)


def show_another_view(texts: Texts) -> None:
    held = lines(texts, "checkpoints.ndjson")
    origin, size, _, *rest = held[0]["note"].split("\n")
    put(texts, "checkpoints.ndjson", [{"note": "\n".join([origin, size, base64(bytes(32)), *rest])}, *held])


def forget_what_was_seen(texts: Texts) -> None:
    put(texts, "checkpoints.ndjson", lines(texts, "checkpoints.ndjson")[:1])


def better_grade(texts: Texts) -> None:
    put(texts, "grades.ndjson", [one | {"grade": "A"} for one in lines(texts, "grades.ndjson")])


def other_values_in_the_grade(texts: Texts) -> None:
    held = lines(texts, "grades.ndjson")
    held[0]["values"]["mode"] = "enforcement"
    put(texts, "grades.ndjson", held)


def invented_officer(texts: Texts) -> None:
    held = lines(texts, "grades.ndjson")
    held[0]["officers"]["o-1"] = {"name": "张三", "certificate_number": "43010400117"}
    put(texts, "grades.ndjson", held)


def hide_a_value_from_the_grade(texts: Texts) -> None:
    held = lines(texts, "grades.ndjson")
    del held[0]["values"]["findings"]
    put(texts, "grades.ndjson", held)


def invent_a_conflict(texts: Texts) -> None:
    put(texts, "grades.ndjson", [one | {"contested": ["mode"]} for one in lines(texts, "grades.ndjson")])


def forget_the_authors(texts: Texts) -> None:
    put(texts, "grades.ndjson", [one | {"authors": []} for one in lines(texts, "grades.ndjson")])


def better_reasons(texts: Texts) -> None:
    put(texts, "grades.ndjson", [one | {"reasons": []} for one in lines(texts, "grades.ndjson")])


def part_the_photo_from_its_inspection(texts: Texts) -> None:
    put(texts, "grades.ndjson", [one | {"sources": []} for one in lines(texts, "grades.ndjson")])


def other_report(texts: Texts) -> None:
    held = orjson.loads(texts["report.json"])
    held["items"][0]["sha256"] = "0" * 64
    texts["report.json"] = orjson.dumps(held, option=orjson.OPT_SORT_KEYS)


def painted_report(texts: Texts) -> None:
    texts["report.pdf"] = texts["report.pdf"].replace(b"%PDF-1.", b"%PDF-2.", 1)


ATTACKS: list[tuple[Callable[[Texts], None], str]] = [
    (rewrite, "V04"),
    (rewrite_with_its_hash, "V05"),
    (rewrite_with_its_hash, "V10"),
    (drop_a_change, "V06"),
    (drop_the_first_change, "V05"),
    (drop_a_change_and_close_the_gap, "V05"),
    (drop_the_photo, "V09"),
    (drop_the_enrolment, "V07"),
    (drop_the_export, "V18"),
    (drop_the_proofs, "V10"),
    (reorder, "V05"),
    (insert, "V04"),
    (insert_with_its_hash, "V05"),
    (insert_a_file, "V09"),
    (fork, "V06"),
    (exchange_the_photo, "V09"),
    (exchange_the_photo_under_another_name, "V09"),
    (sign_again_with_another_key, "V05"),
    (swap_the_device_s_key, "V10"),
    (swap_the_root_key, "V03"),
    (trust_somebody_else, "V03"),
    (roll_the_log_back, "V10"),
    (roll_the_log_back, "V11"),
    (show_another_view, "V12"),
    (forget_what_was_seen, "V15"),
    (better_grade, "V20"),
    (invented_officer, "V20"),
    (other_values_in_the_grade, "V20"),
    (hide_a_value_from_the_grade, "V20"),
    (invent_a_conflict, "V20"),
    (forget_the_authors, "V20"),
    (better_reasons, "V20"),
    (part_the_photo_from_its_inspection, "V20"),
    (other_report, "V19"),
    (painted_report, "V19"),
]
"""What is done, and the check that finds it. V02 finds each of them too: the manifest is signed by nobody's key."""


@pytest.mark.parametrize(("alter", "code"), ATTACKS, ids=[f"{a.__name__}-{code}" for a, code in ATTACKS])
def test_each_manipulation_is_found_by_the_check_that_should_find_it(
    case: Case, alter: Callable[[Texts], None], code: str
) -> None:
    """By somebody who makes the manifest match: the digests alone would not tell."""
    verdict = checked(forged(case, alter), case.root, render=render)
    assert outcomes(verdict)[code] == "fail" and verdict.status == 1


def test_a_manifest_signed_by_a_key_of_one_s_own_is_found_even_where_nothing_else_is(case: Case) -> None:
    verdict = checked(forged(case, lambda texts: None), case.root)
    assert [code for code, outcome in outcomes(verdict).items() if outcome == "fail"] == ["V02"]


def test_a_bundle_of_another_server_fails_under_this_root(case: Case, foreign: Case) -> None:
    assert checked(foreign.content, foreign.root).status == 0
    found = outcomes(checked(foreign.content, case.root))
    assert found["V03"] == "fail" and found["V11"] == "not-checked"


def test_a_chain_out_of_another_server_s_bundle_is_not_in_this_log(case: Case, foreign: Case) -> None:
    theirs = members(foreign.content)

    def mix(texts: Texts) -> None:
        for folder in ("chains", "changes"):
            texts[chain_file(theirs, folder)] = theirs[chain_file(theirs, folder)]
        ours, other = orjson.loads(texts["people.json"]), orjson.loads(theirs["people.json"])
        both = {name: ours[name] | other[name] for name in ours}
        texts["people.json"] = orjson.dumps(both, option=orjson.OPT_SORT_KEYS)
        put(texts, "acts.ndjson", [*lines(texts, "acts.ndjson"), lines(theirs, "acts.ndjson")[0]])

    found = outcomes(checked(forged(case, mix), case.root))
    assert found["V10"] == "fail" and found["V05"] == found["V06"] == found["V07"] == "pass"


def test_a_log_rolled_back_to_a_checkpoint_that_it_did_sign_holds_no_case(case: Case) -> None:
    def roll_back(texts: Texts) -> None:
        put(texts, "checkpoints.ndjson", [{"note": case.early}, *lines(texts, "checkpoints.ndjson")[1:]])

    found = outcomes(checked(forged(case, roll_back), case.root))
    assert found["V11"] == "pass" and found["V10"] == "fail"


def test_a_tablet_rolled_back_behind_its_paper_copy_is_found_by_the_paper(case: Case) -> None:
    """The newest change is gone without a trace; only the paper in the party's hands knows of it."""
    paper = f"PB1|{case.device.prev}|{case.device.n}|{'0' * 64}"

    def roll_back(texts: Texts) -> None:
        name, file = chain_file(texts), chain_file(texts, "changes")
        put(texts, name, lines(texts, name)[:-1])
        texts[file] = b"".join(texts[file].splitlines(keepends=True)[:-1])

    found = outcomes(checked(forged(case, roll_back), case.root, anchors=[paper]))
    assert found["V16"] == "fail" and found["V05"] == found["V06"] == "pass"


def test_an_anchor_that_another_tablet_or_a_paper_left_is_compared_with_the_chain(tmp_path: Path) -> None:
    """What an officer noted of a chain at the time stands in the bundle; the chain that is in it has to agree."""
    with made_case(tmp_path) as one:
        n, head = one.device.n, one.device.prev
        for told, outcome in ((head, "pass"), ("0" * 64, "fail")):
            note = {
                "sort": "paper", "area": AREA, "replica": one.device.replica, "n": n, "head": told,
                "taken_at": "2026-11-22T04:30:45.118Z", "inspection": one.record,
            }  # fmt: skip
            one.device.push(one.device.change("anchor", ServerKeys.new_id(one.server.clock()), note))
            file = tmp_path / f"{outcome}.fib"
            bundles.make(one.server.instance, one.record, file, purpose="x", by="p-1", rights=EVERYWHERE)
            assert outcomes(checked(file.read_bytes(), one.root))["V16"] == outcome


# --- Limits of the archive --------------------------------------------------------------------------------------------


class Sparse(io.RawIOBase):
    """A file of which long runs of zeros are not kept."""

    def __init__(self) -> None:
        self._pieces: dict[int, bytes] = {}
        self._at = self._end = 0

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = offset + (0, self._at, self._end)[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def write(self, piece: bytes) -> int:  # type: ignore[override]
        if len(piece) < 1000 or piece.count(0) != len(piece):
            self._pieces.pop(self._at, None)  # of pieces that overlap, the newest counts
            self._pieces[self._at] = bytes(piece)
        self._at += len(piece)
        self._end = max(self._end, self._at)
        return len(piece)

    def read(self, size: int = -1) -> bytes:
        end = self._end if size < 0 else min(self._end, self._at + size)
        found = bytearray(max(0, end - self._at))
        for start, piece in self._pieces.items():
            low, high = max(start, self._at), min(start + len(piece), end)
            if low < high:
                found[low - self._at : high - self._at] = piece[low - start : high - start]
        self._at = max(self._at, end)
        return bytes(found)


class Zeros(io.RawIOBase):
    def __init__(self, size: int) -> None:
        self._left = size

    def read(self, size: int = -1) -> bytes:
        self._left -= (took := min(size, self._left))
        return bytes(took)


@pytest.mark.slow
def test_a_film_of_more_than_four_gigabytes_and_what_lies_behind_it_get_zip64_fields() -> None:
    large = (4 << 30) + 5
    out: BinaryIO = Sparse()  # type: ignore[assignment]
    writer = archive.Writer(out)
    writer.add("fib/film", Zeros(large), large)  # type: ignore[arg-type]
    writer.add("fib/note", b"behind it")
    writer.close()
    film, note = archive.read(out)
    assert (film.size, note.size) == (large, 9) and note.start > large
    assert archive.Content(out, note).read() == b"behind it"
    with zipfile.ZipFile(out) as opened:  # somebody else's reader agrees
        assert [(one.filename, one.file_size) for one in opened.infolist()] == [("fib/film", large), ("fib/note", 9)]
        assert opened.read("fib/note") == b"behind it"
    for at in (film.start - 8, note.start - 20, out.seek(0, 2) - 30):  # the wide fields: header, offset, end
        out.seek(at)
        old = out.read(1)
        out.seek(at)
        out.write(bytes([old[0] ^ 1]))
        with pytest.raises(BrokenFile):
            archive.read(out)
        out.seek(at)
        out.write(old)


def archive_of(count: int) -> io.BytesIO:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        for number in range(count):
            made.writestr(zipfile.ZipInfo(f"fib/{number}"), b"")
    return out


def test_an_archive_has_at_most_ten_thousand_members() -> None:
    out = io.BytesIO()
    writer = archive.Writer(out)
    for number in range(archive.MOST_MEMBERS):
        writer.add(f"fib/{number}", b"")
    with pytest.raises(ValueError):
        writer.add("fib/more", b"")
    writer.close()
    assert len(archive.read(out)) == archive.MOST_MEMBERS
    for count in (archive.MOST_MEMBERS + 1, 0xFFFF):
        with pytest.raises(BrokenFile):
            archive.read(archive_of(count))


def test_the_small_bundle_is_smaller_and_still_the_case(case: Case) -> None:
    content = small(case)
    assert len(content) < 30_000 and set(members(content)) == set(members(case.content))
    again = packed(content, members(content), case.server.instance.keys.voice("").sign, b"x" * 32)
    assert checked(again, case.root).status == 1  # a manifest that names another key than signed it
