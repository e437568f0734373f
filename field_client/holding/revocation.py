"""What a tablet does when its server has revoked it: hand in, then destroy its keys, and say so to the person.

    revoked.json   the act that says so, proved against the pinned log, and how far this tablet is

    handing-in     shows and writes nothing for anybody; each `sync` sends what was not sent, and it arrives parked
    clearing       the keys are being destroyed
    cleared        no key is left here. What the server holds is removed; what it has not acknowledged stays, encrypted,
                   and only the province can open it (`recovery.py`)

Nobody without the log's key can make a tablet do this. A program that is killed anywhere goes on where it was: each stage
is noted before it begins, and destroying twice changes nothing. Where nobody could recover the keys they are not
destroyed while something is not handed in.
"""

from __future__ import annotations

import contextlib
import json
from base64 import b64decode
from pathlib import Path
from typing import Literal, NamedTuple

from field_client.evidence import dropbox, tidying
from field_client.evidence.retention import HOUR_MS
from field_client.holding import officers, recovery
from field_client.platform.files import destroy_file, replace_file
from field_client.platform.keys import Vault
from field_client.tablet import Tablet
from schemas.labels import Label
from sync.core import receipts
from sync.core.errors import DeviceRevoked, KeysDestroyed, LogInconsistent, Problem
from sync.core.note import Verifier
from sync.peer import LogKey

FILE = "revoked.json"
PATIENCE_MS = 24 * HOUR_MS
"""So long rounds try to hand in; then the keys go, and the province has to bring back the rest."""

Stage = Literal["handing-in", "clearing", "cleared"]


class Revoked(NamedTuple):
    """What a tablet knows of its revocation.

    act, reason    what the log says
    since          when this tablet learned it, by its own wall clock
    changes, files what was not handed in when the keys were destroyed; None where nobody knows: it was locked
    """

    act: str
    reason: str
    since: int
    stage: Stage = "handing-in"
    changes: int | None = None
    files: int | None = None

    def told(self) -> Label:
        """What a person is told."""
        why_zh, why_en = (f"（{self.reason}）", f" ({self.reason})") if self.reason else ("", "")
        if self.stage == "handing-in":
            return Label(
                f"这台平板已被停用{why_zh}。正在上交未传的内容，留待管理员核查；请保持联网并再次运行 patrolbook sync",
                f"This tablet was revoked{why_en}. It is handing in what it has, for review; keep it online and run "
                "patrolbook sync again",
            )
        if self.changes is None:
            rest = Label("锁定前未上传的内容仍加密保存在平板上，只有省级能恢复",
                         "What was not handed in before is still on it, encrypted, and only the province can recover it")  # fmt: skip
        elif self.changes or self.files:
            rest = Label(f"还有 {self.changes} 条变更、{self.files} 个文件没有上交，加密保存在平板上，只有省级能恢复",
                         f"{self.changes} changes and {self.files} files were not handed in; they are still on it, encrypted, "
                         "and only the province can recover them")  # fmt: skip
        else:
            rest = Label("内容已全部上交", "Everything was handed in")
        return Label(
            f"这台平板已被停用{why_zh}，密钥已清除，不能再打开。{rest.zh}。请把平板交回管理员",
            f"This tablet was revoked{why_en}; its keys are destroyed and it cannot be opened any more. {rest.en}. Please "
            "hand it to the administrator",
        )


def standing(home: Path) -> Revoked | None:
    """How far this tablet is; None where it is not revoked, as far as it knows."""
    try:
        noted = json.loads((home / FILE).read_bytes())
        return Revoked(**{name: noted[name] for name in Revoked._fields})
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError):
        return Revoked("", "", 0)  # somebody altered it: it counts, and the server tells again


def forbid(home: Path, handing_in: bool = False) -> None:
    """Let nothing through on a revoked tablet but what hands its content in.

    :raises DeviceRevoked: it still has to hand in
    :raises KeysDestroyed: it is done with that
    """
    known = standing(home)
    if known is not None and known.stage != "handing-in":
        raise KeysDestroyed()
    if known is not None and not handing_in:
        raise DeviceRevoked()


def learn(home: Path, device: str, log: LogKey, problem: DeviceRevoked, now_ms: int) -> Revoked:
    """Note a revocation, once its proof is checked.

    :raises UntrustedNote, LogInconsistent: there is no proof, or not a good one; nothing was noted
    """
    try:
        act, leaf = str(problem.facts["act"]), int(problem.facts["leaf"])
        proof = [b64decode(one, validate=True) for one in problem.facts["proof"]]
        note = str(problem.facts["checkpoint"])
    except (KeyError, TypeError, ValueError) as error:
        raise LogInconsistent(detail="a revocation without its proof") from error
    said = receipts.check_revocation(act, device)
    checkpoint = receipts.opened(note, Verifier(log.origin, log.key))
    receipts.check_inclusion(receipts.act_leaf(act), leaf, proof, checkpoint)
    known = standing(home)
    if known is None or known.act != act:
        known = Revoked(act, str(said.get("reason") or ""), now_ms)
        _note(home, known)
    return known


def hand_in(tablet: Tablet, vault: Vault, problem: DeviceRevoked) -> Revoked:
    """After a round that was answered so: learn it, and destroy the keys where everything is handed in.

    :raises UntrustedNote, LogInconsistent: as `learn`
    """
    identity, now = tablet.identity, tablet.store.clock.wall_ms()
    assert identity is not None  # a server answered
    known = learn(tablet.home, identity.device, identity.log, problem, now)
    ledger = tablet.ledger()
    queued = sum(line.queued for line in ledger.records)
    dead = sum(line.dead for line in ledger.records)
    away = [blob for blob in ledger.blobs if not blob.held]
    stuck = [blob for blob in away if blob.problem]
    recoverable = recovery.held(tablet.home) is not None
    waits = queued or len(away) > len(stuck) or tablet.store.unproven_count()
    if (waits and now - known.since < PATIENCE_MS) or ((queued or dead or away) and not recoverable):
        return known  # the next round goes on
    known = clear(tablet.home, vault, queued + dead, len(away))
    with contextlib.suppress(Problem):  # the keys are gone: what stays is noise to anybody here
        tidying.remove_held(tablet)
    return known


def clear(home: Path, vault: Vault, changes: int | None = None, files: int | None = None) -> Revoked:
    """Destroy every key that lies here; may be called again. What is left can be opened by the province, if by anybody."""
    known = standing(home)
    assert known is not None  # nothing is destroyed without a note
    if known.stage == "handing-in":
        known = known._replace(stage="clearing", changes=changes, files=files)
        _note(home, known)
    vault.destroy()
    for key in (home / dropbox.FOLDER / "key", home / recovery.ASKED, *(home / officers.FOLDER).glob("*.key")):
        destroy_file(key)
    known = known._replace(stage="cleared")
    _note(home, known)
    return known


def resume(home: Path, vault: Vault) -> None:
    """Go on with destroying where a program was killed in it."""
    known = standing(home)
    if known is not None and known.stage == "clearing":
        clear(home, vault)


def recovered(home: Path, now_ms: int) -> None:
    """The province gave the keys back: what was not handed in can be now. Does nothing on a tablet that is not revoked."""
    known = standing(home)
    if known is not None:
        _note(home, known._replace(stage="handing-in", since=now_ms))


def _note(home: Path, known: Revoked) -> None:
    replace_file(home / FILE, json.dumps(known._asdict(), ensure_ascii=False).encode())
