"""What every command shares: where the data is, which language, how a problem is told, how `--help` is written.

Commands are functions that take a `Run` first. Texts are `Label`s; what is shown is Chinese unless `--lang en` or
`PATROLBOOK_LANG=en` asks for English. A problem is told with its next step and ends with status 1; a wrong command line
ends with status 2.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import click
import orjson
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from schemas.labels import Label, Language
from server import config
from server.access import rights
from server.config import Settings
from server.instance import Instance, open_instance
from server.storage import people
from server.storage.people import Person
from sync.core.errors import NotAllowed, Problem
from sync.core.rules import Rights

WIDE = 200
"""Columns where the output is no terminal: a table in a file must not be folded."""


@dataclass
class Run:
    """One run of a command."""

    settings: Settings
    language: Language
    console: Console = field(default_factory=lambda: Console(width=None if sys.stdout.isatty() else WIDE))

    @cached_property
    def house(self) -> Instance:
        """The server in the data folder; raises NotReady where there is none."""
        return open_instance(self.settings)

    def text(self, label: Label) -> str:
        return label.text(self.language)

    def say(self, label: Label, style: str = "") -> None:
        """A line for the person."""
        self.console.print(escape(self.text(label)), style=style, highlight=False, soft_wrap=True)

    def table(self, columns: Sequence[Label], rows: Iterable[Sequence[Any]]) -> None:
        """Rows under headings; ids stay whole."""
        made = Table(*(escape(self.text(one)) for one in columns), box=None, pad_edge=False, header_style="bold")
        count = 0
        for row in rows:
            made.add_row(*(escape("" if cell is None else str(cell)) for cell in row))
            count += 1
        if count:
            self.console.print(made)
        else:
            self.say(Label("（没有）", "(none)"), "dim")

    def outcomes(self, found: Iterable[tuple[Label, Problem | None]]) -> None:
        """What became of each thing that was asked elsewhere, with the next step where it went wrong; then the program ends with 1."""
        failed = False
        for told, problem in found:
            self.say(told, "green" if problem is None else "red")
            if problem is not None:
                failed = True
                self.say(Label("→ " + problem.next_step("zh"), "→ " + problem.next_step("en")))
        if failed:
            raise SystemExit(1)

    def attested(self, by: Label, reached: Label, rows: Sequence[tuple[str, int, str, int, int | None]]) -> None:
        """How far somebody else attests each log: (log, its size, by whom, up to which size, when)."""
        columns = (Label("日志", "Log"), Label("大小", "Size"), by, reached, Label("时间", "When"))
        self.table(columns, [(*row[:4], self.when(row[4])) for row in rows])

    def json(self, value: Any) -> None:
        """For programs: one JSON document."""
        click.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS, default=str).decode())

    def when(self, ms: int | None) -> str:
        """A server time in local time."""
        return "" if ms is None else datetime.fromtimestamp(ms / 1000, UTC).astimezone().strftime("%Y-%m-%d %H:%M")

    def progress(self) -> Progress:
        """A bar on the terminal, nothing in a file."""
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        return Progress(*columns, console=self.console, transient=True, disable=not sys.stdout.isatty())

    def person(self, text: str | None) -> Person:
        """Who gives this command: the person named, or the only administrator. Raises NotAllowed where unclear."""
        with self.house.database.read() as conn:
            if text is not None:
                return rights.the_person(conn, text)
            admins = [one for one in people.everybody(conn) if one.role == "admin"]
        if len(admins) != 1:
            raise NotAllowed(detail=Label("请用 --by 写明由谁操作", "say with --by who is doing this"))
        return admins[0]

    def reading(self, by: str | None) -> Rights:
        """What the person who is named may see; of nobody, where none is: enough for all that is behind no wall."""
        return self.rights_of(self.person(by)) if by is not None else Rights("", ())

    def ask(self, passphrase: str | None, confirm: bool = False) -> str:
        """The passphrase of a key's file: as it was given, or typed in now."""
        if passphrase:
            return passphrase
        asked = self.text(Label("密钥文件的口令", "Passphrase of the key's file"))
        return str(click.prompt(asked, hide_input=True, confirmation_prompt=confirm))

    def rights_of(self, person: Person) -> Rights:
        """What the person may do now."""
        with self.house.database.read() as conn:
            return rights.rights_of(people.grants_of(conn, person.id), person.role, self.house.now())


# --- Help in two languages --------------------------------------------------------------------------------------


def language_in(ctx: click.Context) -> Language:
    """The language of a help page. `--help` is looked at before other options have values, hence the environment."""
    asked = ctx.params.get("lang") or os.environ.get(config.LANGUAGE)
    return "en" if asked == "en" else "zh"


class Command(click.Command):
    """A command whose help is a Label, with an example below."""

    def __init__(self, *args: Any, about: Label, example: str, **kw: Any) -> None:
        super().__init__(*args, **kw)
        self.about, self.example = about, example

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        language = language_in(ctx)
        formatter.write_paragraph()
        with formatter.indentation():
            formatter.write_text(self.about.text(language))
        with formatter.section("Example" if language == "en" else "示例"), formatter.indentation():
            for line in self.example.strip().splitlines():
                formatter.write(f"{'':>{formatter.current_indent}}{line.strip()}\n")

    def get_short_help_str(self, limit: int = 45) -> str:
        ctx = click.get_current_context(silent=True)
        return self.about.text(language_in(ctx) if ctx else "zh").split("\n")[0]


class Group(click.Group):
    """A group of commands whose help is a Label."""

    def __init__(self, *args: Any, about: Label, **kw: Any) -> None:
        super().__init__(*args, **kw)
        self.about = about

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write_paragraph()
        with formatter.indentation():
            formatter.write_text(self.about.text(language_in(ctx)))

    def get_short_help_str(self, limit: int = 45) -> str:
        ctx = click.get_current_context(silent=True)
        return self.about.text(language_in(ctx) if ctx else "zh")


class Option(click.Option):
    """An option whose help is a Label."""

    def __init__(self, *args: Any, about: Label, **kw: Any) -> None:
        super().__init__(*args, **kw)
        self.about = about

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        self.help = self.about.text(language_in(ctx))
        return super().get_help_record(ctx)


def option(*names: str, about: Label, **kw: Any) -> Callable[[Any], Any]:
    """`click.option` with a Label for its help."""
    return click.option(*names, cls=Option, about=about, **kw)


def command(group: click.Group, name: str, about: Label, example: str) -> Callable[[Callable[..., Any]], click.Command]:
    """Add a command to a group. The function is given a `Run` and then the command's own parameters."""

    def wrap(function: Callable[..., Any]) -> click.Command:
        @functools.wraps(function)
        def run(data: Path, lang: Language, **parameters: Any) -> None:
            made = Run(Settings(data.expanduser().resolve()), lang)
            try:
                function(made, **parameters)
            except Problem as problem:
                tell(problem, lang)
                raise SystemExit(1) from problem

        for decorate in (_DATA, _LANG):
            run = decorate(run)
        made = click.command(name, cls=Command, about=about, example=example)(run)
        group.add_command(made)
        return made

    return wrap


def tell(problem: Problem, language: Language) -> None:
    """A problem as a person reads it: what, and what to do next."""
    console = Console(stderr=True, width=None if sys.stderr.isatty() else WIDE)
    console.print(escape(problem.text(language)), style="bold red", highlight=False, soft_wrap=True)
    console.print("→ " + escape(problem.next_step(language)), highlight=False, soft_wrap=True)


_DATA = option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    envvar=config.DATA,
    default="data",
    show_default=True,
    show_envvar=True,
    about=Label("服务器数据目录", "Folder of the server's data"),
)
_LANG = option(
    "--lang",
    type=click.Choice(["zh", "en"]),
    envvar=config.LANGUAGE,
    default="zh",
    is_eager=True,
    show_envvar=True,
    about=Label("语言：zh 中文，en 英文", "Language: zh Chinese, en English"),
)

by = option(
    "--by",
    metavar="PERSON",
    about=Label(
        "由谁操作（姓名或编号），默认为唯一的管理员", "Who does it (name or id); the only administrator if left out"
    ),
)
reason = option("--reason", required=True, about=Label("理由，永久留存", "The reason; kept for good"))
passphrase = option(
    "--passphrase",
    envvar="PATROLBOOK_PASSPHRASE",
    show_envvar=True,
    about=Label("密钥文件的口令；不写则询问", "Passphrase of the key's file; asked for if left out"),
)
as_json = option("--json", "as_json", is_flag=True, about=Label("输出 JSON", "Print JSON"))


def _version() -> str:
    try:
        return version("patrolbook")
    except PackageNotFoundError:
        return "0"


main = Group(
    "patrolbook-server",
    about=Label(
        "巡查助手服务器：接收平板的变更与证据，合并、核对、导出。",
        "The Patrolbook server: takes changes and evidence from tablets; merges, checks, exports.",
    ),
    context_settings={"help_option_names": ["-h", "--help"]},
)
click.version_option(_version(), prog_name="patrolbook-server")(main)
