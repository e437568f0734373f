"""Everything that can go wrong, as one tree with stable codes, a message and a next step in both languages.

    Problem
    ├── Malformed … a body or line that cannot be read
    ├── Refused … understood, but not allowed or not possible now
    ├── Diverged … the two sides no longer share a history
    └── Unavailable … worth trying again later

No HTTP in here: `server/errors.py` has the one table from code to status, `field_client/platform/remote.py` the way
back. A code is never given a second meaning; a retired one stays listed in `RETIRED`.
"""

from __future__ import annotations

from typing import Any, ClassVar

from schemas.labels import Label, Language

RETIRED: dict[str, str] = {}


class Problem(Exception):
    """Base of all. Facts given as keywords fill the message; `field` or `file` name what is wrong."""

    code: ClassVar[str] = "problem"
    message: ClassVar[Label] = Label("出错了", "Something went wrong")
    hint: ClassVar[Label] = Label(
        "请重试；若再次出现，请联系管理员", "Try again; tell the administrator if it happens again"
    )

    def __init__(self, **facts: Any) -> None:
        self.facts = facts
        super().__init__(f"{self.code}: {self.text('en')}")

    def text(self, language: Language = "zh") -> str:
        return self._fill(self.message.text(language), language)

    def next_step(self, language: Language = "zh") -> str:
        return self._fill(self.hint.text(language), language)

    def _fill(self, template: str, language: Language) -> str:
        shown = {k: v.text(language) if isinstance(v, Label) else v for k, v in self.facts.items()}
        try:
            return template.format(**shown)
        except (KeyError, IndexError):
            return template


# --- Malformed -------------------------------------------------------------------------------------------------------


class Malformed(Problem):
    code = "malformed"
    message = Label("内容无法读取：{detail}", "The content cannot be read: {detail}")
    hint = Label("请重新发送；若仍失败，请升级程序", "Send it again; update the program if it fails again")


class NotCanonical(Malformed):
    code = "not-canonical"
    message = Label("变更不是规范 JSON：{detail}", "The change is not canonical JSON: {detail}")
    hint = Label("请升级平板程序后重新同步", "Update the tablet's program and sync again")


class InvalidField(Malformed):
    code = "invalid-field"
    message = Label("字段 {field}：{detail}", "Field {field}: {detail}")
    hint = Label("请更正该字段后再试", "Correct this field and try again")


class UnknownKind(Malformed):
    code = "unknown-kind"
    message = Label("没有“{kind}”这种记录", "There is no kind of record named {kind}")
    hint = Label("请升级服务器；数据已保留在隔离区", "Update the server; the data is kept in quarantine")


class BadSignature(Malformed):
    code = "bad-signature"
    message = Label("签名与内容不符", "The signature does not match the content")
    hint = Label(
        "数据已保留在隔离区，请管理员核查该设备",
        "The data is kept in quarantine; have the administrator check the device",
    )


class UntrustedNote(Malformed):
    code = "untrusted-note"
    message = Label("日志检查点没有可信签名：{detail}", "The log's checkpoint has no trusted signature: {detail}")
    hint = Label(
        "已停止同步，数据完好；请管理员核对服务器公钥",
        "Sync has stopped and the data is intact; have the administrator check the server's key",
    )


class BadStamp(Malformed):
    code = "bad-stamp"
    message = Label("时间戳不可信：{detail}", "The time stamp cannot be believed: {detail}")
    hint = Label(
        "请核对时间戳机构的地址和信任文件所列的根证书",
        "Check the authority's address and the roots in the trust file",
    )


class TooLarge(Malformed):
    code = "too-large"
    message = Label("内容超过上限 {limit} 字节", "The content is larger than the limit of {limit} bytes")
    hint = Label("请减小批量后重发", "Send it again in smaller batches")


class UnsupportedEncoding(Malformed):
    code = "unsupported-encoding"
    message = Label("不支持的压缩方式 {encoding}", "The encoding {encoding} is not supported")
    hint = Label("请使用 zstd、gzip 或不压缩", "Use zstd, gzip or no encoding")


class DigestMismatch(Malformed):
    code = "digest-mismatch"
    message = Label(
        "{what} 的校验值不符，传输中损坏或文件已变", "{what} does not match its digest: damaged on the way or changed"
    )
    hint = Label(
        "请重新发送该部分；若仍不符，请核查原文件", "Send this part again; check the original file if it still differs"
    )


class BrokenFile(Malformed):
    code = "broken-file"
    message = Label("文件 {file} 无法读取：{detail}", "The file {file} cannot be read: {detail}")
    hint = Label("原文件已保留；请重新拍摄或另选文件", "The original is kept; take it again or choose another file")


class EmptyFile(Malformed):
    code = "empty-file"
    message = Label("文件 {file} 是空的（0 字节）", "The file {file} is empty (0 bytes)")
    hint = Label("请重新拍摄或另选文件", "Take it again or choose another file")


class BrokenSeal(Malformed):
    code = "broken-seal"
    message = Label("{what}不能解开：{detail}", "{what} cannot be opened: {detail}")
    hint = Label(
        "没有留下解开的内容；请重新下载，若仍不符，请报告并保留原样",
        "Nothing of it was left behind; fetch it again, and report it and keep it as it is if it still differs",
    )


class BadRoster(Malformed):
    code = "bad-roster"
    message = Label("名册 {file} 无法读取：{detail}", "The roster {file} cannot be read: {detail}")
    hint = Label("请用 UTF-8 的 CSV 或 XLSX，首行为表头", "Use CSV in UTF-8 or XLSX with a header row")


class BadForm(Malformed):
    code = "bad-form"
    message = Label("表单 {file} 无法读取：{detail}", "The form {file} cannot be read: {detail}")
    hint = Label(
        "请按 XLSForm 格式更正后再导入（survey、choices、settings 三个工作表）",
        "Correct it as an XLSForm (sheets survey, choices, settings) and import it again",
    )


class BadCourier(Malformed):
    code = "bad-courier"
    message = Label(
        "携行文件 {file} 不完整或被改动：{detail}", "The courier file {file} is incomplete or was changed: {detail}"
    )
    hint = Label("请在原平板上重新导出", "Export it again on the tablet that made it")


# --- Refused ---------------------------------------------------------------------------------------------------------


class Refused(Problem):
    code = "refused"
    message = Label("不能这样做：{detail}", "This cannot be done: {detail}")
    hint = Label("请按提示修改后再试", "Change it as said and try again")


class NotFound(Refused):
    code = "not-found"
    message = Label("没有找到 {what}", "{what} was not found")
    hint = Label("请核对编号", "Check the number")


class NotAllowed(Refused):
    code = "not-allowed"
    message = Label("没有权限：{detail}", "Not permitted: {detail}")
    hint = Label("请联系管理员授权", "Ask the administrator for the right")


class NotAuthenticated(Refused):
    code = "not-authenticated"
    message = Label("设备凭证无效或已过期", "The device's credentials are not valid")
    hint = Label(
        "数据仍在平板上；请联系管理员重新登记",
        "The data is still on the tablet; ask the administrator to enrol it again",
    )


class SignInFailed(Refused):
    code = "sign-in-failed"
    message = Label("姓名、密码或验证码不对", "The name, password or code is wrong")
    hint = Label("请核对后再试；忘记了请让管理员重置", "Check and try again; the administrator can reset a forgotten one")


class TooManyGuesses(Refused):
    code = "too-many-guesses"
    message = Label("错误次数较多，请 {seconds} 秒后再试", "Too many wrong guesses: try again in {seconds} seconds")
    hint = Label("等待后可再试，账号不会被锁死", "Wait and try again; no account is ever locked for good")


class SessionEnded(Refused):
    code = "session-ended"
    message = Label("登录已结束", "The session has ended")
    hint = Label("请重新登录，已填写的内容会保留", "Sign in again; what you typed is kept")


class CrossSite(Refused):
    code = "cross-site"
    message = Label("请求不是从本系统的页面发出的，没有执行", "The request did not come from a page of this system and was not carried out")
    hint = Label("请回到页面，重新载入后再提交", "Go back to the page, load it again and submit once more")


class DeviceRevoked(Refused):
    code = "device-revoked"
    message = Label("这台平板已被停用", "This tablet has been revoked")
    hint = Label(
        "未上传的内容仍可上传待核；请交回管理员", "What is not uploaded can still be sent for review; return the tablet"
    )


class CodeNotValid(Refused):
    code = "enrolment-code-not-valid"
    message = Label("登记码无效：不存在、已使用或已过期", "The enrolment code is not valid: unknown, used or expired")
    hint = Label("请向管理员索取新的登记码", "Ask the administrator for a new code")


class PartConflict(Refused):
    code = "part-conflict"
    message = Label("第 {part} 部分已收到，内容不同", "Part {part} was received before with other bytes")
    hint = Label("请核查原文件后重新开始上传", "Check the original file and start the upload again")


class PartsMissing(Refused):
    code = "parts-missing"
    message = Label("还缺 {missing} 个部分", "{missing} parts are still missing")
    hint = Label("请补传后再完成", "Send them, then complete the upload")


class WrongPin(Refused):
    code = "wrong-pin"
    message = Label("PIN 不正确", "The PIN is not right")
    hint = Label("请 {wait} 秒后再试；数据完好", "Try again in {wait} seconds; the data is intact")


class Locked(Refused):
    code = "locked"
    message = Label("平板已锁定", "The tablet is locked")
    hint = Label("请运行 patrolbook unlock 并输入 PIN", "Run patrolbook unlock and enter the PIN")


class LeaseExpired(Refused):
    code = "lease-expired"
    message = Label("这台平板的租约已到期，联网一次才能解锁", "The lease of this tablet has run out; it has to reach its server once")
    hint = Label(
        "连上网络后运行 patrolbook unlock；数据完好，暗访采集照常进行",
        "Run patrolbook unlock with a network; the data is intact, and undercover capture goes on",
    )


class MinorsVisible(Refused):
    code = "minors-visible"
    message = Label("证据 {what} 中有未成年人，未经遮挡不能导出", "Minors are visible in {what}: it is not exported uncovered")
    hint = Label(
        "请先遮挡：patrolbook-server evidence redact {what} --box x,y,w,h --hides-minors；依法随卷移送原件的，证据包可加 --with-minors",
        "Cover them first: patrolbook-server evidence redact {what} --box x,y,w,h --hides-minors; a bundle for a case file "
        "that must have the original takes --with-minors",
    )


class KeysDestroyed(Refused):
    code = "keys-destroyed"
    message = Label("这台平板已停用，密钥已清除", "This tablet was revoked and its keys are destroyed")
    hint = Label(
        "请交回管理员；若有未上传的内容，仍加密保存在平板上，只有省级能恢复（patrolbook recover）",
        "Hand it to the administrator; whatever was not handed in is still on it, encrypted, and only the province can "
        "recover it (patrolbook recover)",
    )


class NotEnrolled(Refused):
    code = "not-enrolled"
    message = Label("这台平板还没有登记", "This tablet is not enrolled yet")
    hint = Label(
        "请运行 patrolbook enrol，并输入管理员给的登记码", "Run patrolbook enrol with the code from the administrator"
    )


class DiskFull(Refused):
    code = "disk-full"
    message = Label("磁盘空间不足：{where}", "There is no space left on {where}")
    hint = Label("已保存的内容完好；请腾出空间后重试", "What was saved is intact; free some space and try again")


class BrokenStore(Refused):
    code = "broken-store"
    message = Label("数据库文件 {file} 已损坏：{detail}", "The database file {file} is damaged: {detail}")
    hint = Label(
        "不要删除；请运行 patrolbook rescue 导出可读部分，或从备份恢复",
        "Do not delete it; run patrolbook rescue to export what can be read, or restore a backup",
    )


class WrongKey(Refused):
    code = "wrong-key"
    message = Label("密钥与数据库文件 {file} 不符", "The key does not belong to the database file {file}")
    hint = Label(
        "数据完好；请用这台平板自己的密钥文件和 PIN", "The data is intact; use this tablet's own key file and PIN"
    )


class NoSealKeys(Refused):
    code = "no-seal-keys"
    message = Label("没有可信的密封公钥：{detail}", "There are no trusted keys to seal for: {detail}")
    hint = Label(
        "请先解锁并联网运行 patrolbook sync；若仍没有，请管理员签发含省级密封公钥的信任文件",
        "Unlock and run patrolbook sync with a network; if there are still none, the administrator has to sign a trust"
        " file that names the province's",
    )


class WrongSealKey(Refused):
    code = "wrong-seal-key"
    message = Label("这把私钥打不开{what}", "This private key does not open {what}")
    hint = Label(
        "内容完好；请使用密封时所列的省级、备份或受交办县的私钥",
        "It is intact; use the private key of the province, the escrow or the county that it was sealed for",
    )


class PastDue(Refused):
    code = "past-due"
    message = Label("交办 {what} 的办结期限 {due} 已过", "The hand-over {what} was due on {due}")
    hint = Label(
        "内容不再给出；请省级重新提请移交（handover propose --again），须由两人重新批准",
        "Nothing of it is opened any more; the province proposes it anew (handover propose --again) and two people approve",
    )


class NotReceived(Refused):
    code = "not-received"
    message = Label("交办 {what} 还没有签收", "Nobody has signed for the hand-over {what} yet")
    hint = Label("请先运行 handover receive 签收", "Run handover receive first")


class NotReady(Refused):
    code = "not-ready"
    message = Label("还不能{action}：{detail}", "Not ready to {action}: {detail}")
    hint = Label("请补齐后再试", "Complete it and try again")


class SecondPersonNeeded(Refused):
    code = "second-person-needed"
    message = Label("“{field}”须由两人共同裁决", "{field} is decided by two people together")
    hint = Label(
        "请在“合并台”提出，由另一人复核", "Propose it at the merge desk and have somebody else confirm it"
    )


class Stale(Refused):
    code = "stale"
    message = Label("{what} 已被他人更改", "{what} has been changed by somebody else")
    hint = Label("请刷新后再决定；您的输入没有丢失", "Look again and decide; nothing that you typed is lost")


# --- Diverged --------------------------------------------------------------------------------------------------------


class Diverged(Problem):
    code = "diverged"
    message = Label("两边的历史不一致", "The two sides no longer share a history")
    hint = Label("程序会自动重新对齐", "The program realigns by itself")


class EpochChanged(Diverged):
    code = "epoch-changed"
    message = Label("服务器数据曾被恢复，正在重新对齐", "The server was restored from a backup; realigning")
    hint = Label("平板会重新提交它保留的全部变更", "The tablet offers everything that it kept again")


class ReplicaForked(Diverged):
    code = "replica-forked"
    message = Label("这份数据库曾被恢复或复制", "This database was restored or cloned")
    hint = Label(
        "平板会改用新的副本编号并继续，不丢内容", "The tablet continues under a new replica id; nothing is lost"
    )


class CursorExpired(Diverged):
    code = "cursor-expired"
    message = Label("离线太久，范围 {bucket} 需要重新下载", "Offline for too long: {bucket} must be filled again")
    hint = Label("平板会自动重新下载", "The tablet fills it again by itself")


class LogInconsistent(Diverged):
    code = "log-inconsistent"
    message = Label(
        "服务器日志与平板所见不一致，已停止同步", "The server's log contradicts what this tablet saw; sync has stopped"
    )
    hint = Label("请立即报告上级；平板上的数据完好", "Report this at once; the data on the tablet is intact")


# --- Unavailable -----------------------------------------------------------------------------------------------------


class Unavailable(Problem):
    code = "unavailable"
    message = Label("暂时连不上服务器：{detail}", "The server cannot be reached now: {detail}")
    hint = Label("数据已保存在平板上，稍后自动重试", "The data is saved on the tablet; it will be tried again")

    @property
    def retry_after(self) -> float | None:
        """Seconds that the other side asked to wait, where it said so."""
        value = self.facts.get("retry_after")
        return float(value) if value is not None else None


class TooSlow(Unavailable):
    code = "too-slow"
    message = Label(
        "这台机器现在太慢，解不开口令加密的文件；与口令对错无关",
        "This machine is too slow now to open what is locked with a passphrase; that says nothing of the passphrase",
    )
    hint = Label("请关闭其他程序后再试，或换一台更快的机器", "Close other programs and try again, or use a faster machine")


class Overloaded(Unavailable):
    code = "overloaded"
    message = Label("服务器繁忙", "The server is busy")


class NotLogged(Unavailable):
    code = "not-logged"
    message = Label(
        "这次查阅写不进日志，因此没有给出内容", "The log cannot take this access, so nothing was given out"
    )
    hint = Label("请稍后再试；若再次出现，请管理员查看服务器磁盘", "Try again later; if it happens again, have the server's disk checked")


def _tree(root: type[Problem]) -> list[type[Problem]]:
    return [root, *(one for child in root.__subclasses__() for one in _tree(child))]


def by_code() -> dict[str, type[Problem]]:
    """Every problem by its code; two classes with one code would be a bug and raise ValueError."""
    found: dict[str, type[Problem]] = {}
    for one in _tree(Problem):
        if found.setdefault(one.code, one) is not one:
            raise ValueError(f"two problems share the code {one.code!r}")
    return found
