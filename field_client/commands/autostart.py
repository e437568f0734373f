"""autostart: the screens begin with the session."""

from __future__ import annotations

import os
from pathlib import Path

import click
import platformdirs

from field_client.config import HOME
from field_client.platform import autostart as files
from field_client.session import Session, command, in_session, option
from schemas.labels import Label


@command(
    "autostart",
    label=Label(
        "登录后自动打开触摸屏界面，并放一个图标；--remove 撤掉",
        "Open the touch screen with the session, and put an icon in the menu; --remove takes both away",
    ),
    example="patrolbook autostart\npatrolbook autostart --print --for windows",
)
@option("--print", "only_print", is_flag=True, label=Label("只显示要写的文件", "only print the files"))
@option("--remove", is_flag=True, label=Label("撤掉写过的文件", "take the files away"))
@option("--for", "system", type=click.Choice(files.SYSTEMS), label=Label("哪种系统（默认本机；与 --print 同用）", "which system (this one; with --print)"))
@in_session
def autostart(session: Session, only_print: bool, remove: bool, system: files.System | None) -> None:
    if system is not None and not only_print:
        raise click.UsageError(session.terminal.text(Label("--for 只与 --print 同用", "--for goes with --print")))
    usual = platformdirs.user_data_path("patrolbook", appauthor=False)
    elsewhere = ["--home", str(session.settings.home)] if session.settings.home != usual or HOME in os.environ else []
    program = [*files.this_program(), "ui", "--kiosk", *elsewhere]
    made = files.files(system or files.this_system(), program, str(Path.home()), os.environ)
    say = session.terminal.say
    if only_print:
        for file in made:
            say(f"# {file.path}")
            say(file.text)
        return
    if remove:
        for path in files.remove(made):
            say(Label(f"已撤掉 {path}", f"Removed {path}"))
        return
    files.write(made)
    for file in made:
        say(Label(f"已写入 {file.path}", f"Written: {file.path}"))
    say(Label("下次登录时自动打开；现在就要：在菜单里点“巡查簿”", "It opens with the next session; for now tap Patrolbook in the menu"), fg="green")
