"""ui: the touch screen."""

from __future__ import annotations

import click

from field_client.platform import browser, guard, serving
from field_client.platform.background import Task
from field_client.platform.desktop import desktop
from field_client.session import Session, command, in_session, option
from schemas.labels import Label


@command(
    "ui",
    label=Label(
        "触摸屏界面：在本机 127.0.0.1 打开，只认随它启动的浏览器",
        "The touch screen: on this device's 127.0.0.1, for the browser that it starts and no other",
    ),
    example="patrolbook ui --kiosk",
)
@option("--port", type=click.IntRange(1, 65535), label=Label("端口（默认 8471，被占用时另选）", "port (8471, or another where that is taken)"))
@option("--kiosk", is_flag=True, label=Label("全屏，没有地址栏", "full screen, without an address bar"))
@option("--no-browser", is_flag=True, label=Label("不打开浏览器，只显示地址", "open no browser, only print the address"))
@option(
    "--keep-window",
    is_flag=True,
    label=Label("已有窗口开着就不再开（崩溃后重启用）", "open none where a window is open still (for starts after a crash)"),
)
@in_session
def ui(session: Session, port: int | None, kiosk: bool, no_browser: bool, keep_window: bool) -> None:
    home = session.settings.home
    profile = home / "browser"

    def show(running: serving.Running) -> None:
        from field_client.ui.guard import start_url

        url = start_url(running.port, running.secret)
        session.terminal.say(Label(f"触摸屏界面：{url}", f"The touch screen: {url}"))
        if keep_window and browser.is_open(profile):
            return
        if not no_browser and not browser.open_page(url, profile, kiosk=kiosk):
            session.terminal.warn(
                Label("没有找到浏览器，请在浏览器中打开上面的地址", "no browser was found: open the address above in one")
            )

    if (already := serving.running(home)) is not None:
        session.terminal.say(Label("界面已在运行", "It is running already"))
        show(already)
        return
    from field_client.ui.app import create_ui  # Flask: only for whoever needs it
    from field_client.ui.guard import Guard
    from field_client.ui.seats import Seats

    with serving.listening(home, port) as (listener, running):
        watch = guard.start if session.settings.guard else None
        seats = Seats(home, session.settings.runtime, desktop(), Task, watch=watch)
        app = create_ui(seats, Guard(running.port, running.secret, home / "ui.browser"))
        show(running)
        try:
            serving.serve(app, listener)
        finally:
            seats.close()
            session.terminal.say(Label("界面已结束", "The touch screen has ended"))
