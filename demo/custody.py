"""The second act: what the day's evidence is worth to somebody who trusts neither the tablet nor the server.

Others watch from here on: a witness of another organisation cosigns the log, and an authority stamps its checkpoints. A film
that the tablet which took it cannot open, handed over to a county with a deadline, and a still of it for a meeting, redacted and
approved by two; a case in one file that a stranger checks; two forgeries and a recycled photo that do not get through. It
goes on where `Story` ended, with the same server, tablets and console.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import subprocess
import sys
import zipfile
from base64 import b64decode
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from PIL import Image

from custody import archive, sealing
from custody.bundle import MANIFEST, PREFIX, read_manifest
from custody.commitments import Part
from demo import authority
from demo.authority import Authority
from demo.films import make_film
from demo.processes import Tablet, Witness, attempt, surroundings
from demo.story import CODE, UUID, Story, free_port, one_line
from server.config import Settings
from server.instance import open_instance

COUNTY_AREA = "430104"
CHINA = timezone(timedelta(hours=8))
DAYS = 30  # for the county to deal with what is handed over to it
PIECE = 64  # bytes of the film that are looked for on the tablet
AGE = re.compile(r"\bage1[0-9a-z]+\b")
FINGERPRINT = re.compile(r"\b(?:[0-9a-f]{4} ){7}[0-9a-f]{4}\b")
LOG_KEY = re.compile(r"log add '([^']+)'")
DIGEST = re.compile(r"[0-9a-f]{64}")
SAFE = {"PATROLBOOK_PASSPHRASE": secrets.token_hex(8)}
WITHOUT_MODULES = "-I"  # Python then sees neither this project nor its settings

Findings = list[tuple[str, str, str, str]]
"""Code, outcome, title and detail of each check."""


class Custody:
    """The act after `story`, whose server, tablets, photographs and promises it shares."""

    def __init__(self, story: Story) -> None:
        self.story, self.server = story, story.server
        self.say, self.expect = story.say, story.expect
        self.folder = story.folder
        self.safe = self.folder / "safe"  # offline media: the root key and the keys that open
        self.team = Tablet("暗访", self.folder / "tablet-team")
        self.root = ""
        self.witness = Witness(self.folder / "witness", free_port())
        self.authority: Authority | None = None

    def tell(self) -> bool:
        """The whole act; False when anything that was promised, here or before, did not come true."""
        self.story.console.print("\n[bold]Second act: evidence that stands up[/bold]")
        with self.others():
            self.keys()
            self.server.start()
            with self.story.proxy:
                try:
                    audit, film = self.undercover()
                    self.nobody_else_sees()
                    self.opened_by_the_province(film)
                    self.handed_over(audit, film)
                    self.shown_outside()
                    self.recycled()
                    self.watched()
                finally:
                    self.server.stop()
            bundle = self.bundled(self.story.visits[0])
        self.stand_up(bundle)
        return not self.story.failed

    # --- others, who do not belong to the authority -------------------------------------------------------------------

    @contextmanager
    def others(self) -> Iterator[None]:
        """A witness and a time stamping authority, each a program of its own."""
        with ExitStack() as at_the_end:
            self.witness.command("init", "jw.example/witness")
            self.witness.start()
            at_the_end.callback(self.witness.stop)
            if authority.is_possible():
                made = Authority(self.folder / "authority")
                self.authority = at_the_end.enter_context(authority.running(made))
            else:
                self.say("There is no openssl on this machine: nobody stamps the log in this demonstration.")
            yield

    def watched(self) -> None:
        """The witness has cosigned what the log says by now, and the authority stamped it."""
        self.server.command("witness", "ask")
        told = json.loads(self.server.command("witness", "status", "--json"))
        (open_log,) = (one for one in told["logs"] if "sealed" not in one["log"])
        seen = json.loads(self.witness.command("show", "--json"))
        self.expect(
            f"the witness jw.example/witness cosigned the log at {open_log['witnessed']} leaves, and found no second one",
            0 < open_log["witnessed"] <= open_log["size"] and not seen["doubts"],
            told,
        )
        if self.authority is not None:
            said = self.server.command("timestamp", "now")
            self.expect(f"an authority stamped it (RFC 3161): {one_line(said)}", " at " in said, said)

    # --- whom to believe, and to whom evidence is sealed -------------------------------------------------------------

    def keys(self) -> None:
        self.safe.mkdir()
        self.at_the_safe("root", "root.age")
        province, county = (
            AGE.findall(self.at_the_safe("seal-key", f"{name}.age"))[0] for name in ("province", "county")
        )
        for log in LOG_KEY.findall(self.server.command("witness", "keys")):
            self.witness.command("log", "add", log)
        key = json.loads(self.witness.command("show", "--json"))["vkey"]
        named = ["--authority", "湖南省教育厅", "--province", province, "--county", f"{COUNTY_AREA}={county}"]
        named += ["--witness", f"{key},{self.witness.url}", "--quorum", "1"]
        if self.authority is not None:
            named += ["--stamper", str(self.authority.folder / "ca.pem")]
        said = self.at_the_safe("sign", "root.age", *named)
        if self.authority is not None:
            self.server.command("timestamp", "authorities", self.authority.url)
        self.root = found(FINGERPRINT, said)
        self.expect("the root key signed whom to believe and to whom evidence is sealed", bool(self.root), said)
        self.say(f"  its fingerprint, as printed on paper: {self.root}")
        self.say("  one witness of another organisation has to cosign the log" + ", and an authority stamps it" * bool(self.authority))
        self.server.command("people", "add", "暗访一组", "--role", "team", "--area", COUNTY_AREA)
        for name in ("赵刚", "钱敏"):
            self.server.command("people", "add", name, "--role", "province", "--area", "43")
            self.server.command("grants", "add", name, "43", "--compartment", "sealed")
        self.server.command("people", "add", "天心区", "--role", "staff", "--area", COUNTY_AREA)

    def at_the_safe(self, command: str, file: str, *more: str) -> str:
        return self.server.command("trust", command, str(self.safe / file), *more, **SAFE)

    # --- an undercover team ------------------------------------------------------------------------------------------

    def undercover(self) -> tuple[str, bytes]:
        """A film that is sealed while the tablet is locked, and sent; returns the audit and what was filmed."""
        code = found(CODE, self.server.command("devices", "invite", "暗访一组", "--no-qr"))
        self.team.command("enrol", self.story.url, code, "--name", "T-X")
        self.team.command("sync")
        audit = found(UUID, self.team.command("covert", "audit", "青竹", "--area", COUNTY_AREA))
        self.say(
            "An undercover team's tablet is enrolled, an audit begun under a code name. It is locked from here on."
        )
        path = make_film(self.folder / "MOV_0001.mp4", self.story.photos[1])
        film = path.read_bytes()
        refused = self.team.command("covert", "list", may_fail=True, locked=True)
        said = self.team.command("covert", "add", str(path), "--audit", audit, "--remove-source", locked=True)
        self.expect(f"the locked tablet sealed a film of {len(film) / 1e6:.1f} MB", "Sealed 1" in said, said)
        self.expect("locked, it does not even tell what it sealed", "unlock" in refused.lower(), refused)
        pieces = [film[at : at + PIECE] for at in range(0, len(film) - PIECE, len(film) // 8)]
        whole = b"".join(one.read_bytes() for one in sorted(self.team.home.rglob("*")) if one.is_file())
        readable = path.exists() or any(piece in whole for piece in pieces)
        self.expect("no piece of the film is left on it, only sealed bytes", not readable, "a piece was found")
        self.team.command("sync")
        (sent,) = json.loads(self.team.command("covert", "list", "--json"))["recordings"]
        self.expect("unlocked and synced, the server holds it", sent["held"] == sent["segments"] == 1, sent)
        return audit, film

    def nobody_else_sees(self) -> None:
        """Neither the county's desk nor a tablet of the same area learns that there is anything."""
        listed = attempt(
            "patrolbook-server", "list", "sealed_evidence", "--by", "天心区", "--json", env=self.server.env
        )
        self.expect(
            f"the county's desk has no such list: {one_line(listed.stderr or listed.stdout)}",
            listed.returncode != 0,
            listed.stdout,
        )
        self.story.a.command("sync")
        kinds = set(self.story.kinds_on(self.story.a))
        hidden = kinds & {"audit", "sealed_evidence", "capture_key"}
        self.expect("an officer's tablet of that area pulled nothing of it", not hidden, hidden)

    def opened_by_the_province(self, film: bytes) -> None:
        """On the province's own station, with the key from its safe."""
        (row,) = self.sealed()
        content, key_file = self.held(row["sha256"]), b64decode(row["key_file"])
        told = sealing.open_meta(b64decode(row["team"]), self.identity("province"))
        sealing.check_commitment(Part.TEAM, row["team_commit"], told)
        self.expect("the county's key does not open it", not opens(key_file, self.identity("county")), "it does")
        self.expect(f"the team called it {told.meta['name']}, which fits its commitment", told.meta["audit"] != "", told)
        out = self.folder / "opened.mp4"
        with open(content, "rb") as stream:
            secret = sealing.open_key(key_file, self.identity("province"))
            sealing.open_sealed(stream, secret, out, sealed=(row["sha256"], row["size"]), plain=None)
        self.the_same("the province's key opens it", out, film)

    def handed_over(self, audit: str, film: bytes) -> None:
        """The province reviews it, two of its people approve exactly this, and the county opens it with its own key."""
        (row,) = self.sealed()
        self.desk("review", row["record"], "--venue", "semi-public", by="赵刚")
        due = f"{datetime.now(CHINA).date() + timedelta(days=DAYS)}"
        words = ("--to", COUNTY_AREA, "--due", due, "--summary", "三楼有无证班", "--reason", "证据已固定")
        release = found(UUID, self.desk("propose", audit, *words, by="赵刚"))
        opening = ("release", release, "--identity", str(self.safe / "province.age"))
        self.desk("approve", release, by="赵刚")
        said = self.desk(*opening, by="赵刚", may_fail=True)
        self.expect("one approval is not enough to hand it over", "Released" not in said, said)
        self.desk("approve", release, by="钱敏")
        said = self.desk(*opening, by="赵刚")
        (order,) = json.loads(self.desk("list", "--json", by="天心区"))
        self.expect(
            f"a second person approved; handed over to the county, {order['days_left']} days to deal with it",
            order["status"] == "released" and order["due"] == due,
            order,
        )
        out = self.folder / "lead.mp4"
        to = ("--identity", str(self.safe / "county.age"), "--out", str(out), "--purpose", "核实线索")
        said = self.desk("open", order["id"], "1", *to, by="天心区", may_fail=True)
        self.expect("before it is signed for, the county cannot open it", not out.exists(), said)
        self.desk("receive", order["id"], by="天心区")
        said = self.desk("open", order["id"], "1", *to, by="天心区")
        self.the_same("received, and opened by the county with its own key", out, film)
        shown = f"{order}{said}{self.desk('show', order['id'], by='天心区')}"
        self.expect("what the team called it did not go along: only a commitment to it", "MOV_0001" not in shown, shown)
        log = json.loads(self.server.command("access", "list", "--record", order["id"], "--by", "天心区", "--json"))
        leaves = [one["leaf"] for one in log if one["act"] == "opened" and one["purpose"] == "核实线索"]
        told = f"that opening is in the log as leaf {', '.join(map(str, leaves))}, with by whom and what for"
        self.expect(told, len(leaves) == 1 and f"Leaf {leaves[0]} " in said, log)

    def shown_outside(self) -> None:
        """A still of the film for a meeting: boxes destroyed, two people of the province, the sealed log first."""
        (row,) = self.sealed()
        out, until = self.folder / "still.jpg", f"{datetime.now(CHINA).date() + timedelta(days=7)}"
        words = ("--box", "400,300,200,200", "--at", "1", "--for", "全省工作会", "--purpose", "通报典型问题", "--until", until)
        clip = found(UUID, self.clip("propose", row["record"], *words, by="赵刚"))
        making = ("make", clip, "--identity", str(self.safe / "province.age"), "--out", str(out))
        self.clip("approve", clip, by="赵刚")
        said = self.clip(*making, by="赵刚", may_fail=True)
        self.expect("a still for a meeting: one approval is not enough", not out.exists(), said)
        self.clip("approve", clip, by="钱敏")
        said = self.clip(*making, by="赵刚")
        (listed,) = json.loads(self.clip("list", "--json", by="赵刚"))
        with Image.open(out) as still:
            black = all(high <= 8 for _, high in still.convert("RGB").crop((410, 310, 590, 490)).getextrema())
            plain = not still.getexif() and "comment" not in still.info
        self.expect(
            f"a second person approved; the box is black, nothing but pixels came along: {one_line(said, 0)}",
            black and plain and listed["derived"] == hashlib.sha256(out.read_bytes()).hexdigest(),
            said,
        )

    def clip(self, *arguments: str, by: str, may_fail: bool = False) -> str:
        return self.server.command("clip", *arguments, "--by", by, may_fail=may_fail, **SAFE)

    def desk(self, *arguments: str, by: str, may_fail: bool = False) -> str:
        return self.server.command("handover", *arguments, "--by", by, may_fail=may_fail, **SAFE)

    def sealed(self) -> list[dict[str, Any]]:
        """What lies behind the wall, as somebody of the province sees it."""
        rows: list[dict[str, Any]] = json.loads(
            self.server.command("list", "sealed_evidence", "--by", "赵刚", "--json")
        )
        return rows

    def the_same(self, promise: str, out: Path, film: bytes) -> None:
        digest = hashlib.sha256(out.read_bytes()).hexdigest()
        out.unlink()
        same = digest == hashlib.sha256(film).hexdigest()
        self.expect(f"{promise}: SHA-256 {digest[:16]}… is the film's", same, digest)

    def identity(self, name: str) -> str:
        return sealing.unlock_identity((self.safe / f"{name}.age").read_bytes(), SAFE["PATROLBOOK_PASSPHRASE"])

    def held(self, sha256: str) -> Path:
        house = open_instance(Settings(self.server.data))
        path = house.files.path(sha256)
        house.close()
        return path

    # --- a photo that was used before --------------------------------------------------------------------------------

    def recycled(self) -> None:
        """One of A's photographs, cropped and compressed, passed off as another institution's: by A, and by B."""
        copy = self.folder / "IMG_0815.jpg"
        with Image.open(self.story.photos[0]) as photo:
            wide, high = photo.size
            part = photo.crop((wide // 12, high // 14, wide - wide // 20, high - high // 16))
            part.resize((part.width // 2, part.height // 2)).save(copy, quality=60)
        for tablet in (self.story.a, self.story.b):
            other = self.story.begun(tablet, self.story.search(tablet, "科技")[0])
            said = tablet.command("inspect", "photo", other, str(copy), "--source", "gallery", may_fail=True)
            warned = [line.strip() for line in said.splitlines() if "Suspected duplicate" in line]
            if tablet is self.story.a:
                self.say("A photograph of A's visit, cropped, halved and compressed again, is added to another visit:")
                self.expect(f"tablet A knows it: {one_line(''.join(warned[:1]))}", bool(warned), said)
            tablet.command("sync")
        self.server.command("photos", "index")
        pairs = json.loads(self.server.command("photos", "duplicates", "--json"))
        original = hashlib.sha256(self.story.photos[0].read_bytes()).hexdigest()
        caught = [
            pair for pair in pairs if pair["earlier"]["sha256"] == original and pair["record"]["subject"] == other
        ]
        self.expect(
            "tablet B never had the original; the server knows it too"
            + "".join(f" ({pair['sort']}, {pair['score']}% agrees)" for pair in caught),
            len(caught) == 1,
            pairs,
        )
        weaker = [pair for pair in pairs if pair["record"].get("source") == "camera"]
        if weaker:
            best = max(pair["score"] for pair in weaker)
            self.say(
                f"  also listed for a look: {len(weaker)} pairs of our drawn rooms that share a part (at most {best}%)"
            )

    # --- a case in one file ------------------------------------------------------------------------------------------

    def bundled(self, visit: str) -> Path:
        bundle = self.folder / "stranger" / "case.fib"
        bundle.parent.mkdir()
        said = self.server.command("bundle", visit, "--purpose", "随卷移送", "--out", str(bundle))
        self.say(f"Tablet A's visit for the court: {one_line(said, -1)}")
        return bundle

    def stand_up(self, bundle: Path) -> None:
        """A stranger's machine: the bundle, the fingerprint from paper, and a server that is not there."""
        with self.server_gone():
            self.say("The server is stopped and its folder out of reach; the checks have the file and the fingerprint.")
            for name, check in (("patrolbook verify", self.verify), ("its own verify.py", self.verify_alone)):
                code, findings = check(bundle)
                count = Counter(outcome for _, outcome, _, _ in findings)
                told = f"{count['pass']} checks passed, {count['not-checked']} not asked for or not applicable"
                self.expect(f"{name} says that it is genuine: {told}", code == 0 and not count["fail"], findings)
            outside = {"V11", "V13", "V14"} if self.authority is not None else {"V11"}
            proved = [(which, detail) for which, outcome, _, detail in findings if which in outside and outcome == "pass"]
            self.expect("it rests on others than the authority, too", {which for which, _ in proved} == outside, findings)
            for which, detail in proved:
                self.say(f"    {which} {one_line(detail)[:160]}")
            self.say("Two forgeries:")
            self.forged("one bit of a photograph", bundle, "blobs/", one_bit)
            self.forged("the answer to FIR-07, and every digest recomputed", bundle, "changes/", another_answer)

    def forged(self, what: str, bundle: Path, folder: str, change: Callable[[bytes], bytes]) -> None:
        """Change the first member of a folder that can be changed so, and look whether that is found."""
        forgery = bundle.with_name("forged.fib")
        forge(bundle, forgery, folder, change, cover_up=folder == "changes/")
        code, findings = self.verify(forgery)
        failed = [(check, title, detail) for check, outcome, title, detail in findings if outcome == "fail"]
        self.expect(f"{what}: found, exit code {code}", code in (1, 3) and bool(failed), findings)
        for check, title, detail in failed:
            self.say(f"    [yellow]{check}[/yellow] {title}: {DIGEST.sub(shortened, detail)}")

    def verify(self, bundle: Path) -> tuple[int, Findings]:
        home = {"PATROLBOOK_HOME": str(bundle.parent / "no-tablet"), "PATROLBOOK_LANG": "en"}
        done = attempt("patrolbook", "verify", str(bundle), "--root", self.root, "--json", env=home)
        return done.returncode, findings_in(done)

    def verify_alone(self, bundle: Path) -> tuple[int, Findings]:
        with zipfile.ZipFile(bundle) as members:
            script = Path(members.extract(PREFIX + "verify.py", bundle.parent))
        words = [
            sys.executable,
            WITHOUT_MODULES,
            str(script),
            str(bundle),
            "--root",
            self.root,
            "--lang",
            "en",
            "--json",
        ]
        done = subprocess.run(words, capture_output=True, text=True, cwd=bundle.parent, env=surroundings({}))
        return done.returncode, findings_in(done)

    @contextmanager
    def server_gone(self) -> Iterator[None]:
        away = self.server.data.with_name(f"away-{secrets.token_hex(4)}")
        self.server.data.rename(away)
        try:
            yield
        finally:
            away.rename(self.server.data)


def shortened(digest: re.Match[str]) -> str:
    return f"{digest.group()[:12]}…"


def found(pattern: re.Pattern[str], said: str) -> str:
    match = pattern.search(said)
    assert match is not None, said
    return match.group()


def opens(key_file: bytes, identity: str) -> bool:
    try:
        return bool(sealing.open_key(key_file, identity))
    except sealing.WrongSealKey:
        return False


def findings_in(done: subprocess.CompletedProcess[str]) -> Findings:
    """What a verifier found; where it could not read the file at all, that it said so."""
    try:
        return [tuple(one) for one in json.loads(done.stdout)["findings"]]
    except ValueError:
        return [("", "fail", "not an evidence bundle", one_line(done.stdout + done.stderr))]


# --- what a forger does ----------------------------------------------------------------------------------------------


def one_bit(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def another_answer(changes: bytes) -> bytes:
    """The extinguishers that were not in order (FIR-07) are."""
    return re.sub(rb'("answers/FIR-07":\{[^{}]*"value":\{"answer":)"no"', rb'\1"yes"', changes)


def forge(bundle: Path, target: Path, folder: str, change: Callable[[bytes], bytes], cover_up: bool) -> None:
    """Write the bundle again with a member changed. `cover_up`: the manifest's digests are made to fit, as only the
    signatures cannot be."""
    with zipfile.ZipFile(bundle) as members:
        texts: dict[str, Any] = {one.filename: members.read(one) for one in members.infolist()}
    fit = (one for one in texts if one.startswith(PREFIX + folder) and change(texts[one]) != texts[one])
    name = next(fit, None)
    if name is None:
        raise LookupError(f"nothing to change in {folder}")
    texts[name] = change(texts[name])
    if cover_up:
        manifest = read_manifest(texts[MANIFEST])
        told = [
            replace(
                one, size=len(texts[PREFIX + one.name]), sha256=hashlib.sha256(texts[PREFIX + one.name]).hexdigest()
            )
            for one in manifest.members
        ]
        texts[MANIFEST] = replace(manifest, members=tuple(told)).dump()
    with open(target, "wb") as out:
        writer = archive.Writer(out)
        for member, content in texts.items():
            writer.add(member, content)
        writer.close()
