"""From the code on a watermarked copy to its original: for whoever may see it, and for nobody else."""

import io
from pathlib import Path

import pytest
from click.testing import CliRunner

from custody import codes
from field_client.evidence.capture import Captured, capture
from field_client.tablet import Tablet
from field_client.work import inspecting
from server.cli import main
from tests.support.lines import joined
from tests.support.pictures import jpeg
from tests.support.server import TestServer, wsgi_server
from tests.support.tablets import institution

AREA = "430102001001"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> TestServer:
    return wsgi_server(tmp_path_factory.mktemp("server"))


@pytest.fixture(scope="module")
def captured(server: TestServer, tmp_path_factory: pytest.TempPathFactory) -> tuple[Tablet, Captured]:
    tablet = joined(server, tmp_path_factory.mktemp("tablet"))
    record = inspecting.start(tablet, institution(tablet), "patrol")
    made = capture(tablet, record, io.BytesIO(jpeg(1000, 800)), item="FIR-05")
    assert tablet.sync().complete
    return tablet, made


def code_of(made: Captured) -> str:
    return codes.printed(codes.code_of(made.sha256, made.evidence))


def test_a_device_in_scope_finds_the_original_and_its_copy(
    server: TestServer, captured: tuple[Tablet, Captured]
) -> None:
    _, made = captured
    found = server.enrol("officer", "430102").get(f"/evidence/{code_of(made).lower()}").json()
    assert found["id"] == made.evidence and found["held"] is True
    assert (found["values"]["sha256"], found["values"]["item"]) == (made.sha256, "FIR-05")
    assert [one["id"] for one in found["copies"]] == [made.watermark]


def test_out_of_scope_is_the_same_answer_as_no_such_code(server: TestServer, captured: tuple[Tablet, Captured]) -> None:
    _, made = captured
    elsewhere = server.enrol("officer", "430281")
    unknown = codes.printed(codes.code_of("00" * 32, "nobody"))
    hidden, nobody = elsewhere.get(f"/evidence/{code_of(made)}"), elsewhere.get(f"/evidence/{unknown}")
    assert hidden.status_code == nobody.status_code == 404
    assert hidden.text.replace(code_of(made), "·") == nobody.text.replace(unknown, "·")


def test_a_mistyped_code_is_told_as_such(server: TestServer, captured: tuple[Tablet, Captured]) -> None:
    code = codes.code_of(captured[1].sha256, captured[1].evidence)
    wrong = ("1" if code[0] != "1" else "2") + code[1:]
    answer = server.enrol("officer", "430102").get(f"/evidence/{wrong}")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid-field")


def test_a_code_that_does_not_follow_from_its_record_leads_nowhere(server: TestServer, tmp_path: Path) -> None:
    tablet = joined(server, tmp_path)
    stolen = codes.code_of("11" * 32, "somebody-elses")
    values = {"subject": "x", "area": AREA, "sha256": "22" * 32, "size": 1, "mime": "image/jpeg", "role": "original"}
    tablet.write("evidence", None, {**values, "code": stolen})
    assert tablet.sync().problem is None
    assert server.enrol("officer", "430102").get(f"/evidence/{stolen}").status_code == 404


def test_the_look_up_uses_the_index(server: TestServer) -> None:
    with server.instance.database.read() as conn:
        plan = conn.exec_driver_sql("EXPLAIN QUERY PLAN SELECT * FROM p_evidence WHERE code = 'X'").fetchall()
    assert "p_evidence_by_code" in str(plan)


def test_the_desk_looks_a_code_up(server: TestServer, captured: tuple[Tablet, Captured]) -> None:
    _, made = captured
    county, elsewhere = server.person("staff", "430102", name="周静"), server.person("staff", "430281", name="何青")

    def run(*arguments: str) -> tuple[int, str]:
        data = ["--data", str(server.instance.settings.data)]
        done = CliRunner().invoke(main, ["evidence", "lookup", *arguments, *data])
        return done.exit_code, done.output

    status, told = run(code_of(made), "--by", county.id)
    assert status == 0 and made.evidence in told and made.sha256 in told and "加水印" in told
    status, told = run(code_of(made), "--by", elsewhere.id)
    assert status == 1 and made.evidence not in told
    status, told = run("7K3M", "--by", county.id)
    assert status == 1 and "13" in told
