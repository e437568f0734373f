"""等级: how much a record can carry as evidence, computed from signed facts and from nothing else.

    A  at least two officers whose certificates count on the day, both co-signed exactly what is shown with their own
       confirmed keys, credentials were shown and notice was served, the party signed or its refusal is witnessed
    B  the same, while a signature, the notice or the note of a refusal is missing, or something was changed since
    C  an undercover lead: nobody showed credentials
    D  a tip or a patrol, fewer than two certified officers, or anything that a revoked device wrote

No person and no field ever sets a grade (行政处罚法第四十二、五十五条). What several sources say of one fact has
the lowest grade among them, so merging never raises one. The module needs `cryptography` for Ed25519 and otherwise the
standard library: it travels with the verifier.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from schemas.certificates import Enforcing, day_of, enforcing
from schemas.labels import Label
from sync.core.cosigning import cosignature_input, key_id, read, signed_by

Grade = Literal["A", "B", "C", "D"]

GRADES: Mapping[Grade, Label] = {
    "A": Label("正式证据", "formal evidence"),
    "B": Label("正式证据，手续待补", "formal evidence, something is missing"),
    "C": Label("暗访线索", "undercover lead"),
    "D": Label("线索或巡查", "tip or patrol"),
}

GRADE_LABEL = Label("等级", "Grade")

CREDENTIALS_SHOWN = "answers/PRC-03"
NOTICE_SERVED = "answers/PRC-02"
NOTICE_WORDS = frozenset({"是", "紧急，已报告待补办"})

CERTIFIED = frozenset({"officer", "staff", "lead", "city", "province", "admin", "system"})
COVERT = frozenset({"team"})
GRADED = frozenset({"inspection", "evidence", "patrol_note", "sealed_evidence"})
"""The kinds that have a grade. A case, a document, a hazard is work on evidence and not evidence."""


class Author(NamedTuple):
    """Who wrote a value, as the log has it. `revoked`: it came after its device was revoked."""

    role: str
    revoked: bool = False


class Graded(NamedTuple):
    """A grade and everything that keeps it from being a better one; empty only for A."""

    grade: Grade
    reasons: tuple[Label, ...] = ()


@dataclass(frozen=True)
class Known:
    """What a grade is computed from, beside the record's values.

    content   the hash of what a signature under the record covers, as it stands (`signing.content_hash`)
    authors   everybody whose word is in the record: who wrote each live value, and each that a decision chose between
    officers  officer id → values of the officer's record; of those named by the record
    keys      key id → values of the officer_key record; of those named by its signatures
    contested paths of the record that are in conflict
    sources   grades of what the record is made of: what was merged into it, what the evidence belongs to
    """

    content: str = ""
    authors: Collection[Author] = ()
    officers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    keys: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    contested: Collection[str] = ()
    sources: Collection[Graded] = ()


def grade_of(kind: str, values: Mapping[str, Any], known: Known) -> Graded | None:
    """The grade of a record (path → value); None for a kind that has none."""
    if kind not in GRADED:
        return None
    own = _inspection(values, known) if kind == "inspection" else _BY_KIND[kind]
    return lowest([own, *(_of_author(author) for author in set(known.authors)), *known.sources])


def lowest(grades: Iterable[Graded]) -> Graded:
    """What facts of these grades are worth together: the lowest, with the reasons of all that are as low."""
    every = list(grades)
    worst = max(one.grade for one in every)
    reasons = [reason for one in every if one.grade == worst for reason in one.reasons]
    return Graded(worst, tuple(dict.fromkeys(sorted(reasons))))


def named_officers(values: Mapping[str, Any]) -> list[str]:
    """The ids of the officers that a record names as present."""
    return sorted(path[9:] for path, value in values.items() if path.startswith("officers/") and value is True)


def cosigners(values: Mapping[str, Any], known: Known) -> tuple[frozenset[str], tuple[Label, ...]]:
    """The officers whose co-signature under exactly this content counts, and why other ones do not."""
    good: set[str] = set()
    refused: list[Label] = []
    for value in _signatures(values, "officer"):
        officer, reason = str(value.get("officer") or ""), _misses(value, known)
        if reason is None:
            good.add(officer)
        else:
            refused.append(reason)
    return frozenset(good), tuple(refused)


# --- Inspections -----------------------------------------------------------------------------------------------------


def _inspection(values: Mapping[str, Any], known: Known) -> Graded:
    if values.get("mode") != "enforcement":
        return Graded("D", (Label("巡查或指导，不是执法检查", "a patrol or guidance, no enforcement inspection"),))
    standing = enforcing(named_officers(values), known.officers, day_of(values.get("started_at")))
    if len(standing.certificates) < 2:
        count = len(standing.certificates)
        few = Label(f"当日有效的持证人员只有 {count} 名", f"only {count} officers with a certificate valid on the day")
        return Graded("D", (few, *standing.refused))
    missing = [*_cosigned(values, known, standing), *_procedure(values), *_party(values, known)]
    if known.contested:
        paths = "、".join(sorted(known.contested))
        missing.append(Label(f"有冲突待决：{paths}", f"in conflict: {paths}"))
    return Graded("B", tuple(missing)) if missing else Graded("A")


def _cosigned(values: Mapping[str, Any], known: Known, standing: Enforcing) -> list[Label]:
    signers, refused = cosigners(values, known)
    count = len(signers & standing.certificates.keys())
    if count >= 2:
        return []
    return [Label(f"有效会签 {count} 个，应有两个", f"{count} valid co-signatures, two are needed"), *refused]


def _misses(value: Mapping[str, Any], known: Known) -> Label | None:
    """Why a signature `as officer` is no co-signature of this content; None where it is."""
    name = str(value.get("name") or "")
    signature = read(value.get("cosig"))
    if not signature:
        return Label(f"{name} 没有用自己的密钥会签", f"{name} did not co-sign with a key of their own")
    if value.get("content") != known.content:
        return Label(f"{name} 签的是改动前的内容", f"{name} signed what it was before a change")
    key = known.keys.get(str(value.get("key") or ""))
    if key is None or not _is_key(key, value.get("key")):
        return Label(f"{name} 的密钥没有登记", f"the key of {name} is not registered")
    if key.get("officer") != value.get("officer"):
        return Label(f"{name} 用的是别人的密钥", f"{name} used somebody else's key")
    if not signed_by(bytes.fromhex(str(key["public_key"])), signature, cosignature_input(known.content)):
        return Label(f"{name} 的会签与内容不符", f"the co-signature of {name} does not match the content")
    return _standing(name, key, value)


def _standing(name: str, key: Mapping[str, Any], value: Mapping[str, Any]) -> Label | None:
    match key.get("status"):
        case "confirmed":
            return None
        case "withdrawn" if str(value.get("at")) < str(key.get("withdrawn_at") or ""):
            return None
        case "withdrawn":
            return Label(f"{name} 的密钥已撤销", f"the key of {name} was withdrawn")
    return Label(f"{name} 的密钥还没有确认", f"the key of {name} is not confirmed yet")


def _is_key(key: Mapping[str, Any], id: Any) -> bool:
    try:
        return key_id(bytes.fromhex(str(key.get("public_key")))) == str(id)
    except ValueError:
        return False


def _procedure(values: Mapping[str, Any]) -> list[Label]:
    found = []
    if _answer(values, CREDENTIALS_SHOWN).get("answer") != "yes":
        found.append(Label("没有记载出示执法证件", "it does not say that credentials were shown"))
    notice = _answer(values, NOTICE_SERVED)
    served = notice.get("answer") == "yes" or notice.get("measured") in NOTICE_WORDS
    if not values.get("notice_number") and not served:
        found.append(Label("没有检查通知书", "there is no inspection notice"))
    return found


def _party(values: Mapping[str, Any], known: Known) -> list[Label]:
    signed = list(_signatures(values, "party"))
    if any(value.get("content") == known.content for value in signed):
        return []
    if signed:
        return [Label("当事人签的是改动前的内容", "the party signed what it was before a change")]
    if not str(values.get("refusal") or "").strip():
        return [Label("当事人没有签字，也没有注明拒签", "the party did not sign and no refusal is noted")]
    witnessed = str(values.get("witness") or "").strip() or any(
        value.get("content") == known.content for value in _signatures(values, "witness")
    )
    if witnessed or any(_is_recording(value) for path, value in values.items() if path.startswith("evidence/")):
        return []
    return [Label("拒签没有见证人或音像记录", "the refusal has no witness and no recording")]


def _signatures(values: Mapping[str, Any], role: str) -> Iterable[Mapping[str, Any]]:
    for path, value in sorted(values.items()):
        if path.startswith("signatures/") and isinstance(value, Mapping) and value.get("as", "party") == role:
            yield value


def _answer(values: Mapping[str, Any], path: str) -> Mapping[str, Any]:
    found = values.get(path)
    return found if isinstance(found, Mapping) else {}


def _is_recording(value: Any) -> bool:
    return isinstance(value, Mapping) and str(value.get("mime")).startswith(("video/", "audio/"))


# --- Sources ---------------------------------------------------------------------------------------------------------

_BY_KIND: Mapping[str, Graded] = {
    "evidence": Graded("A"),  # as good as what it belongs to and whoever made it: see `Known.sources`
    "patrol_note": Graded("D", (Label("巡查记录", "a patrol note"),)),
    "sealed_evidence": Graded("C", (Label("未出示执法证件", "credentials were not shown"),)),
}


def _of_author(author: Author) -> Graded:
    if author.revoked:
        return Graded("D", (Label("设备停用后写入", "written after its device was revoked"),))
    if author.role in COVERT:
        return Graded("C", (Label("由暗访组采集", "from an undercover team"),))
    if author.role not in CERTIFIED:
        return Graded("D", (Label("由无执法证的人员填写", "written by somebody without a certificate"),))
    return Graded("A")
