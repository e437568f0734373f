"""`make serve`: a server filled with the register of a province, left running, and codes to enrol two tablets with.

The data stays in `.serve` from one run to the next; delete the folder to begin anew.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from demo import roster
from demo.processes import BIN, Server
from demo.story import CITY, CODE

FOLDER = Path(__file__).parents[1] / ".serve"
PEOPLE = ("李敏", "周凯")


def main() -> None:
    wanted = argparse.ArgumentParser(prog="make serve", description=__doc__)
    wanted.add_argument("--folder", type=Path, default=FOLDER)
    wanted.add_argument("--port", type=int, default=8750)
    said = wanted.parse_args()
    server = Server(said.folder / "server", said.port)
    if not (server.data / "patrolbook.db").exists():
        fill(server, said.folder / "机构名册.csv")
    url = f"http://127.0.0.1:{said.port}"
    print(f"The server's data is in {server.data}\n")
    for number, person in enumerate(PEOPLE, start=1):
        code = CODE.search(server.command("devices", "invite", person, "--no-qr"))
        assert code is not None
        home = said.folder / f"tablet-{number}"
        print(f"A tablet for {person}:  {BIN / 'patrolbook'} --home {home} enrol {url} {code.group()}")
    print(
        f"then             {BIN / 'patrolbook'} --home … sync, institutions search, inspect start, status\n", flush=True
    )
    os.environ.update(PATROLBOOK_DATA=str(server.data))
    program = str(BIN / "patrolbook-server")
    os.execv(program, [program, "serve", "--bind", f"127.0.0.1:{said.port}"])


def fill(server: Server, sheet: Path) -> None:
    """A new server with the register and two officers."""
    sheet.parent.mkdir(parents=True, exist_ok=True)
    print("Filling a new server with 7,481 institutions …", flush=True)
    roster.write_csv(sheet)
    server.command("init", "--name", "湖南省教育厅", "--area", "43", "--admin", "王芳")
    server.command("import", str(sheet))
    for name in PEOPLE:
        server.command("people", "add", name, "--role", "officer", "--area", CITY)


if __name__ == "__main__":
    main()
