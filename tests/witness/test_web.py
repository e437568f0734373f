"""The witness over a real socket, as its protocol says, and its command line in a process of its own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
from click.testing import CliRunner, Result

from sync.core.note import SignatureType, open_note, vkey
from sync.core.witnessing import MAX_SUBMISSION, write_submission
from tests.support.processes import Children
from tests.support.witnesses import Log, Running, running_witness
from witness.cli import main

NAME = "jw.example/witness"


@pytest.fixture
def log() -> Log:
    made = Log()
    made.grow(20)
    return made


@pytest.fixture
def witness(tmp_path: Path, log: Log) -> Iterator[Running]:
    with running_witness(tmp_path / "w", NAME) as running:
        running.book.add_log(log.key)
        yield running


def post(witness: Running, body: bytes, path: str = "/add-checkpoint") -> requests.Response:
    with requests.Session() as session:
        session.trust_env = False
        return session.post(witness.url + path, data=body, timeout=30)


def test_statuses_bodies_and_media_types_are_those_of_the_protocol(witness: Running, log: Log) -> None:
    done = post(witness, log.submission(0, 5))
    assert done.status_code == 200 and done.text.startswith(f"— {NAME} ") and done.text.endswith("\n")
    assert open_note(log.note(5) + done.text, [witness.book.verifier]).names == (NAME,)
    late = post(witness, log.submission(0, 9))
    assert (late.status_code, late.text, late.headers["Content-Type"]) == (409, "5\n", "text/x.tlog.size")
    assert post(witness, write_submission(5, [], log.note(9))).status_code == 422
    assert post(witness, b"old 5\n").status_code == 400
    assert post(witness, write_submission(9, [], log.note(5))).status_code == 400
    foreign = Log(seed=b"\x12" * 32)
    foreign.grow(9)
    assert post(witness, foreign.submission(5, 9)).status_code == 403
    assert post(witness, Log("other").submission(0, 0)).status_code == 404


def test_nothing_else_is_there_and_large_bodies_are_not_read(witness: Running) -> None:
    assert post(witness, b"", "/").status_code == 404
    assert post(witness, b"x" * (MAX_SUBMISSION + 1)).status_code == 413
    with requests.Session() as session:
        session.trust_env = False
        assert session.get(witness.url, timeout=30).text == vkey(witness.book.verifier) + "\n"
        assert session.get(witness.url + "/add-checkpoint", timeout=30).status_code == 405
        assert session.get(witness.url + "/witness.key", timeout=30).status_code == 404


# --- The command line ---------------------------------------------------------------------------------------------


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Result]:
    def typed(*words: str, lang: str = "en") -> Result:
        env = {"PATROLBOOK_WITNESS": str(tmp_path / "w"), "PATROLBOOK_LANG": lang}
        return CliRunner().invoke(main, list(words), env=env, catch_exceptions=False)

    return typed


def test_a_new_user_finds_the_way_from_help_to_a_watched_log(run: Callable[..., Result], log: Log) -> None:
    for words in (["--help"], ["init", "--help"], ["log", "add", "--help"], ["serve", "--help"], ["show", "--help"]):
        told = run(*words).output
        assert any("\u4e00" <= sign <= "\u9fff" for sign in told) and ("witness" in told.lower() or "log" in told)
    missing = run("show")
    assert missing.exit_code == 1 and "run init" in missing.output
    made = run("init", NAME)
    assert made.exit_code == 0 and NAME in made.output
    assert run("init", NAME).exit_code == 1
    wrong = run("log", "add", "nonsense", lang="zh")
    assert wrong.exit_code == 1 and "→" in wrong.output
    assert run("log", "add", vkey(log.key)).exit_code == 0
    told = json.loads(run("show", "--json").output)
    assert told["logs"][0]["origin"] == log.origin and told["logs"][0]["size"] is None
    assert "nothing cosigned yet" in run("show").output
    assert run("serve", "--bind", "nowhere").exit_code == 2


def test_a_witness_in_its_own_process_keeps_what_it_cosigned_over_a_kill(
    run: Callable[..., Result], log: Log, tmp_path: Path
) -> None:
    run("init", NAME)
    run("log", "add", vkey(log.key))
    home = str(tmp_path / "w")
    with Children() as children:
        for old, size in ((0, 5), (5, 20)):
            child = children.start("-m", "witness", "serve", "--home", home, "--bind", "127.0.0.1:0", "--lang", "en")
            child.wait_for("serves at")
            (line,) = (one for one in child.lines if "serves at" in one)
            url = line.rpartition(" ")[2]
            with requests.Session() as session:
                session.trust_env = False
                done = session.post(url + "/add-checkpoint", data=log.submission(old, size), timeout=30)
            child.kill()
            assert done.status_code == 200
    told = json.loads(run("show", "--json").output)
    assert (told["logs"][0]["size"], told["logs"][0]["forks"]) == (20, 0)
    assert open_note(log.note(20), [log.key]).signatures[0].type is SignatureType.ED25519


def test_a_fork_is_told_to_the_operator(run: Callable[..., Result], log: Log, tmp_path: Path) -> None:
    with running_witness(tmp_path / "w", NAME) as witness:
        witness.book.add_log(log.key)
        post(witness, log.submission(0, 20))
        other = Log()
        other.grow(20, "forged")
        post(witness, write_submission(20, [], other.note(20)))
    assert "a fork" in run("show").output and "分叉" in run("show", lang="zh").output
    assert other.note(20) in json.loads(run("show", "--json").output)["doubts"][0]["submission"]
