"""`make serve`: a console filled with a county at work, left running, with accounts of every role to look through it.

The data stays in `.serve` from one run to the next; delete the folder to begin anew.
"""

from __future__ import annotations

import argparse
import os
import shutil
import time
from pathlib import Path

from demo.county import CAST, PASSWORD, County
from demo.processes import BIN, Server
from demo.story import CODE
from server.access.rights import ROLES

FOLDER = Path(__file__).parents[1] / ".serve"
TABLETS = ("李敏", "周凯")


def main() -> None:
    wanted = argparse.ArgumentParser(prog="make serve", description=__doc__)
    wanted.add_argument("--folder", type=Path, default=FOLDER)
    wanted.add_argument("--port", type=int, default=8750)
    said = wanted.parse_args()
    server = Server(said.folder / "server", said.port)
    whole = said.folder / "filled"
    if not whole.exists():
        fill(said.folder, server)
        whole.touch()
    print(f"\nThe console:     http://127.0.0.1:{said.port}/\n")
    for login, role, name in accounts():
        print(f"  {login:<10} {role:<22} {name}")
    print(f"  password of each: {PASSWORD}\n")
    for number, person in enumerate(TABLETS, start=1):
        code = CODE.search(server.command("devices", "invite", person, "--no-qr"))
        assert code is not None
        home = said.folder / f"tablet-{number}"
        enrol = f"{BIN / 'patrolbook'} --home {home} enrol http://127.0.0.1:{said.port} {code.group()}"
        print(f"A tablet for {person}:  {enrol}")
    print(f"The server's data is in {server.data}\n", flush=True)
    os.environ.update(PATROLBOOK_DATA=str(server.data))
    program = str(BIN / "patrolbook-server")
    os.execv(program, [program, "serve", "--bind", f"127.0.0.1:{said.port}"])


def fill(folder: Path, server: Server) -> None:
    """A new server with a county at work; what an interrupted run left goes first, but for the photographs."""
    for left in folder.glob("*"):
        if left.name != "photos":
            shutil.rmtree(left) if left.is_dir() else left.unlink()
    folder.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - began:6.1f} s  {text}", flush=True)

    County(folder, server, say).fill()
    say("Filled.")


def accounts() -> list[tuple[str, str, str]]:
    """(sign-in name, role, name) of everybody who may sign in."""
    cast = [(one.login, one.role, one.name) for one in CAST if one.login]
    return [(login, ROLES[role].en, name) for login, role, name in [("admin", "admin", "王芳"), *cast]]


if __name__ == "__main__":
    main()
