"""How the command line speaks: one language at a time, help with an example, problems with a next step.

`Command`, `Group` and `Option` are click's with labels instead of texts: help and complaints come in the language
of the person. `Terminal` prints: tables and progress bars on a screen, plain lines into a file or a pipe.
"""

from __future__ import annotations

import contextlib
import errno
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import click

from schemas.labels import Label, Language
from sync.core.errors import DiskFull, Problem, Refused

Told = Callable[[Label, int, int], None]
"""Called with a phase, how much of it is done, and of how much; 0 where nobody knows."""


class Terminal:
    """Where the program speaks. `language` may still change while the arguments are read."""

    def __init__(self, language: Language = "zh") -> None:
        self.language: Language = language

    @property
    def is_screen(self) -> bool:
        return sys.stdout.isatty()

    @property
    def interactive(self) -> bool:
        """Whether there is a person to ask."""
        return sys.stdin.isatty() and self.is_screen

    def text(self, words: Label | str) -> str:
        return words.text(self.language) if isinstance(words, Label) else words

    def say(self, words: Label | str = "", **style: Any) -> None:
        click.secho(self.text(words), **style)

    def warn(self, words: Label | str) -> None:
        """To standard error: an answer on standard output stays what a script can read."""
        click.secho(self.text(words), err=True, fg="yellow")

    def table(self, columns: Sequence[Label | str], rows: Iterable[Sequence[Label | str]]) -> None:
        """Aligned columns on a screen, tab-separated lines without a head elsewhere."""
        told = [[self.text(cell) for cell in row] for row in rows]
        if not self.is_screen:
            for row in told:
                self.say("\t".join(cell.replace("\t", " ").replace("\n", " ") for cell in row))
            return
        import rich.box
        import rich.console
        import rich.table
        import rich.text

        # Text and not markup: people write brackets.
        table = rich.table.Table(box=rich.box.SIMPLE_HEAD, pad_edge=False)
        for column in columns:
            table.add_column(rich.text.Text(self.text(column)), overflow="fold")
        for row in told:
            table.add_row(*map(rich.text.Text, row))
        rich.console.Console(highlight=False).print(table)

    @contextlib.contextmanager
    def progress(self) -> Iterator[Told]:
        """Tell how far something is: a bar for each phase on a screen, a line when a phase begins elsewhere."""
        if not self.is_screen:
            yield self._lines()
            return
        import rich.progress

        seen: dict[Label, rich.progress.TaskID] = {}
        columns = (
            rich.progress.TextColumn("{task.description}", markup=False),
            rich.progress.BarColumn(),
            rich.progress.MofNCompleteColumn(),
            rich.progress.TimeElapsedColumn(),
        )
        with rich.progress.Progress(*columns, transient=True) as bars:

            def bar(phase: Label, done: int, total: int) -> None:
                if phase not in seen:
                    seen[phase] = bars.add_task(self.text(phase), total=None)
                bars.update(seen[phase], completed=done, total=total or None)

            yield bar

    def _lines(self) -> Told:
        seen: set[Label] = set()

        def line(phase: Label, done: int, total: int) -> None:
            if phase not in seen:
                seen.add(phase)
                click.echo(self.text(Label(f"{phase.zh}……", f"{phase.en} …")), err=True)

        return line

    def ask(self, words: Label, hidden: bool = False, confirm: bool = False, default: str | None = None) -> str:
        """Ask a person. Raises Refused where there is none."""
        if not self.interactive:
            raise Refused(detail=Label("这里没有人可以回答", "there is nobody here to answer"))
        answer = click.prompt(
            self.text(words),
            hide_input=hidden,
            confirmation_prompt=self.text(Label("请再输入一次", "Once more")) if confirm else False,
            default=default,
            show_default=bool(default),
        )
        return str(answer)


def terminal_of(context: click.Context) -> Terminal:
    """The terminal of a running command; `obj` of the root command is something that has one."""
    terminal = getattr(context.find_root().obj, "terminal", None)
    return terminal if isinstance(terminal, Terminal) else Terminal()


# --- click with labels -----------------------------------------------------------------------------------------------

USAGE = Label("用法：", "Usage: ")
OPTIONS = Label("选项", "Options")
COMMANDS = Label("命令", "Commands")
EXAMPLE = Label("例", "Example")
HELP = Label("显示帮助", "Show this help")
PIECES = {
    "[OPTIONS]": Label("[选项]", "[OPTIONS]"),
    "COMMAND [ARGS]...": Label("命令 [参数]...", "COMMAND [ARGS]..."),
}


class WrongUse(click.UsageError):
    """A usage error in the person's language."""

    def __init__(self, words: Label, context: click.Context | None) -> None:
        super().__init__(words.en, context)
        self.words = words

    def show(self, file: Any = None) -> None:
        terminal = terminal_of(self.ctx) if self.ctx else Terminal()
        click.secho(terminal.text(self.words), err=True, fg="red")
        if self.ctx:
            path = self.ctx.command_path
            click.echo(terminal.text(Label(f"用法见：{path} --help", f"See: {path} --help")), err=True)


class Option(click.Option):
    """An option with a label."""

    def __init__(self, *args: Any, label: Label, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.label = label

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        self.help = terminal_of(ctx).text(self.label)
        return super().get_help_record(ctx)


class _Labelled(click.Command):
    """What commands and groups have in common: a label, an example, and complaints in both languages."""

    def __init__(self, *args: Any, label: Label, example: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.label = label
        self.example = example

    def get_short_help_str(self, limit: int = 45) -> str:
        context = click.get_current_context(silent=True)
        return (terminal_of(context) if context else Terminal()).text(self.label)

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        option = super().get_help_option(ctx)
        if option is not None:
            option.help = terminal_of(ctx).text(HELP)
        return option

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        pieces = [terminal_of(ctx).text(PIECES.get(piece, piece)) for piece in self.collect_usage_pieces(ctx)]
        formatter.write_usage(ctx.command_path, " ".join(pieces), prefix=terminal_of(ctx).text(USAGE))

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write_paragraph()
        with formatter.indentation():
            formatter.write_text(terminal_of(ctx).text(self.label))

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        options = [one for one in self.get_params(ctx) if isinstance(one, click.Option)]
        records = [record for one in options if (record := one.get_help_record(ctx)) is not None]
        with formatter.section(terminal_of(ctx).text(OPTIONS)):
            formatter.write_dl(records)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        if self.example:
            with formatter.section(terminal_of(ctx).text(EXAMPLE)):
                formatter.write_text(self.example)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except WrongUse:
            raise
        except click.UsageError as error:
            raise WrongUse(_complaint(error), error.ctx or ctx) from error


class Command(_Labelled):
    """A command with a label and an example."""


class Group(_Labelled, click.Group):
    """Commands under one name; turns a problem inside any of them into a message and exit status 1."""

    command_class = Command
    group_class = type

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_options(ctx, formatter)
        named = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section(terminal_of(ctx).text(COMMANDS)):
            formatter.write_dl([(name, command.get_short_help_str()) for name, command in named if command])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            raise WrongUse(Label(f"没有命令 {args[0]}", f"there is no command {args[0]}"), ctx) from error

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except Problem as problem:
            complain(terminal_of(ctx), problem)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            complain(terminal_of(ctx), DiskFull(where=error.filename or Label("磁盘", "the disk")))
        ctx.exit(1)


def complain(terminal: Terminal, problem: Problem) -> None:
    """Say what went wrong and what to do next."""
    click.secho(problem.text(terminal.language), err=True, fg="red")
    click.echo(problem.next_step(terminal.language), err=True)


def _complaint(error: click.UsageError) -> Label:
    match error:
        case click.MissingParameter():
            name = _name_of(error)
            return Label(f"缺少 {name}", f"{name} is missing")
        case click.NoSuchOption():
            return Label(f"没有选项 {error.option_name}", f"there is no option {error.option_name}")
        case click.BadParameter():
            name = _name_of(error)
            return Label(f"{name} 不对：{error.message}", f"{name} is not right: {error.message}")
        case _:
            return Label(f"用法不对：{error.format_message()}", error.format_message())


def _name_of(error: click.BadParameter) -> str:
    hint = error.param_hint
    if hint is None and error.param is not None:
        hint = error.param.get_error_hint(error.ctx)
    return " / ".join(hint) if isinstance(hint, (list, tuple)) else str(hint or "")
