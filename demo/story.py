"""The story of one day, told by real programs: a server, two tablets, a bad network, a county that decides.

Every number that is printed is read from one of the sides afterwards; `Story.tell` is true only if everything that
the day promises came true.
"""

from __future__ import annotations

import hashlib
import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console
from rich.table import Table

from demo import roster
from demo.faultproxy import FaultProxy
from demo.photos import make_photos
from demo.processes import Server, Tablet
from field_client.config import Settings as TabletSettings
from field_client.session import Session
from field_client.tablet import Tablet as FieldTablet
from schemas.shipped import library
from schemas.shipped.catalogue import Item
from server.config import Settings
from server.instance import open_instance
from server.storage import blobs, states

CITY = "4301"  # 长沙市: both officers see its nine counties
COUNTY = "430104003001"
PHOTOS = 12
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
CODE = re.compile(r"\b[0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{4}\b")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Story:
    """One run in a folder of its own. `cache` keeps the photos for the next run."""

    def __init__(self, folder: Path, cache: Path, console: Console) -> None:
        self.folder, self.cache, self.console = folder, cache, console
        self.server = Server(folder / "server", free_port())
        self.a = Tablet("A", folder / "tablet-a")
        self.b = Tablet("B", folder / "tablet-b")
        self.proxy = FaultProxy("127.0.0.1", self.server.port)
        self.began = time.monotonic()
        self.failed: list[str] = []
        self.photos: list[Path] = []
        self.visits: list[str] = []

    def tell(self) -> bool:
        """The whole day; False when anything that was promised did not come true."""
        photos = self.photos = self.prepare()
        self.server.start()
        with self.proxy:
            try:
                self.enrol_and_fill()
                shared = self.a_record_both_know()
                self.proxy.refuse()
                self.say("No network from here on. Both tablets inspect, each command a process of its own.")
                with ThreadPoolExecutor(2) as both:
                    jobs = [
                        both.submit(self.visit, tablet, photos[i * PHOTOS : (i + 1) * PHOTOS])
                        for i, tablet in enumerate((self.a, self.b))
                    ]
                    visits = self.visits = [job.result() for job in jobs]
                twins = self.edit_and_enter_twice(shared)
                self.back_online()
                self.county_decides(twins)
                self.last_round()
            finally:
                self.server.stop()
        self.compare(shared, visits, twins, photos)
        return not self.failed

    # --- morning -----------------------------------------------------------------------------------------------------

    def prepare(self) -> list[Path]:
        """A server with the register of a province, and photographs to take."""
        self.folder.mkdir(parents=True)
        self.say("Making the register (7,481 institutions) and 24 photographs of 12 megapixels …")
        sheet = self.folder / "机构名册.csv"
        roster.write_csv(sheet)
        photos = make_photos(
            self.cache / "photos",
            2 * PHOTOS,
            20261122,
            (281950000, 1129380000),
            datetime(2026, 11, 21, 2, 0, tzinfo=UTC),
        )
        sizes = [photo.stat().st_size for photo in photos]
        self.say(f"  photographs of {min(sizes) / 1e6:.1f}–{max(sizes) / 1e6:.1f} MB with EXIF time and position")
        self.server.command("init", "--name", "湖南省教育厅", "--area", "43", "--admin", "王芳")
        said = self.server.command("import", str(sheet))
        self.expect("the register of 7,481 institutions is imported", self.institutions() == 7481, said.strip()[-200:])
        for name in ("李敏", "周凯"):
            self.server.command("people", "add", name, "--role", "officer", "--area", CITY)
        return photos

    def enrol_and_fill(self) -> None:
        for tablet, person in ((self.a, "李敏"), (self.b, "周凯")):
            code = CODE.search(self.server.command("devices", "invite", person, "--no-qr"))
            assert code is not None
            tablet.command("enrol", self.url, code.group(), "--name", f"T-{tablet.name}")
        self.say("Two tablets enrolled with one-time codes; first fill of 长沙市 (nine counties):")
        for tablet in (self.a, self.b):
            before = self.proxy.bytes_down
            tablet.command("sync")
            filled = sum(kind == "institution" for kind in self.kinds_on(tablet))
            self.say(
                f"  tablet {tablet.name}: {filled:,} institutions, {(self.proxy.bytes_down - before) / 1e6:.1f} MB over the line"
            )

    def a_record_both_know(self) -> str:
        """An inspection that A began yesterday and B has on its tablet too."""
        name = self.search(self.a, "学校")[0]
        inspection = self.begun(self.a, name)
        self.a.command("sync")
        self.b.command("sync")
        return inspection

    # --- without a network -------------------------------------------------------------------------------------------

    def visit(self, tablet: Tablet, photos: list[Path]) -> str:
        """One inspection: the whole checklist, twelve photographs, a signature, submitted."""
        institution = self.search(tablet, "艺术" if tablet is self.a else "体育")[0]
        inspection = self.begun(tablet, institution)
        answers = self.folder / f"answers-{tablet.name}.json"
        answers.write_text(json.dumps(all_answers(), ensure_ascii=False))
        tablet.command("inspect", "answer", inspection, "--all", str(answers))
        tablet.command("inspect", "photo", inspection, *map(str, photos), "--source", "camera")
        tablet.command("inspect", "set", inspection, "findings=三间教室，两个出口，灭火器在有效期内")
        tablet.command("inspect", "sign", inspection, "罗雨")
        tablet.command("inspect", "submit", inspection, "--anyway")
        self.say(
            f"  tablet {tablet.name}: {len(library().items)} items answered, {len(photos)} photographs, signed, submitted"
        )
        return inspection

    def edit_and_enter_twice(self, shared: str) -> list[str]:
        self.a.command("inspect", "answer", shared, "FIR-05", "符合")
        self.b.command("inspect", "answer", shared, "FIR-05", "不符合", "--reason", "通道堆放杂物")
        self.say("Both answered FIR-05 of the same inspection, differently; both entered the same new institution.")
        twins = []
        for tablet, name in ((self.a, "茶楼后的数学班"), (self.b, "茶楼后面数学补习班")):
            said = tablet.command(
                "institutions", "add", "--name", name, "--area", COUNTY, "--address", "芙蓉南路三段 27 号二楼"
            )
            found = UUID.search(said)
            twins.append(found.group() if found else self.id_of(tablet, "institution", name))
        return twins

    # --- evening -----------------------------------------------------------------------------------------------------

    def back_online(self) -> None:
        self.proxy.heal()
        self.sent = self.proxy.bytes_up
        self.say("Back online. B's push is committed, and the server is killed before it can answer:")
        self.proxy.cut_before_answer(self.power_cut, match=b"POST /api/v1/push")
        said = self.b.command("sync", may_fail=True)
        self.expect("the server was killed between commit and answer", "cut_before_answer" in self.proxy.fired, said)
        self.say(f"  the server is started again while tablet B keeps trying: {one_line(said, -1)}")
        self.say("A's upload is cut in the middle of a photograph:")
        self.proxy.cut_upload_after(9_000_000)
        said = self.a.command("sync", may_fail=True)
        self.expect("the upload was cut in the middle of a part", "cut_upload" in self.proxy.fired, said)
        self.say(f"  tablet A sends that part again and goes on: {one_line(said, -1)}")
        self.proxy.heal()
        for tablet in (self.b, self.a, self.b):
            tablet.command("sync")

    def power_cut(self) -> None:
        """Kill the server and let somebody start it again a moment later."""
        self.server.kill()
        threading.Timer(1.0, self.server.start).start()

    def county_decides(self, twins: list[str]) -> None:
        waiting = json.loads(self.server.command("conflicts", "list", "--json"))
        values = [one for one in waiting if one["path"] == "answers/FIR-05"]
        self.expect("one conflict on FIR-05 waits", len(values) == 1, waiting)
        for conflict in values:
            shown = json.loads(self.server.command("conflicts", "show", conflict["id"], "--json"))
            worse = next(c for c in shown["candidates"] if c["values"]["answers/FIR-05"].get("answer") == "no")
            self.server.command(
                "conflicts",
                "resolve",
                shown["conflict"]["ticket"],
                "--take",
                worse["change"],
                "--reason",
                "照片可见通道堆放杂物",
            )
        self.server.command("merge", *twins, "--reason", "同一地址、同一天录入两次")
        opened = json.loads(self.server.command("conflicts", "list", "--json"))
        for conflict in opened:  # the two entries of one institution differ in these fields
            first = conflict["candidates"][0]
            self.server.command(
                "conflicts", "resolve", conflict["ticket"], "--take", first, "--reason", "以首次录入为准"
            )
        self.say(
            f"The county resolved the conflict, merged the institution that was entered twice, and decided on the "
            f"{len(opened)} field(s) in which its two entries differed."
        )
        left = json.loads(self.server.command("conflicts", "list", "--json"))
        self.expect("no conflict is left", not left, left)

    def last_round(self) -> None:
        for tablet in (self.a, self.b):
            tablet.command("sync")

    # --- does it hold ------------------------------------------------------------------------------------------------

    def compare(self, shared: str, visits: list[str], twins: list[str], photos: list[Path]) -> None:
        """Read all three sides and print what each holds."""
        there, held_bytes = self.server_holds()
        sides = {"server": there}
        for tablet in (self.a, self.b):
            sides[f"tablet {tablet.name}"] = self.tablet_holds(tablet)
        scope = {record for record, (area, _) in there.items() if area.startswith(CITY) or not area}
        table = Table(title="What each side holds", title_justify="left")
        for column in ("side", "records of 长沙市", "digest"):
            table.add_column(column)
        digests = set()
        for name, records in sides.items():
            mine = {record: state for record, (_, state) in records.items() if record in scope or name != "server"}
            digest = hashlib.sha256(orjson.dumps(sorted(mine.items()))).hexdigest()[:16]
            digests.add(digest)
            table.add_row(name, f"{len(mine):,}", digest)
        self.console.print(table)
        self.expect("all three sides hold the same", len(digests) == 1, digests)
        self.expect(
            "both visits, the shared one and one of the twins are there",
            {shared, *visits, min(twins)} <= there.keys() and max(twins) not in there,
            "records are missing",
        )
        answers = {str(there[shared][1]["live"]["answers/FIR-05"][0][1].get("answer"))}
        self.expect("the county's choice stands everywhere", answers == {"no"}, answers)
        submitted = [there[visit][1]["live"]["status"][0][1] for visit in visits]
        self.expect("both visits are submitted", submitted == ["submitted", "submitted"], submitted)
        originals = {hashlib.sha256(p.read_bytes()).hexdigest() for p in photos}
        self.expect("the server holds all 24 originals", originals <= held_bytes.keys(), "photographs are missing")
        sent = self.proxy.bytes_up - self.sent
        self.say(
            f"Bytes sent in the evening: {sent / 1e6:.1f} MB, of which the server holds "
            f"{sum(held_bytes.values()) / 1e6:.1f} MB of files: {sent / max(1, sum(held_bytes.values())):.2f} sent for one held."
        )
        for tablet in (self.a, self.b):
            status = json.loads(tablet.command("status", "--json"))
            self.expect(
                f"tablet {tablet.name}: every receipt verified, safe to hand in", status["safe_to_hand_in"], status
            )
        checked = self.server.command("verify")  # fails the demo when one hash, signature, chain or proof is wrong
        self.say(f"patrolbook-server verify recomputed every hash, signature, chain and blob: {one_line(checked, -1)}")

    def server_holds(self) -> tuple[dict[str, tuple[str, Any]], dict[str, int]]:
        """(record → (area, live values)), (SHA-256 → bytes) as the server has them."""
        house = open_instance(Settings(self.server.data))
        with house.database.read() as conn:
            found = {}
            for row in states.scan(conn):
                body = orjson.loads(row.bytes)
                area = next((v for _, v in body["live"].get("area", [])), "")
                found[row.record] = (area, body)
            held = {blob.sha256: blob.size for blob in blobs.scan(conn)}
        house.close()
        return found, held

    def tablet_holds(self, tablet: Tablet) -> dict[str, tuple[str, Any]]:
        with self.opened(tablet) as store:
            return {s.record: ("", orjson.loads(s.dump())) for kind in store.kinds() for s in store.browse(kind)}

    def kinds_on(self, tablet: Tablet) -> list[str]:
        """The kind of every record on a tablet."""
        with self.opened(tablet) as store:
            return [kind for kind, count in store.kinds().items() for _ in range(count)]

    @contextmanager
    def opened(self, tablet: Tablet) -> Iterator[FieldTablet]:
        """A tablet's store, between two commands."""
        session = Session(TabletSettings(tablet.home, pin=tablet.pin))
        try:
            yield session.opened(session.vault.open(tablet.pin))
        finally:
            session.close()

    # --- small things ------------------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.proxy.port}"

    def begun(self, tablet: Tablet, institution: str) -> str:
        found = UUID.search(tablet.command("inspect", "start", institution))
        assert found is not None
        return found.group()

    def search(self, tablet: Tablet, text: str) -> list[str]:
        return [one["id"] for one in json.loads(tablet.command("institutions", "search", text, "--json"))]

    def id_of(self, tablet: Tablet, kind: str, name: str) -> str:
        return self.search(tablet, name)[0]

    def institutions(self) -> int:
        house = open_instance(Settings(self.server.data))
        with house.database.read() as conn:
            count = sum(1 for _ in house.projections.rows(conn, "institution"))
        house.close()
        return count

    def say(self, text: str) -> None:
        self.console.print(f"[dim]{time.monotonic() - self.began:6.1f} s[/dim]  {text}", highlight=False)

    def expect(self, promise: str, kept: bool, otherwise: Any) -> None:
        self.say(f"[green]✓[/green] {promise}" if kept else f"[red]✗ {promise}[/red]: {otherwise}")
        if not kept:
            self.failed.append(promise)


def all_answers() -> dict[str, Any]:
    """An answer to each of the 160 items, of the type that the item asks for."""
    return {item.code: plausible(item) for item in library().items}


def plausible(item: Item) -> dict[str, Any]:
    """What an officer could have written: mostly conforming, measured where the item measures."""
    asked = item.asked
    unit = {"unit": asked.unit.zh} if asked.unit is not None else {}
    match asked.type:
        case "number":
            return {"measured": str(asked.least if asked.least is not None else asked.most or 1), **unit}
        case "time":
            return {"measured": asked.latest or "20:00"}
        case "date":
            return {"measured": "2027-06-30"}
        case "choice":
            return {"measured": asked.options[0].zh}
        case "multi":
            return {"rows": [asked.options[0].zh]}
        case "table":
            return {"rows": [["1"] * len(asked.columns)], "answer": "yes"}
        case "text":
            return {"measured": "现场查看，与登记一致"}
        case "officers":
            return {"officers": ["李敏", "周凯"]}
    return {"answer": "no" if item.code == "FIR-07" else "yes"}


def one_line(text: str, which: int = 0) -> str:
    """One of the lines that a program printed that are not empty."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[which] if lines else ""
