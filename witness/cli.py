"""The command line of the witness: `patrolbook-witness`. Help is in both languages at once; the rest as `--lang` says."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import Any

import click
import orjson

from schemas.labels import Label, Language
from sync.core.errors import Problem
from sync.core.note import fingerprint, read_vkey, vkey
from witness.book import Book, Watched
from witness.web import serve as serve_book

HOME, LANGUAGE = "PATROLBOOK_WITNESS", "PATROLBOOK_LANG"


def _now() -> int:
    return int(time.time())


def _say(label: Label, language: Language, **style: Any) -> None:
    click.secho(label.text(language), **style)


def _command(group: click.Group, name: str) -> Callable[[Callable[..., None]], click.Command]:
    """Add a command whose function is given the home folder and the language first."""

    def wrap(function: Callable[..., None]) -> click.Command:
        @wraps(function)
        def run(home: Path, lang: Language, **parameters: Any) -> None:
            try:
                function(home.expanduser().resolve(), lang, **parameters)
            except Problem as problem:
                click.secho(problem.text(lang), fg="red", err=True)
                click.echo("→ " + problem.next_step(lang), err=True)
                raise SystemExit(1) from problem

        made = click.command(name, help=function.__doc__)(_HOME(_LANG(run)))
        group.add_command(made)
        return made

    return wrap


_HOME = click.option(
    "--home",
    type=click.Path(path_type=Path, file_okay=False),
    envvar=HOME,
    default="witness",
    show_default=True,
    show_envvar=True,
    help="见证的数据目录 / folder of the witness",
)
_LANG = click.option(
    "--lang", type=click.Choice(["zh", "en"]), envvar=LANGUAGE, default="zh", show_envvar=True,
    help="语言 / language",
)  # fmt: skip


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """巡查助手的见证：为另一单位的日志检查点会签，发现分叉或回退即拒绝。

    A witness for Patrolbook: cosigns the checkpoints of another organisation's log, and refuses a fork or a roll-back.
    """


@main.group("log")
def logs() -> None:
    """所见证的日志 / the logs that are watched"""


@_command(main, "init")
@click.argument("name")
def init(home: Path, lang: Language, name: str) -> None:
    """建立见证：生成密钥和状态文件。名称像网址，例如 jw.example/witness。

    Set up a witness: its key and its state. The name looks like an address.

    \b
    示例 / Example:
        patrolbook-witness init jw.example/witness --home /srv/witness
    """
    book = Book.create(home, name, _now)
    _say(Label(f"已在 {home} 建立见证 {name}", f"The witness {name} is set up in {home}"), lang, fg="green")
    _tell_key(book, lang)
    hint = "把公钥交给被见证的单位，由其根密钥写入信任文件"
    english = "Give the key to the organisation whose log is watched; its root key puts it into the trust file"
    _say(Label(hint, english), lang)


@_command(main, "serve")
@click.option("--bind", default="127.0.0.1:8760", show_default=True, help="地址:端口 / address:port")
def serve(home: Path, lang: Language, bind: str) -> None:
    """启动服务，Ctrl+C 停止。前面应有 TLS 反向代理。

    Serve until Ctrl+C. Put a proxy with TLS in front.

    \b
    示例 / Example:
        patrolbook-witness serve --home /srv/witness --bind 127.0.0.1:8760
    """
    host, _, port = bind.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise click.BadParameter(Label("应写作 地址:端口", "is written ADDRESS:PORT").text(lang), param_hint="--bind")
    book = Book(home, _now)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))

    def ready(address: str) -> None:
        _say(
            Label(f"见证 {book.name} 已启动：{address}", f"The witness {book.name} serves at {address}"),
            lang,
            fg="green",
        )
        sys.stdout.flush()

    serve_book(book, host.strip("[]"), int(port), ready)


@_command(main, "show")
@click.option("--json", "as_json", is_flag=True, help="输出 JSON / print JSON")
def show(home: Path, lang: Language, as_json: bool) -> None:
    """显示公钥、所见证的日志、最近会签的检查点和存疑的提交。

    Show the key, the logs that are watched, what was cosigned last, and submissions that contradict it.

    \b
    示例 / Example:
        patrolbook-witness show --home /srv/witness
    """
    book = Book(home, _now)
    if as_json:
        told = {
            "name": book.name,
            "vkey": vkey(book.verifier),
            "logs": [_as_json(one) for one in book.watched()],
            "restarts": [one._asdict() for one in book.restarts()],
            "doubts": [one._asdict() | {"submission": one.submission.decode()} for one in book.doubts()],
        }
        click.echo(orjson.dumps(told, option=orjson.OPT_INDENT_2).decode())
        return
    _tell_key(book, lang)
    for one in book.watched():
        _tell_log(one, lang)
    for restart in book.restarts():
        when = _when(restart.at)
        said = f"{restart.origin} 于 {when} 重新开始：{restart.reason}"
        _say(Label(said, f"{restart.origin} began anew at {when}: {restart.reason}"), lang, fg="yellow")
    for doubt in book.doubts():
        if doubt.forked:
            when = _when(doubt.at)
            said = f"！{doubt.origin} 在 {when} 提交了矛盾的检查点（分叉）。请保存并报告：show --json"
            english = f"! {doubt.origin} submitted a contradicting checkpoint at {when} (a fork). Keep and report it: show --json"
            _say(Label(said, english), lang, fg="red")


@_command(logs, "add")
@click.argument("key")
def add(home: Path, lang: Language, key: str) -> None:
    """见证一份日志。公钥取自对方的 patrolbook-server witness keys，并应当面核对指纹。

    Watch a log. Its key is what `patrolbook-server witness keys` prints; compare the fingerprint in person.

    \b
    示例 / Example:
        patrolbook-witness log add 'patrolbook/43/1f2e3d4c+530d903a+AbCd…'
    """
    log = read_vkey(key)
    Book(home, _now).add_log(log)
    told = fingerprint(log.public_key)
    _say(Label(f"已加入日志 {log.name}，指纹 {told}", f"Watching {log.name}, fingerprint {told}"), lang, fg="green")


@_command(logs, "restart")
@click.argument("origin")
@click.option("--reason", required=True, help="理由，永久留存 / why; kept for good")
def restart(home: Path, lang: Language, origin: str, reason: str) -> None:
    """对方从备份恢复后日志变短，本见证会一直拒绝。当面查明原因后，用此命令允许日志重新开始；此事永久留存。

    After the other side was put back from a backup its log is shorter and this witness refuses it for ever. Once you
    know why, let it begin anew; that is kept for good.

    \b
    示例 / Example:
        patrolbook-witness log restart patrolbook/43/1f2e3d4c --reason '硬盘损坏，从 11 月 22 日备份恢复'
    """
    Book(home, _now).restart(origin, reason)
    _say(Label(f"{origin} 可以重新开始，已记录", f"{origin} may begin anew; this was kept"), lang, fg="yellow")


def _tell_key(book: Book, lang: Language) -> None:
    _say(Label(f"见证 {book.name}", f"Witness {book.name}"), lang, bold=True)
    _say(Label(f"公钥：{vkey(book.verifier)}", f"Key: {vkey(book.verifier)}"), lang)
    told = fingerprint(book.verifier.public_key)
    _say(Label(f"指纹：{told}", f"Fingerprint: {told}"), lang)


def _tell_log(one: Watched, lang: Language) -> None:
    if one.newest is None:
        _say(Label(f"{one.origin}：还没有会签过", f"{one.origin}: nothing cosigned yet"), lang)
        return
    size, when = one.newest.size, _when(one.at or 0)
    _say(Label(f"{one.origin}：大小 {size}，{when} 会签", f"{one.origin}: size {size}, cosigned {when}"), lang)
    if one.doubts:
        count = one.doubts
        _say(Label(f"  {count} 次提交没有证明延续", f"  {count} submissions did not prove that they extend it"), lang)


def _as_json(one: Watched) -> dict[str, Any]:
    newest = one.newest
    return {
        "origin": one.origin,
        "keys": [vkey(key) for key in one.keys],
        "size": newest.size if newest else None,
        "root": newest.root.hex() if newest else None,
        "at": one.at,
        "doubts": one.doubts,
        "forks": one.forks,
    }


def _when(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).astimezone().strftime("%Y-%m-%d %H:%M")
