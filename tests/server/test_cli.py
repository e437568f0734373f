"""The command line of the server: every command on a real data folder, and what it says when something is wrong."""

import csv
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import click
import openpyxl
import orjson
import pytest
import requests
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from demo import roster as demo
from server.cli import main
from server.cli.frame import Command
from server.config import Settings
from server.storage.tables import changes, states
from sync import courier
from sync.courier import Carried, Lost, Maker, Parcel
from tests.support.server import TestDevice, TestServer, opened_server

ROOT = Path(__file__).parents[2]
AREA = "430103"


class Terminal:
    """Types commands against one data folder, in English."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"

    def __call__(self, *words: str, status: int = 0, lang: str = "en", **more: Any) -> str:
        result = self.result(*words, lang=lang, **more)
        assert result.exit_code == status, result.output
        return result.output

    def result(self, *words: str, lang: str = "en", **more: Any) -> Result:
        environment = {"PATROLBOOK_DATA": str(self.data), "PATROLBOOK_LANG": lang}
        return CliRunner().invoke(main, list(words), env=environment, catch_exceptions=False, **more)

    def json(self, *words: str) -> Any:
        return orjson.loads(self(*words, "--json"))


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    made = Terminal(tmp_path)
    made("init", "--name", "天心区教育局", "--area", AREA, "--admin", "王芳")
    return made


@pytest.fixture
def server(terminal: Terminal) -> Iterator[TestServer]:
    made = opened_server(Settings(terminal.data))
    yield made
    made.instance.close()


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


ALL = dict(commands(main))
every_command = pytest.mark.parametrize("path", ALL, ids=" ".join)


# --- Help ---------------------------------------------------------------------------------------------------------


@every_command
@pytest.mark.parametrize(("lang", "heading"), [("zh", "示例"), ("en", "Example")])
def test_every_command_explains_itself_with_an_example(
    tmp_path: Path, path: tuple[str, ...], lang: str, heading: str
) -> None:
    shown = Terminal(tmp_path)(*path, "--help", lang=lang)
    command = ALL[path]
    assert isinstance(command, Command)
    assert command.about.text("zh" if lang == "zh" else "en")[:10] in shown
    assert f"{heading}:\n    patrolbook-server {' '.join(path)}" in shown
    assert "--data" in shown and "--lang" in shown and "PATROLBOOK_DATA" in shown


@every_command
def test_every_option_is_explained_in_both_languages(tmp_path: Path, path: tuple[str, ...]) -> None:
    for parameter in ALL[path].params:
        about = getattr(parameter, "about", None)
        assert isinstance(parameter, click.Argument) or (about and about.zh and about.en)


def test_the_language_may_be_an_option(tmp_path: Path) -> None:
    assert "Set up a new server" in Terminal(tmp_path)("init", "--lang", "en", "--help", lang="zh")


def test_a_wrong_command_line_ends_with_status_2(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path)
    terminal("nonsense", status=2)
    terminal("init", status=2)
    terminal("people", "add", "x", "--role", "boss", status=2)


@pytest.mark.parametrize(
    "words", [("people", "list"), ("verify",), ("serve",), ("backup", "x"), ("list", "institution")]
)
def test_without_a_server_the_next_step_is_told(tmp_path: Path, words: tuple[str, ...]) -> None:
    shown = Terminal(tmp_path)(*words, status=1)
    assert "patrolbook-server init" in shown and "→" in shown


def test_problems_are_told_in_chinese_by_default(tmp_path: Path) -> None:
    assert "还不能启动" in Terminal(tmp_path)("verify", status=1, lang="zh")


# --- Setting up ---------------------------------------------------------------------------------------------------


def test_init_makes_a_server_with_an_administrator_and_a_draft_checklist(terminal: Terminal) -> None:
    (admin,) = terminal.json("people", "list")
    assert (admin["name"], admin["role"], admin["grants"][0]["area"]) == ("王芳", "admin", "")
    (checklist,) = terminal.json("list", "checklist")
    assert checklist["status"] == "draft"
    assert (terminal.data / "keys").stat().st_mode & 0o077 == 0


def test_init_never_replaces_a_server(terminal: Terminal) -> None:
    before = (terminal.data / "epoch").read_text()
    assert "holds a server already" in terminal("init", "--name", "x", "--area", "43", "--admin", "y", status=1)
    assert (terminal.data / "epoch").read_text() == before


def test_a_key_that_others_can_read_is_refused(terminal: Terminal) -> None:
    (terminal.data / "keys" / "server.json").chmod(0o644)
    assert "chmod 600" in terminal("people", "list", status=1)


def test_serve_takes_connections_and_stops_when_told(terminal: Terminal) -> None:
    pid_file = terminal.folder / "server.pid"
    words = ["serve", "--bind", "127.0.0.1:0", "--workers", "1", "--threads", "2", "--pid-file", str(pid_file)]
    environment = {
        **os.environ,
        "PATROLBOOK_DATA": str(terminal.data),
        "PATROLBOOK_LANG": "en",
        "PYTHONPATH": str(ROOT),
    }
    process = subprocess.Popen([sys.executable, "-m", "server", *words], env=environment, cwd=terminal.folder,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)  # fmt: skip
    try:
        assert process.stdout is not None
        url = process.stdout.readline().split()[-1]
        with requests.Session() as session:
            session.trust_env = False
            told = session.get(f"{url}/api/v1/capabilities", timeout=30).json()
        assert told["epoch"] == (terminal.data / "epoch").read_text()
        assert pid_file.read_text().strip() == str(process.pid)
        assert "running" in terminal("serve", "--pid-file", str(pid_file), status=1)
        assert "running" in terminal("restore", str(terminal.folder), "--yes", status=1)
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=40) == 0
        process.communicate()
    assert not pid_file.exists()


# --- People, devices, grants ----------------------------------------------------------------------------------------


def test_a_person_is_invited_and_enrols_and_is_revoked(terminal: Terminal, server: TestServer) -> None:
    terminal("people", "add", "李敏", "--role", "inspector", "--area", AREA)
    shown = terminal("devices", "invite", "李敏", "--hours", "2", "--url", "http://server.test")
    code = next(line.strip() for line in shown.splitlines() if line.count("-") == 2 and len(line.strip()) == 14)
    assert "▀" in shown or "█" in shown
    device = enrol_with(server, code)
    (listed,) = terminal.json("devices", "list")
    assert (listed["id"], listed["person_name"], listed["revoked"]) == (device.id, "李敏", None)
    terminal("devices", "revoke", device.id, "--reason", "丢失")
    assert device.post("/pull", {"epoch": device.answer["epoch"], "cursors": {}}).status_code == 403
    assert "丢失" in terminal("devices", "list")
    terminal("devices", "revoke", device.id, "--reason", "again", status=1)


def enrol_with(server: TestServer, code: str) -> TestDevice:
    key = Ed25519PrivateKey.generate()
    answer = server.session.post(f"{server.url}/api/v1/enrol", json=server.claim(code, key)).json()
    return TestDevice(server.session, server.url, answer["device"], key, server.clock, answer)


def test_grants_are_given_and_ended(terminal: Terminal) -> None:
    terminal("people", "add", "李敏", "--role", "inspector")
    terminal("grants", "add", "李敏", AREA, "--until", "2099-12-31")
    grant = next(one for one in terminal.json("grants", "list") if one["person_name"] == "李敏")
    assert (grant["area"], grant["role"]) == (AREA, "inspector")
    terminal("grants", "remove", grant["id"])
    terminal("grants", "remove", grant["id"], status=1)
    person = next(one for one in terminal.json("people", "list") if one["name"] == "李敏")
    assert person["grants"] == []


def test_nobody_is_nobody(terminal: Terminal) -> None:
    assert "nobody called" in terminal("devices", "invite", "张三", status=1)
    assert "nobody called" in terminal("grants", "add", "张三", AREA, status=1)


# --- Register -------------------------------------------------------------------------------------------------------


def register(folder: Path, count: int = 3, **changed: str) -> Path:
    demo.write_csv(folder / "all.csv")
    with open(folder / "all.csv", encoding="utf-8-sig", newline="") as sheet:
        rows = [row for row, _ in zip(csv.DictReader(sheet), range(count), strict=False)]
    rows[0] |= changed
    with open(folder / "roster.csv", "w", encoding="utf-8-sig", newline="") as sheet:
        writer = csv.DictWriter(sheet, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    return folder / "roster.csv"


def test_a_dry_run_lists_bad_rows_and_writes_nothing(terminal: Terminal) -> None:
    file = register(terminal.folder, 行政区划代码="43010")
    shown = terminal("import", str(file), "--dry-run")
    assert "行政区划代码" in shown and "43010" in shown and "2 new, 0 changed, 0 unchanged, 1 bad rows" in shown
    assert terminal.json("list", "institution") == []


def test_bad_rows_stop_an_import_unless_they_are_left_out(terminal: Terminal) -> None:
    file = register(terminal.folder, 行政区划代码="43010")
    terminal("import", str(file), status=1)
    assert terminal.json("list", "institution") == []
    terminal("import", str(file), "--skip-bad")
    assert len(terminal.json("list", "institution")) == 2


def test_an_import_twice_changes_nothing(terminal: Terminal) -> None:
    file = register(terminal.folder)
    assert "Wrote 3 changes" in terminal("import", str(file))
    assert "0 new, 0 changed, 3 unchanged" in terminal("import", str(file))


def test_a_file_that_is_no_register_says_what_to_do(terminal: Terminal) -> None:
    (terminal.folder / "x.csv").write_text("nothing")
    shown = terminal("import", str(terminal.folder / "x.csv"), status=1)
    assert "x.csv" in shown and "header row" in shown


# --- Conflicts, merges, quarantine ----------------------------------------------------------------------------------


@pytest.fixture
def clash(terminal: Terminal, server: TestServer) -> dict[str, Any]:
    """Two inspectors wrote different findings into one record without having seen each other."""
    first, second = server.enrol("inspector", AREA), server.enrol("inspector", AREA)
    record = server.instance.keys.new_id(server.clock())
    base = first.change("patrol_note", record, {"area": AREA + "001001", **text("开始")})
    first.push(base)
    seen = {next(iter(text(""))): [base.id]}
    one = first.change("patrol_note", record, text("甲说"), seen)
    other = second.change("patrol_note", record, text("乙说"), seen)
    assert first.push(one)[0]["status"] == second.push(other)[0]["status"] == "accepted"
    (conflict,) = terminal.json("conflicts", "list")
    return {"id": conflict["ticket"], "record": record, "one": one.id, "other": other.id, "device": first}


def text(value: str) -> dict[str, str]:
    """The field of a patrol note on which two people can differ."""
    return {"spot": value}


def test_a_conflict_is_shown_settled_and_opened_again(terminal: Terminal, clash: dict[str, Any]) -> None:
    shown = terminal("conflicts", "show", clash["id"][:6])
    assert "甲说" in shown and "乙说" in shown and "开始" in shown and "李敏" in shown
    terminal("conflicts", "resolve", clash["id"], "--take", clash["other"], "--reason", "现场复核")
    assert terminal.json("conflicts", "list") == []
    assert terminal.json("list", "patrol_note")[0]["spot"] == "乙说"
    terminal("conflicts", "undo", clash["id"], "--reason", "看错了")
    assert terminal.json("conflicts", "list")[0]["status"] == "reopened"


def test_a_conflict_may_be_settled_by_another_value(terminal: Terminal, clash: dict[str, Any]) -> None:
    terminal("conflicts", "resolve", clash["id"], "--value", '"都对"', "--reason", "合并两人所见")
    assert terminal.json("list", "patrol_note")[0]["spot"] == "都对"
    assert len(terminal.json("conflicts", "list", "--all")) == 1


def test_a_decision_without_reason_or_choice_is_a_wrong_command(terminal: Terminal, clash: dict[str, Any]) -> None:
    terminal("conflicts", "resolve", clash["id"], "--take", clash["one"], status=2)
    terminal("conflicts", "resolve", clash["id"], "--reason", "x", status=2)
    terminal("conflicts", "resolve", clash["id"], "--value", "不是JSON", "--reason", "x", status=2)
    terminal("conflicts", "resolve", "ffff", "--take", "x", "--reason", "x", status=1)


def test_who_decides_must_be_clear_and_allowed(terminal: Terminal, clash: dict[str, Any]) -> None:
    terminal("people", "add", "赵强", "--role", "admin", "--area", "43")
    words = ("conflicts", "resolve", clash["id"], "--take", clash["one"], "--reason", "x")
    assert "--by" in terminal(*words, status=1)
    assert "only staff decide" in terminal(*words, "--by", clash["device"].answer["person"]["id"], status=1)
    terminal(*words, "--by", "赵强")


def test_a_field_in_conflict_is_never_shown_as_a_value(terminal: Terminal, clash: dict[str, Any]) -> None:
    file = terminal.folder / "notes.csv"
    terminal("export", "patrol_note", "--csv", str(file))
    content = file.read_text("utf-8-sig")
    assert "in conflict" in content and "甲说" not in content and "乙说" not in content
    assert "冲突待决" in terminal("list", "patrol_note", lang="zh")


def test_records_are_merged_and_parted_again(terminal: Terminal) -> None:
    terminal("import", str(register(terminal.folder, 2)))
    one, other = (row["record"] for row in terminal.json("list", "institution"))
    terminal("merge", one, other, "--reason", "重复")
    assert [row["record"] for row in terminal.json("list", "institution")] == [one]
    terminal("unmerge", one, other, "--reason", "不是")
    assert len(terminal.json("list", "institution")) == 2
    terminal("merge", one, one, "--reason", "x", status=1)


@pytest.fixture
def parked(server: TestServer) -> str:
    """The id of a change that arrived for an area that its author has no grant for."""
    device = server.enrol("inspector", AREA)
    record = server.instance.keys.new_id(server.clock())
    change = device.change("patrol_note", record, {"area": "430281001001", **text("越界")})
    assert device.push(change)[0]["status"] == "parked"
    return change.id


def test_a_parked_change_is_shown_and_admitted(terminal: Terminal, parked: str) -> None:
    (listed,) = terminal.json("quarantine", "list")
    assert (listed["id"], listed["status"], listed["reason"]) == (parked, "parked", "scope")
    assert "越界" in terminal("quarantine", "show", parked)
    terminal("quarantine", "admit", parked, "--reason", "属实")
    assert terminal.json("quarantine", "list") == []
    assert len(terminal.json("quarantine", "list", "--all")) == 1
    assert terminal.json("list", "patrol_note")[0]["spot"] == "越界"


def test_a_parked_change_is_closed_and_stays_in_the_log(terminal: Terminal, parked: str) -> None:
    terminal("quarantine", "close", parked, "--reason", "重复")
    assert terminal.json("quarantine", "list") == []
    assert "越界" in terminal("quarantine", "show", parked)
    terminal("quarantine", "admit", "nothing", "--reason", "x", status=1)


# --- Tables ---------------------------------------------------------------------------------------------------------


def test_an_export_opens_in_excel_and_computes_nothing(terminal: Terminal) -> None:
    terminal("import", str(register(terminal.folder, 机构名称="=1+1", 备注="@SUM(A1)")))
    csv_file, xlsx_file = terminal.folder / "out.csv", terminal.folder / "out.xlsx"
    terminal("export", "institution", "--csv", str(csv_file), "--xlsx", str(xlsx_file), lang="zh")
    assert csv_file.read_bytes()[:3] == b"\xef\xbb\xbf"
    with open(csv_file, encoding="utf-8-sig", newline="") as sheet:
        rows = list(csv.DictReader(sheet))
    assert {row["机构名称"] for row in rows} >= {"'=1+1"}
    assert all(row["状态"] and not row["状态"].isascii() for row in rows)
    cells = [cell for row in openpyxl.load_workbook(xlsx_file).worksheets[0].iter_rows() for cell in row]
    assert all(cell.data_type != "f" for cell in cells)


def test_an_unknown_kind_says_so(terminal: Terminal) -> None:
    assert "no kind of record named spaceship" in terminal("list", "spaceship", status=1)
    terminal("export", "institution", status=2)


# --- Couriers -------------------------------------------------------------------------------------------------------


def courier_of(folder: Path, device: TestDevice, wrap: str = "") -> tuple[Path, str]:
    photo = b"a photo" * 1000
    digest = sha256(photo).hexdigest()
    record = "01927b3c-7b00-7000-8000-00000000c001"
    note = device.change("patrol_note", record, {"area": AREA + "001001", **text("离线所写")})
    carried = [Carried(change, link) for change, link in device.carried(note)]
    maker = Maker(device.id, device.key.public_key().public_bytes_raw(), device.key.sign)
    parcel = Parcel(digest, "image/jpeg", "original", "p.jpg", (record,))
    file = folder / "T-14.courier"
    with open(file, "wb") as out:
        if wrap:
            with courier.locking(out, wrap) as stream:
                write_courier(stream, maker, carried, parcel, photo)
        else:
            write_courier(out, maker, carried, parcel, photo)
    return file, digest


def write_courier(out: Any, maker: Maker, carried: list[Carried], parcel: Parcel, photo: bytes) -> None:
    courier.write(out, maker, 1, carried, [parcel], lambda _: BytesIO(photo), [Lost("blob x", "unreadable")])


def test_a_locked_courier_needs_its_passphrase(terminal: Terminal, server: TestServer) -> None:
    file, _ = courier_of(terminal.folder, server.enrol("inspector", AREA), "一二三四")
    assert "not the passphrase" in terminal("import-rescue", str(file), "--passphrase", "四三二一", status=1)
    assert "1 changes and 1 blobs" in terminal("import-rescue", str(file), input="一二三四\n")


def test_a_courier_is_taken_in_once(terminal: Terminal, server: TestServer) -> None:
    file, digest = courier_of(terminal.folder, server.enrol("inspector", AREA))
    shown = terminal("import-rescue", str(file))
    assert "1 changes and 1 blobs; known before: 0 and 0" in shown and "blob x: unreadable" in shown
    assert "0 changes and 0 blobs; known before: 1 and 1" in terminal("import-rescue", str(file))
    assert terminal.json("list", "patrol_note")[0]["spot"] == "离线所写"
    assert server.instance.files.path(digest).exists()
    terminal("verify")


def test_a_courier_of_a_stranger_is_refused(terminal: Terminal, server: TestServer) -> None:
    device = server.enrol("inspector", AREA)
    device.id = "01927b3c-7b00-7000-8000-00000000ffff"
    file, _ = courier_of(terminal.folder, device)
    assert "not enrolled here" in terminal("import-rescue", str(file), status=1)


def test_a_damaged_courier_is_refused(terminal: Terminal, server: TestServer) -> None:
    file, _ = courier_of(terminal.folder, server.enrol("inspector", AREA))
    content = bytearray(file.read_bytes())
    content[len(content) // 3] ^= 1
    file.write_bytes(bytes(content))
    assert "T-14.courier" in terminal("import-rescue", str(file), status=1)


# --- Care -----------------------------------------------------------------------------------------------------------


def test_a_sound_server_verifies(terminal: Terminal, server: TestServer, clash: dict[str, Any]) -> None:
    terminal("import", str(register(terminal.folder)))
    clash["device"].send_blob(b"photo" * 1000)
    terminal("conflicts", "resolve", clash["id"], "--take", clash["one"], "--reason", "x")
    assert "Everything agrees" in terminal("verify")


def tamper(server: TestServer, statement: Any) -> None:
    with server.instance.database.write() as conn:
        conn.execute(statement)


@pytest.mark.parametrize(
    ("statement", "check"),
    [(changes.update().where(changes.c.n == 1).values(content=b"{}"), "log"),
     (changes.update().where(changes.c.n == 1).values(hash=b"x" * 32), "log"),
     (changes.delete().where(changes.c.n == 2), "log"),
     (changes.update().where(changes.c.n == 2).values(signature=b"x" * 64), ""),
     (changes.update().values(signature=b"x" * 64), "chains"),
     (changes.update().where(changes.c.n == 2).values(chain="0" * 64), "chains"),
     (changes.update().where(changes.c.n == 2).values(status="parked", reason="scope"), "records"),
     (states.update().where(states.c.kind == "patrol_note").values(sum=0), "records")],
)  # fmt: skip
def test_whatever_is_altered_in_the_database_is_found(
    terminal: Terminal, server: TestServer, clash: dict[str, Any], statement: Any, check: str
) -> None:
    clash["device"].push(clash["device"].change("patrol_note", clash["record"], {"area": AREA + "001001"}))
    tamper(server, statement)
    shown = terminal("verify", status=1 if check else 0)
    assert check in shown


def test_an_altered_or_missing_blob_is_found(terminal: Terminal, server: TestServer) -> None:
    device = server.enrol("inspector", AREA)
    first, second = (device.send_blob(content)["sha256"] for content in (b"one" * 100, b"two" * 100))
    server.instance.files.path(first).unlink()
    path = server.instance.files.path(second)
    path.chmod(0o644)
    path.write_bytes(b"Two" * 100)
    shown = terminal("verify", status=1)
    assert first in shown and "gone" in shown and second in shown and "other bytes" in shown


def test_wrong_lists_are_found_and_made_again(terminal: Terminal, server: TestServer) -> None:
    terminal("import", str(register(terminal.folder)))
    table = server.instance.projections.table("institution")
    tamper(server, table.update().values(name="falsch"))
    assert "rebuild" in terminal("verify", status=1)
    terminal("rebuild")
    terminal("verify")


def test_a_backup_is_restored_under_a_new_epoch(terminal: Terminal, server: TestServer) -> None:
    terminal("import", str(register(terminal.folder)))
    server.enrol("inspector", AREA).send_blob(b"photo" * 100)
    before = (terminal.data / "epoch").read_text()
    folder = terminal.folder / "backup"
    assert "1 blobs" in terminal("backup", str(folder))
    assert not (folder / "keys").exists()
    terminal("backup", str(folder), status=1)  # never into a folder that holds something
    terminal("people", "add", "后来者", "--role", "inspector")
    server.instance.close()
    terminal("restore", str(folder), "--yes")
    assert (terminal.data / "epoch").read_text() != before
    assert "后来者" not in terminal("people", "list")
    assert len(terminal.json("list", "institution")) == 3
    terminal("import", str(register(terminal.folder, 4)))  # under a new replica: no fork of the old chain
    terminal("verify")


def test_a_restore_asks_first(terminal: Terminal) -> None:
    terminal("backup", str(terminal.folder / "backup"))
    before = (terminal.data / "epoch").read_text()
    assert terminal.result("restore", str(terminal.folder / "backup"), input="n\n").exit_code == 1
    assert (terminal.data / "epoch").read_text() == before


def test_a_backup_that_was_altered_is_refused(terminal: Terminal) -> None:
    folder = terminal.folder / "backup"
    terminal("backup", str(folder))
    with open(folder / "patrolbook.db", "r+b") as file:
        file.seek(5000)
        file.write(b"x")
    before = (terminal.data / "epoch").read_text()
    terminal("restore", str(folder), "--yes", status=1)
    assert (terminal.data / "epoch").read_text() == before


def test_tidy_reports_what_it_dropped(terminal: Terminal) -> None:
    assert "Dropped 0 uploads and 0 removals" in terminal("tidy")
