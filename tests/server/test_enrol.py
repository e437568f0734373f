"""Enrolment codes, grants and rights: who gets in, once, and what they may do when."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
import requests
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from server import acts
from server.access import enrolment, rights
from server.exchange import revocations
from server.storage import people
from server.storage.nonces import Nonces
from server.storage.people import Grant
from server.storage.tables_access import enrolment_codes
from sync.core.errors import InvalidField, Refused
from tests.support.server import BASE, TestServer, running_server, wsgi_server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestServer]:
    made = wsgi_server(tmp_path_factory.mktemp("server"))
    yield made
    made.instance.close()


def enrol(server: TestServer, code: str, key: Ed25519PrivateKey | None = None, **changed: str) -> requests.Response:
    claim = server.claim(code, key or Ed25519PrivateKey.generate()) | changed
    return server.session.post(f"{server.url}{BASE}/enrol", json=claim, timeout=30)


def code_of(response: requests.Response) -> str:
    return str(response.json()["code"])


def test_a_code_makes_a_tablet_a_device_of_its_person(server: TestServer) -> None:
    person = server.person("officer", "430102", "430103")
    told = enrol(server, server.code(person)).json()
    assert told["person"] == {"id": person.id, "name": person.name, "role": "officer"}
    assert [grant["area"] for grant in told["grants"]] == ["430102", "430103"]
    assert told["epoch"] == server.instance.epoch


def test_the_same_tablet_may_ask_again_and_is_told_the_same(server: TestServer) -> None:
    code, key = server.code(server.person()), Ed25519PrivateKey.generate()
    assert enrol(server, code, key).json()["device"] == enrol(server, code, key).json()["device"]


def test_an_unknown_a_spent_and_an_expired_code_look_alike(server: TestServer) -> None:
    spent, late = server.code(server.person()), server.code(server.person())
    enrol(server, spent)
    unknown = enrol(server, "ZZZZ-ZZZZ-ZZZZ")
    server.clock.ahead = server.instance.settings.code_ms + 1
    try:
        expired = enrol(server, late)
    finally:
        server.clock.ahead = 0
    assert unknown.text == expired.text == enrol(server, spent).text


def test_a_code_may_be_typed_in_small_letters_without_dashes(server: TestServer) -> None:
    code = server.code(server.person())
    assert enrol(server, code.lower().replace("-", "").replace("0", "o").replace("1", "l")).status_code == 200


def test_a_tablet_must_hold_the_key_that_it_names(server: TestServer) -> None:
    code, key = server.code(server.person()), Ed25519PrivateKey.generate()
    other = server.claim(code, Ed25519PrivateKey.generate())
    response = enrol(server, code, key, proof=other["proof"])
    assert (response.status_code, code_of(response)) == (400, "bad-signature")
    assert enrol(server, code, key).status_code == 200  # and the code was not spent by it


def test_a_key_belongs_to_one_device(server: TestServer) -> None:
    key = Ed25519PrivateKey.generate()
    enrol(server, server.code(server.person()), key)
    assert code_of(enrol(server, server.code(server.person()), key)) == "refused"


def test_the_database_does_not_know_the_code(server: TestServer) -> None:
    code = server.code(server.person())
    with server.instance.database.read() as conn:
        kept = repr(conn.execute(enrolment_codes.select()).all())
    assert code not in kept and code.replace("-", "") not in kept


def test_of_two_tablets_with_one_code_exactly_one_wins(tmp_path_factory: pytest.TempPathFactory) -> None:
    with running_server(tmp_path_factory.mktemp("race")) as server:
        for _ in range(10):
            code, start = server.code(server.person()), Barrier(2)

            def race(code: str = code, start: Barrier = start) -> int:
                claim = server.claim(code, Ed25519PrivateKey.generate())
                start.wait()
                return requests.post(f"{server.url}{BASE}/enrol", json=claim, timeout=30).status_code

            with ThreadPoolExecutor(2) as pool:
                statuses = sorted(future.result() for future in [pool.submit(race), pool.submit(race)])
            assert statuses == [200, 410]
        with server.instance.database.read() as conn:
            assert len(people.every_device(conn)) == 10  # the losers left nothing behind


def test_a_code_is_long_enough_not_to_be_guessed(server: TestServer) -> None:
    codes = {server.code(server.person()) for _ in range(20)}
    assert len(codes) == 20
    assert all(len(code.replace("-", "")) == 12 and set(code) <= set(enrolment.ALPHABET + "-") for code in codes)


# --- Grants and rights --------------------------------------------------------------------------------------------


def test_rights_are_those_at_the_time_of_the_act(server: TestServer) -> None:
    device = server.enrol("inspector")
    with server.instance.database.write() as conn:
        held = people.device(conn, device.id)
        assert held is not None
        rights.grant(conn, Grant("g-1", held.person, "430102", "inspector", 1000, 2000))
        rights.grant(conn, Grant("g-2", held.person, "430103", "inspector", 1500, None))
        at = rights.rights_at(conn, held)
    assert at(999).areas == ()
    assert at(1000).areas == ("430102",)
    assert at(1999).areas == ("430102", "430103")
    assert at(2000).areas == ("430103",)
    assert at(1000).role == "inspector" and not at(1000).revoked


@pytest.mark.parametrize(("role", "log"), [("officer", ""), ("team", "sealed")])
def test_what_the_log_says_of_a_tablet_names_its_person_and_their_role(server: TestServer, role: str, log: str) -> None:
    device = server.enrol(role, "430102")
    revocations.revoke(server.instance, device.id, "丢失")
    with server.instance.database.read() as conn:
        said = {act.body["act"]: act.body for act in acts.every(conn, log) if act.body.get("device") == device.id}
    whose = {"device": device.id, "key": device.key.public_key().public_bytes_raw().hex(),
             "person": device.answer["person"]["id"], "role": role}  # fmt: skip
    for what, more in ((acts.ENROLLED, {}), (acts.REVOKED, {"reason": "丢失"})):
        facts = {name: value for name, value in said[what].items() if name not in ("act", "at", "nonce", "v")}
        assert facts == whose | more, what


def test_a_revoked_device_is_revoked_at_all_times(server: TestServer) -> None:
    device = server.enrol("inspector", "43")
    with server.instance.database.write() as conn:
        people.revoke(conn, device.id, server.clock(), "lost")
        held = people.device(conn, device.id)
        assert held is not None and held.revoked_reason == "lost"
        assert rights.rights_at(conn, held)(0).revoked


def test_nobody_has_two_roles_at_a_time(server: TestServer) -> None:
    person = server.person("inspector", "430102")
    with server.instance.database.write() as conn, pytest.raises(Refused):
        rights.grant(conn, Grant("g-3", person.id, "430103", "lead", 5, None))


@pytest.mark.parametrize(
    ("field", "grant"),
    [("role", Grant("g", "", "43", "boss", 0, None)), ("area", Grant("g", "", "43%", "inspector", 0, None)),
     ("area", Grant("g", "", "4" * 13, "inspector", 0, None)), ("until", Grant("g", "", "43", "inspector", 5, 5))],
)  # fmt: skip
def test_a_wrong_grant_names_its_field(server: TestServer, field: str, grant: Grant) -> None:
    person = server.person()
    with server.instance.database.write() as conn, pytest.raises(InvalidField) as raised:
        rights.grant(conn, grant._replace(person=person.id))
    assert raised.value.facts["field"] == field


def test_a_device_reads_its_areas_reference_data_and_its_own(server: TestServer) -> None:
    device = server.enrol("inspector", "430102")
    with server.instance.database.read() as conn:
        held = people.device(conn, device.id)
        assert held is not None
        scope = rights.scope_of(conn, held, server.clock())
    assert scope.covers("area:430102") and scope.covers("area:430102003001") and scope.covers("ref:checklist")
    assert scope.covers(f"home:{device.id}")
    assert not scope.covers("area:430103") and not scope.covers("area:4301") and not scope.covers("home:other")


def test_people_are_found_by_name_or_id(server: TestServer) -> None:
    one, other = server.person(name="王芳"), server.person(name="王芳")
    with server.instance.database.read() as conn:
        assert rights.the_person(conn, one.id) == one
        with pytest.raises(Refused, match=other.id):
            rights.the_person(conn, "王芳")
        with pytest.raises(InvalidField):
            rights.the_person(conn, "nobody")


# --- Nonces -------------------------------------------------------------------------------------------------------


def test_a_damaged_file_of_nonces_is_begun_again(tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.mktemp("nonces") / "nonces.db"
    file.write_bytes(b"this is no database at all" * 100)
    assert Nonces(file, 1000).fresh("d", "ab", 0)
