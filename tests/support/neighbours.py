"""A server that is filled alike in five places, each with a word of its own in everything that is written there.

    own, child, sibling, parent   an area, one below it, one beside it, and the one above
    behind                        the same area as `own`, behind the wall of the sealed compartment

So a test can ask for anything of each place by its id, and look for the words of the others in whatever it is answered.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from custody import codes
from schemas.fields import Text
from server import acts
from server.access import accounts, policy, rights
from server.exchange import intake
from server.keys import ServerKeys
from server.merging import decisions, duplicates, proposals, sweeps
from server.merging.backlog import Filter
from server.storage import accounts as rows
from server.storage import conflicts, contacts, people
from server.storage.contacts import Invitation
from server.storage.people import Grant, Person
from tests.support.pictures import jpeg
from tests.support.server import TestDevice, TestServer, wsgi_server

AREAS = {"own": "430103", "child": "430103001", "sibling": "430104", "parent": "4301", "behind": "430103"}
WORDS = {"own": "望月", "child": "小桥", "sibling": "石塘", "parent": "麓城", "behind": "青竹"}
COMMON = "培训"
"""What every place wrote: a search for it finds all that is in sight."""
FIRE = {"departments/fire": True}
NOW = 1_795_200_000_000
LONG_AGO, DAY_MS = 0, 86_400_000


@dataclass
class Place:
    """What one place has: its word, and by name the ids that addresses take."""

    name: str
    area: str
    word: str
    tablet: TestDevice
    ids: dict[str, str] = field(default_factory=dict)
    photo: dict[str, Any] = field(default_factory=dict)
    """Its photo as records name it; nothing behind the wall."""
    unnamed: list[str] = field(default_factory=list)
    """Records that name no department."""

    @property
    def traces(self) -> list[str]:
        """What must not be in any answer to somebody who does not see the place."""
        return [self.word, *sorted(set(self.ids.values()))]


class Neighbours:
    """The server and its places."""

    def __init__(self, server: TestServer) -> None:
        self.server, self.house = server, server.instance
        server.clock.ms = NOW
        self.places = {name: self._place(name) for name in AREAS}
        own, sibling = self.places["own"], self.places["sibling"]
        self._write("hazard", {"area": own.area, "description": f"{own.word}边界", "institution": sibling.ids.pop("crossed")})
        self.checklist = self._write("checklist", {"name": "通用清单", "status": "draft", "edition": "2026-1"})
        duplicates.catch_up(self.house)
        for place in self.places.values():
            self._twins(place)

    # --- who is there --------------------------------------------------------------------------------------------

    def person(self, role: str, name: str, area: str, *, walls: tuple[str, ...] = ("",), since: int = LONG_AGO,
               until: int | None = None, department: str = "") -> Person:  # fmt: skip
        """Somebody with one grant in front of each of these walls."""
        one = Person(ServerKeys.new_id(NOW), name, role, NOW)
        with self.house.database.write() as conn:
            people.add_person(conn, one)
            for wall in walls:
                given = Grant(ServerKeys.new_id(NOW), one.id, area, role, since, until, wall, department)
                rights.grant(conn, given)
        return one

    def session(self, person: Person) -> str:
        """An account for a person, and the token of a session that has begun."""
        accounts.open_account(self.house, person, f"a-{person.id[-12:]}", None, person.id)
        token = secrets.token_urlsafe(32)  # without the work of a password, which sixty people would pay for in each run
        with self.house.database.write() as conn:
            begun = rows.Session(accounts.digest_of(token), person.id, accounts.SIGNED, NOW, NOW, NOW + DAY_MS, "test", "test")
            rows.begin(conn, begun)
        return token

    def tablet(self, person: Person, name: str) -> TestDevice:
        """A tablet of somebody's, with a replica."""
        key = Ed25519PrivateKey.generate()
        claim = self.server.claim(self.server.code(person), key) | {"name": name}
        answer = self.server.session.post(f"{self.server.url}/api/v1/enrol", json=claim, timeout=60).json()
        made = TestDevice(self.server.session, self.server.url, answer["device"], key, self.server.clock, answer)
        made.post("/replicas", {"replica": made.replica}).raise_for_status()
        return made

    # --- what is there -------------------------------------------------------------------------------------------

    def _place(self, name: str) -> Place:
        behind, area, word = name == "behind", AREAS[name], WORDS[name]
        walls = ("", "sealed") if behind else ("",)
        first, second = (
            self.person("team" if behind else "officer", f"{word}{who}", area, walls=walls) for who in ("甲", "乙")
        )
        tablet, other = self.tablet(first, f"{word}一号"), self.tablet(second, f"{word}二号")
        place = Place(name, area, word, tablet, {"person": first.id, "device": tablet.id, "replica": tablet.replica})
        with self.house.database.read() as conn:
            place.ids["named"] = people.grants_of(conn, first.id)[-1].id
        accounts.open_account(self.house, first, f"{word}的账号", None, first.id)
        self._files(place)
        self._disputes(place, tablet, other)
        self._one_of_each_kind(place)
        self._desk(place, first)
        return place

    def _disputes(self, place: Place, tablet: TestDevice, other: TestDevice) -> None:
        """Conflicts: one that waits and is proposed, one that a sweep decided, a kept change, a line that is no change."""
        kind, path = ("audit", "target") if place.name == "behind" else ("hazard", "measures")
        title = "name" if place.name == "behind" else "description"
        for sort in ("conflict", "swept"):
            record = place.ids["disputed" if sort == "conflict" else "decided"] = ServerKeys.new_id(NOW)
            values = {title: f"{place.word}{COMMON}{sort}", "area": place.area, "status": "open", **place.photo}
            tablet.push(tablet.change(kind, record, values))
            tablet.push(tablet.change(kind, record, {path: f"{place.word}左"}))
            other.push(other.change(kind, record, {path: f"{place.word}右"}))
            place.ids[sort] = self._waiting(record, "values")
        kept = tablet.change(kind, place.ids["disputed"], {"status": "closed" if place.name == "behind" else "rectified"})
        assert tablet.push(kept)[0]["status"] == "parked"
        place.ids["kept"] = self._waiting(place.ids["disputed"], "stale", "guard")
        line = b'{"%s' % place.word.encode()
        tablet.push(intake.read_line(line)[0])
        place.ids["change"] = kept.id

    def _waiting(self, record: str, *kinds: str) -> str:
        with self.house.database.read() as conn:
            return next(row.id for row in conflicts.of_records(conn, [record]) if row.kind in kinds and row.status != "resolved")

    def _files(self, place: Place) -> None:
        """A photo of a visit, or a sealed file."""
        content = jpeg(40 + len(place.name), 30) + place.word.encode()
        digest, tablet = sha256(content).hexdigest(), place.tablet
        said: dict[str, Any] = {"sha256": digest, "size": len(content), "mime": "image/jpeg"}
        visit, evidence = ServerKeys.new_id(NOW), ServerKeys.new_id(NOW)
        upload = tablet.post("/blobs", {**said, "sha256": "0" * 64, "part_size": 1 << 16, "role": "original"}).json()["upload"]
        if place.name == "behind":
            sealed = {"area": place.area, "recording": "r-1", "number": 1, "sha256": digest, "size": len(content)}
            sealed |= {"key_file": "QUFBQQ==", "recipients_version": 1, "facts_commit": "0" * 64, "facts": "QUFBQQ==", "team_commit": "0" * 64, "team": "QUFBQQ=="}
            assert tablet.push(tablet.change("sealed_evidence", visit, sealed))[0]["status"] == "accepted"
        else:
            told = {"name": f"{place.word}{COMMON}检查", "area": place.area, "mode": "patrol", "status": "draft", **FIRE}
            place.photo = {f"evidence/{evidence}": said}
            tablet.push(tablet.change("inspection", visit, {**told, **place.photo}))
            seen = {**said, "area": place.area, "subject": visit, "subject_kind": "inspection", "caption": f"{place.word}照片"}
            place.ids["code"] = codes.code_of(digest, evidence)
            tablet.push(tablet.change("evidence", evidence, {**seen, "role": "original", "code": place.ids["code"]}))
            copy = {"area": AREAS["parent"], "original": evidence, "role": "derived", "caption": f"{WORDS['parent']}副本"}
            self._write("evidence", copy | {"sha256": sha256(digest.encode()).hexdigest()})
        tablet.send_blob(content)
        place.ids |= {"inspection": visit, "sha256": digest, "upload": upload}

    def _one_of_each_kind(self, place: Place) -> None:
        """A record of every kind of this side of the wall; institutions in pairs, and one that names the fire brigade."""
        wall = "sealed" if place.name == "behind" else ""
        for schema in self.house.registry:
            if schema.area_field is None or schema.compartment != wall:
                continue
            title = schema.fields_by_name().get(schema.title)
            titled = isinstance(title, Text) and not title.pattern
            values = {"area": place.area} | ({schema.title: f"{place.word}{COMMON}{schema.kind}"} if titled else {})
            values |= {"sealed_evidence": {"recording": "r-2"}, "officer": {"certificate_number": "43010400123"}}.get(schema.kind, {})
            record = self._write(schema.kind, values)
            place.unnamed.append(record)
            place.ids[f"a-{schema.kind}"] = record
        if wall:
            place.ids["record"] = place.ids["a-audit"]
            return
        for key in ("record", "crossed", "one", "other", "survivor", "merged"):
            number = "13874800001" if key in ("one", "other") else "13974800002" if key in ("survivor", "merged") else "-"
            values = {"name": f"{place.word}{COMMON}学校{number[:4]}", "area": place.area, "phone": number, "address": f"{place.word}路1号"}
            values |= {"place": {"lat": 281_900_000, "lon": 1_129_800_000, "src": "gnss"}, "status": "operating"}
            place.ids[key] = self._write("institution", values | (FIRE if key == "record" else {}))
        if place.name != "sibling":
            place.ids.pop("crossed")

    def _desk(self, place: Place, person: Person) -> None:
        """What people at a desk there did: a proposal, a sweep, an invitation, openings and an export."""
        wall = "sealed" if place.name == "behind" else ""
        name = "省里来的人" if wall else f"{place.word}丙"  # who has a grant in front as well is no secret there
        boss = self.person("province", name, place.area, walls=tuple(sorted({"", wall})))
        with self.house.database.read() as conn:
            grants = people.grants_of(conn, boss.id)
            (waiting, swept) = (conflicts.named(conn, [place.ids[one]])[0] for one in ("conflict", "swept"))
        sight, held = policy.sight_of(grants, "province", NOW), policy.rights_at_desk(grants, "province", NOW)
        reason = f"{place.word}的理由"
        place.ids["proposal"] = proposals.propose(
            self.house, decisions.ticket(waiting), do="resolve", take=waiting.candidates[0], reason=reason, person=boss
        ).id
        place.ids["id"] = sweeps.carry_out(
            self.house, sight, Filter(record=swept.record), "newest", [decisions.ticket(swept)], reason=reason, person=boss, rights=held
        ).sweep
        place.ids["invitation"] = self.invitation(person.id)
        with self.house.database.write() as conn:
            told = {"by": boss.id, "device": place.tablet.id, "purpose": reason}
            acts.append(conn, wall, acts.OPENED, NOW, record=place.ids["record"], blob=place.ids["sha256"], part="original", **told)
            acts.append(conn, wall, acts.EXPORTED, NOW, kind="hazard", form="csv", query=place.word, **told)
            if wall:
                acts.append(conn, wall, acts.DENIED, NOW, blob=place.ids["sha256"], **told)

    def _twins(self, place: Place) -> None:
        if place.name != "behind":
            self.merge(place)

    def merge(self, place: Place) -> None:
        """Make `survivor` and `merged` one, if they are not."""
        house, pair = self.house, (place.ids["survivor"], place.ids["merged"])
        with house.database.read() as conn:
            found = decisions.merged(conn, list(pair))
        if found[pair[0]].record == found[pair[1]].record:
            return
        decisions.merge(house.desk, *pair, reason=place.word, by=["p"])

    def invitation(self, person: str) -> str:
        """An enrolment for somebody that waits for a second person."""
        new = Invitation(ServerKeys.new_id(NOW), person, 24, NOW, person)
        with self.house.database.write() as conn:
            contacts.ask(conn, new)
        return new.id

    def grant(self, place: Place) -> str:
        """One more grant of the person of a place."""
        wall, role = ("sealed", "team") if place.name == "behind" else ("", "officer")
        new = Grant(ServerKeys.new_id(NOW), place.ids["person"], place.area, role, LONG_AGO, None, wall)
        with self.house.database.write() as conn:
            rights.grant(conn, new)
        return new.id

    def _write(self, kind: str, values: dict[str, Any]) -> str:
        return decisions.write(self.house.desk, kind, None, values, by=["p"]).record


@contextmanager
def neighbours_in(folder: Path) -> Iterator[Neighbours]:
    """The server, filled, with its clock standing still."""
    server = wsgi_server(folder)
    try:
        yield Neighbours(server)
    finally:
        server.instance.close()
