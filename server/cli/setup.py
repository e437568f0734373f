"""Setting a server up and running it: init, serve."""

from __future__ import annotations

from pathlib import Path

import click

from schemas.labels import Label
from schemas.shipped import library
from server.cli.frame import Run, command, main, option
from server.founding import found
from server.serve import Listening
from server.serve import serve as serve_app


@command(
    main,
    "init",
    Label(
        "建立新的服务器：密钥、数据库、第一位管理员和随附的检查清单草案。",
        "Set up a new server: keys, database, the first administrator and the shipped draft checklist.",
    ),
    "patrolbook-server init --data /srv/patrolbook --name 长沙市天心区教育局 --area 430103 --admin 王芳",
)
@option("--name", required=True, about=Label("单位名称", "Name of the authority"))
@option("--area", required=True, about=Label("行政区划代码", "Its division code"))
@option("--admin", required=True, about=Label("第一位管理员的姓名", "Name of the first administrator"))
@option("--origin", about=Label("日志名称（默认按区划生成）", "Name of the log (made from the area if left out)"))
def init(run: Run, name: str, area: str, admin: str, origin: str | None) -> None:
    house, person = found(run.settings, name, area, admin, origin)
    run.say(Label(f"已在 {run.settings.data} 建立服务器", f"A server is set up in {run.settings.data}"), "bold green")
    run.say(Label(f"日志：{house.keys.open.origin}", f"Log: {house.keys.open.origin}"))
    run.say(Label(f"公钥指纹：{house.keys.open.fingerprint}", f"Fingerprint of its key: {house.keys.open.fingerprint}"))
    run.say(Label(f"管理员：{admin}（{person.id}）", f"Administrator: {admin} ({person.id})"))
    run.say(library().notice, "yellow")
    run.say(
        Label(
            "接下来：patrolbook-server serve，people add，devices invite，import",
            "Next: patrolbook-server serve, people add, devices invite, import",
        )
    )


@command(
    main,
    "serve",
    Label(
        "启动服务，按 Ctrl+C 或发送 SIGTERM 停止；进行中的请求会先完成。",
        "Serve until Ctrl+C or SIGTERM; requests under way are finished first.",
    ),
    "patrolbook-server serve --data /srv/patrolbook --bind 0.0.0.0:8750 --workers 2",
)
@option(
    "--bind",
    default="127.0.0.1:8750",
    show_default=True,
    about=Label("地址:端口，或 unix:路径", "address:port, or unix:path"),
)
@option("--workers", type=click.IntRange(1, 64), default=2, show_default=True, about=Label("进程数", "Processes"))
@option(
    "--threads",
    type=click.IntRange(1, 256),
    default=8,
    show_default=True,
    about=Label("每个进程的线程数", "Threads of each process"),
)
@option(
    "--pid-file", type=click.Path(path_type=Path, dir_okay=False), about=Label("进程号文件", "File for the process id")
)
@option(
    "--certificate",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    about=Label("TLS 证书（PEM）", "TLS certificate (PEM)"),
)
@option(
    "--key",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    about=Label("TLS 私钥（PEM）", "TLS private key (PEM)"),
)
def serve(
    run: Run, bind: str, workers: int, threads: int, pid_file: Path | None, certificate: Path | None, key: Path | None
) -> None:
    if (certificate is None) != (key is None):
        raise click.UsageError(
            run.text(Label("--certificate 和 --key 应同时给出", "--certificate and --key go together"))
        )

    def ready(addresses: list[str]) -> None:
        where = "  ".join(addresses)
        run.say(Label(f"服务已启动：{where}", f"Serving at {where}"), "bold green")

    serve_app(run.settings, Listening(bind, workers, threads, pid_file, certificate, key), ready)
