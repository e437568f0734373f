"""Who may sign in at the console: accounts are opened, reset and closed here, and sessions ended."""

from __future__ import annotations

import click

from schemas.labels import Label
from server.access import accounts
from server.access.rights import ROLES
from server.cli.frame import Group, Run, as_json, by, command, main, option
from server.storage import accounts as rows
from server.storage import people

ACCOUNTS = Group("accounts", about=Label("控制台账号", "Accounts of the console"))
main.add_command(ACCOUNTS)

_HOURS = accounts.CODE_MS // 3_600_000


@command(
    ACCOUNTS,
    "add",
    Label(
        "为已登记的人员开通控制台账号；一次性代码只显示这一次，本人用它设置密码。",
        "Open an account for a person who is registered; the one-time code, shown only now, sets the password.",
    ),
    "patrolbook-server accounts add 王芳 --login wangfang --phone 13800138000",
)
@click.argument("person")
@option("--login", about=Label("登录名，默认为姓名", "Sign-in name; the person's name if left out"))
@option("--phone", about=Label("手机号，也可用来登录", "Mobile number, also good for signing in"))
@by
def add(run: Run, person: str, login: str | None, phone: str | None, by: str | None) -> None:
    who, actor = run.person(person), run.person(by)
    code = accounts.open_account(run.house, who, login or who.name, phone, actor.id)
    _tell(run, who.name, code)


@command(
    ACCOUNTS,
    "list",
    Label("列出账号。", "List the accounts."),
    "patrolbook-server accounts list",
)
@as_json
def list_accounts(run: Run, as_json: bool) -> None:
    with run.house.database.read() as conn:
        found = [(one, name, people.person(conn, one.person)) for one, name in rows.every(conn)]
        signed = {one.person: len(rows.sessions_of(conn, one.person)) for one, _, _ in found}
    if as_json:
        run.json([
            {"person": one.person, "name": name, "login": one.login, "phone": one.phone, "second_step": one.totp is not None,
             "password_set": one.password is not None, "opened": one.opened, "changed": one.changed, "closed": one.closed,
             "sessions": signed[one.person]}
            for one, name, _ in found
        ])  # fmt: skip
        return
    columns = (
        Label("姓名", "name"), Label("角色", "role"), Label("登录名", "sign-in name"), Label("手机号", "mobile"),
        Label("状态", "state"), Label("两步验证", "second step"), Label("已登录", "sessions"), Label("密码更改", "password changed"),
    )  # fmt: skip
    run.table(
        columns,
        [
            (name, run.text(ROLES[who.role]) if who else "", one.login, one.phone, run.text(_state(one)),
             run.text(_YES if one.totp is not None else _NO), signed[one.person] or "", run.when(one.changed))
            for one, name, who in found
        ],
    )  # fmt: skip


@command(
    ACCOUNTS,
    "reset",
    Label(
        "忘记密码：发新的一次性代码，结束所有登录；--second 连两步验证一起取消（手机丢失时）。也用来重新启用已停用的账号。",
        "A new one-time code for somebody who forgot the password; all sessions end. --second: the phone is gone as well. "
        "Also opens an account again that was closed.",
    ),
    "patrolbook-server accounts reset 王芳",
)
@click.argument("person")
@option("--second", is_flag=True, about=Label("同时取消两步验证", "Switch off the second step as well"))
@by
def reset(run: Run, person: str, second: bool, by: str | None) -> None:
    who, actor = run.person(person), run.person(by)
    _tell(run, who.name, accounts.reset(run.house, who.id, actor.id, second_too=second))


@command(
    ACCOUNTS,
    "close",
    Label(
        "停用账号并结束其所有登录；记录不受影响。",
        "Close an account and end its sessions; what was done under it stays.",
    ),
    "patrolbook-server accounts close 王芳",
)
@click.argument("person")
@by
def close(run: Run, person: str, by: str | None) -> None:
    who, actor = run.person(person), run.person(by)
    accounts.close(run.house, who.id, actor.id)
    run.say(Label(f"已停用 {who.name} 的账号", f"Closed the account of {who.name}"))


@command(
    ACCOUNTS,
    "end-sessions",
    Label("结束某人的所有登录。", "End all sessions of a person."),
    "patrolbook-server accounts end-sessions 王芳",
)
@click.argument("person")
@by
def end_sessions(run: Run, person: str, by: str | None) -> None:
    who, actor = run.person(person), run.person(by)
    count = accounts.end_sessions(run.house, who.id, actor.id)
    run.say(Label(f"已结束 {who.name} 的 {count} 个登录", f"Ended {count} sessions of {who.name}"))


def _tell(run: Run, name: str, code: str) -> None:
    run.say(Label(f"{name} 的一次性代码：", f"One-time code for {name}:"))
    run.say(Label(f"    {code}", f"    {code}"), "bold")
    run.say(
        Label(
            f"{_HOURS} 小时内有效，只能用一次；请本人在控制台登录页选“第一次登录”。",
            f"Good for {_HOURS} hours, once; it is for the sign-in page of the console, “Signing in for the first time”.",
        )
    )


_YES, _NO = Label("是", "yes"), Label("否", "no")


def _state(one: rows.Account) -> Label:
    if one.closed is not None:
        return Label("已停用", "closed")
    return Label("可登录", "open") if one.password is not None else Label("待设密码", "password not set")
