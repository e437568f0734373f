"""Looking after a server: backup, restore, verify, rebuild, tidy."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

import click

from schemas.labels import Label
from server import keys, verify
from server.cli.frame import Run, command, main, option
from server.evidence import openings
from server.exchange import uploads
from server.instance import new_epoch
from server.reading.searching import Searcher
from server.serve import alone
from server.storage import migrations, states
from server.storage.backup import back_up
from server.storage.backup import restore as put_back
from sync.core.errors import NotReady

REMOVALS_KEPT_MS = 180 * 86_400_000
"""A tablet that was offline for longer fills its buckets again instead of being told what left them."""


@command(
    main,
    "backup",
    Label(
        "备份到一个空目录；服务可继续运行。密钥默认不含在内，应另行封存。",
        "Back up into an empty folder while the server runs. Keys are left out: keep them elsewhere.",
    ),
    "patrolbook-server backup /mnt/backup/2026-11-22",
)
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@option(
    "--with-keys",
    is_flag=True,
    about=Label("连同密钥（谁拿到谁就能冒充服务器）", "With the keys (whoever has them can pose as the server)"),
)
def backup(run: Run, folder: Path, with_keys: bool) -> None:
    _ = run.house  # raises NotReady where there is nothing to back up
    with run.progress() as bar:
        task = bar.add_task(run.text(Label("文件", "Blobs")), total=None)
        made = back_up(
            run.settings.data,
            folder,
            with_keys=with_keys,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    size = f"{made.size / (1 << 20):.1f} MiB"
    told = Label(
        f"已备份到 {folder}：{made.blobs} 个文件，{size}", f"Backed up to {folder}: {made.blobs} blobs, {size}"
    )
    run.say(told, "bold green")
    run.say(Label(f"数据库 SHA-256：{made.database}", f"SHA-256 of the database: {made.database}"))


@command(
    main,
    "restore",
    Label(
        "用备份替换数据库。先停止服务；原有数据移到旁边，不删除。之后平板会重新提交它们保留的变更。",
        "Put a backup in place of the database. Stop the server first; what was there is moved aside, not deleted. "
        "Tablets then offer again what they kept.",
    ),
    "patrolbook-server restore /mnt/backup/2026-11-22 --yes",
)
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False, exists=True))
@option("--yes", is_flag=True, about=Label("不再询问", "Do not ask"))
def restore(run: Run, folder: Path, yes: bool) -> None:
    if not yes:
        data = run.settings.data
        asked = Label(f"用 {folder} 替换 {data} 的数据库？", f"Replace the database in {data} by {folder}?")
        click.confirm(run.text(asked), abort=True)
    if not any((place / keys.FILE).exists() for place in (run.settings.keys, folder / "keys")):
        detail = Label(
            f"{run.settings.keys} 和备份中都没有密钥", f"neither {run.settings.keys} nor the backup has keys"
        )
        raise NotReady(action=Label("恢复", "restore"), detail=detail)
    with alone(run.settings):
        with run.progress() as bar:
            task = bar.add_task(run.text(Label("文件", "Blobs")), total=None)
            put_back(
                folder,
                run.settings.data,
                progress=lambda done, total: bar.update(task, completed=done, total=total),
                before_replacing=lambda: _begin_anew(run),
            )
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(run.settings.snapshots)
        migrations.upgrade(run.house.database)
        with run.house.database.write() as conn:
            run.house.projections.rebuild(conn)
    epoch = run.house.epoch
    run.say(Label(f"已恢复，新的 epoch：{epoch}", f"Restored; the new epoch is {epoch}"), "bold green")
    run.say(Label("接下来：patrolbook-server verify，然后 serve", "Next: patrolbook-server verify, then serve"))


@command(
    main,
    "verify",
    Label(
        "核查一切：校验值、签名链、日志树、文件、合并结果与列表。发现问题时状态码为 1。",
        "Check everything: hashes, chains, signatures, the log's tree, blobs, merged records, lists. Status 1 if "
        "anything is wrong.",
    ),
    "patrolbook-server verify --data /srv/patrolbook",
)
def check(run: Run) -> None:
    with run.progress() as bar:
        tasks = {name: bar.add_task(run.text(label), total=None) for name, label in verify.NAMES.items()}
        verdict = verify.verify(run.house, lambda name, count: bar.update(tasks[name], completed=count))
    rows = [
        (run.text(verify.NAMES[name]), count, sum(one.check == name for one in verdict.findings))
        for name, count in verdict.counts.items()
    ]
    run.table([Label("检查", "check"), Label("数量", "looked at"), Label("问题", "wrong")], rows)
    for one in verdict.findings:
        told = f"{run.text(verify.NAMES[one.check])}  {one.subject}  {run.text(one.detail)}"
        run.say(Label(told, told), "red")
    if verdict.findings:
        run.say(
            Label(
                "→ 不要删除任何文件；列表问题可 rebuild，其余请从备份恢复",
                "→ Delete nothing; rebuild repairs lists, for anything else restore a backup",
            )
        )
        raise SystemExit(1)
    run.say(Label("一切相符", "Everything agrees"), "bold green")


@command(
    main,
    "rebuild",
    Label(
        "由日志重新生成列表和全文索引（升级后或 verify 提示时）。",
        "Make the lists and the index of texts again from the records (after an update, or when verify says so).",
    ),
    "patrolbook-server rebuild",
)
def rebuild(run: Run) -> None:
    house = run.house
    if migrations.pending(house.database):
        migrations.upgrade(house.database)
    with house.database.write() as conn:
        count = house.projections.rebuild(conn)
    with run.progress() as bar:
        task = bar.add_task(run.text(Label("全文索引", "Index of texts")), total=None)
        Searcher(house).rebuild(lambda done, total: bar.update(task, completed=done, total=total))
    run.say(Label(f"已重新生成 {count} 条", f"Made {count} rows again"), "bold green")


@command(
    main,
    "tidy",
    Label(
        "每日整理：清除 30 天未继续的上传（有记录提到的除外）和旧的移除通知，结束已停止的查阅。",
        "Daily tidying: drop uploads that rested for 30 days (unless a record names them) and old removals, and close "
        "viewings that are over.",
    ),
    "patrolbook-server tidy",
)
def tidy(run: Run) -> None:
    house = run.house
    dropped = uploads.expire(house.depot(""), house.now())
    with house.database.write() as conn:
        removals = states.forget_removals(conn, house.now() - REMOVALS_KEPT_MS)
        while openings.close(conn, house.now()):
            pass
    run.say(
        Label(
            f"清除上传 {len(dropped)} 个，移除通知 {removals} 条",
            f"Dropped {len(dropped)} uploads and {removals} removals",
        )
    )


def _begin_anew(run: Run) -> None:
    """A new epoch, and a new replica for the server itself: its own numbering goes back as well."""
    keys.renew_replica(run.settings.keys)
    new_epoch(run.settings.epoch_file)
