"""What the server decides by rule: the disposition of a change on arrival, and the values that the county settles.

Nothing a person captured is refused. A change is accepted, parked (understood, but a person must decide: locked
record, lost scope, stale step, unmet guard) or quarantined (invalid or unknown to this server). All three are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, NamedTuple

from schemas.base import DESK_ROLES, Invalid, RecordSchema
from schemas.certificates import day_of, enforcing
from schemas.labels import Label
from schemas.workflow import Transition, Workflow
from sync.core.change import Change
from sync.core.cosigning import key_id, proof_input, read, signed_by
from sync.core.fold import State, Status, contested, overlay, values_of
from sync.core.grade import Grade
from sync.core.releasing import Records, receipted, too_few, unlawful

SYSTEM = "system"


class Rights(NamedTuple):
    """What the author could do when the change was made.

    areas   division code prefixes; "" is everywhere
    within  compartment → the same for what lies behind that wall
    """

    role: str
    areas: tuple[str, ...]
    revoked: bool = False
    deciding: bool = False  # at a desk, where a decision is made on what a person was shown; never on a tablet
    within: Mapping[str, tuple[str, ...]] = {}

    def covers(self, area: str, compartment: str = "") -> bool:
        prefixes = self.within.get(compartment, ()) if compartment else self.areas
        return any(area.startswith(prefix) for prefix in prefixes)


class Disposition(NamedTuple):
    """What the server did with a change. `reason` is a stable code; `detail` is for people."""

    status: Status
    reason: str = ""
    field: str = ""
    detail: Label = Label("", "")


ACCEPTED = Disposition("accepted")


def _nobody(ids: Collection[str]) -> Mapping[str, Any]:
    return {}


def _nothing(kind: str, ids: Collection[str]) -> Mapping[str, Mapping[str, Any]]:
    return {}


class Facts(NamedTuple):
    """What a guard may ask beyond the record itself."""

    missing_blobs: Callable[[Collection[str]], Collection[str]]  # of these SHA-256, those not held
    officers: Callable[[Collection[str]], Mapping[str, Mapping[str, Any]]] = _nobody
    """Of these officers, the values (path → value) of those that are known; nobody is a certified officer unseen."""
    records: Records = _nothing
    grades: Callable[[Collection[str]], Mapping[str, Grade]] = _nobody
    """Of these records, the grades of those that have one."""


def dispose(
    change: Change,
    schema: type[RecordSchema] | None,
    state: State | None,
    rights: Rights,
    facts: Facts,
    others: Iterable[State] = (),
) -> Disposition:
    """The disposition of a change that reached a record in this state. Quarantine is looked at before parking.

    `others`: the further records that a decision is about, which its author must have the right to as well.
    """
    if schema is None:
        return Disposition("quarantined", "unknown-kind", "kind", Label("未知的记录类型", "unknown kind of record"))
    if state is not None and state.live and state.kind != change.kind:
        return _quarantine("invalid-field", "kind", Label("与记录的类型不符", "differs from the kind of the record"))
    invalid = _check_values(change, schema)
    if invalid is not None:
        return invalid
    return (
        _permission(change, schema, state, rights, others)
        or _lock(change, schema, state)
        or _steps(change, schema, state, rights, facts)
        or ACCEPTED
    )


def settle(state: State, schema: type[RecordSchema]) -> dict[str, tuple[Any, list[str]]]:
    """The values that the county decides by rule: path → (value, parents), to be written as a change of the server.

    On an authority path where exactly one of the concurrent values comes from a desk, that value stands.
    """
    settled: dict[str, tuple[Any, list[str]]] = {}
    for path in contested(state, schema.merge_of):
        if schema.merge_of(path) != "authority":
            continue
        from_desk = [c for c in state.live[path] if state.acts[c].role in DESK_ROLES]
        from_desk = from_desk or [c for c in state.live[path] if state.acts[c].role == SYSTEM]  # settled before
        if len(from_desk) == 1:
            settled[path] = (state.live[path][from_desk[0]], state.ids(path))
    return settled


def unmet(transition: Transition, state: State, schema: type[RecordSchema], facts: Facts) -> Label | None:
    """The first guard of a step that the merged record does not meet; None where all are met."""
    for name in transition.requires:
        problem = GUARDS[name](state, schema, facts)
        if problem is not None:
            return problem
    return None


# --- Disposing -------------------------------------------------------------------------------------------------------


def _quarantine(reason: str, field: str, detail: Label) -> Disposition:
    return Disposition("quarantined", reason, field, detail)


def _park(reason: str, field: str, detail: Label) -> Disposition:
    return Disposition("parked", reason, field, detail)


def _check_values(change: Change, schema: type[RecordSchema]) -> Disposition | None:
    try:
        unknown = schema.check_written(change.set)
    except Invalid as invalid:
        return _quarantine("invalid-field", invalid.path, invalid.problem)
    if unknown is not None and change.schema <= schema.version:
        return _quarantine("unknown-field", unknown, _no_such_field(change, schema))
    if change.replaces:
        for path in change.set:
            if change.parents(path) and schema.merge_of(path) == "counter":
                return _quarantine("invalid-field", path, Label("增量不替换任何值", "an increment replaces nothing"))
    return None


def _no_such_field(change: Change, schema: type[RecordSchema]) -> Label:
    if change.schema == schema.version:
        return Label("没有这个字段", "there is no such field")
    return Label(
        f"没有这个字段：写成时用第 {change.schema} 版记录格式，现为第 {schema.version} 版；请升级平板程序后重新填写",
        f"there is no such field: it was written in version {change.schema} of this record and {schema.version} is in use; update "
        "the tablet's program and write it again",
    )


def _permission(
    change: Change, schema: type[RecordSchema], state: State | None, rights: Rights, others: Iterable[State]
) -> Disposition | None:
    if rights.role == SYSTEM:
        return None
    if rights.revoked:
        return _park("revoked", "", Label("设备已停用", "the device was revoked"))
    desk = rights.role in DESK_ROLES
    if change.decision is not None and not (desk and rights.deciding):
        return _park("not-permitted", "decision", Label("只有县级人员可以裁决", "only staff decide"))
    if rights.role not in schema.makers:
        return _park(
            "not-permitted", "", Label("该角色不能填写这种记录", "this role does not write this kind of record")
        )
    for path in _reserved(change, schema):
        field = schema.field_of(path)
        if field is not None and not field.open_to_role(rights.role, desk):
            return _park("not-permitted", path, Label("该字段由别的角色填写", "another role writes this field"))
    for path, choice in schema.plan().chosen:
        if path in change.set and not choice.open_to(rights.role, change.value(path)):
            return _park("not-permitted", path, Label("该角色不能选这一项", "this role may not choose this option"))
    if schema.compartment and not rights.within.get(schema.compartment):
        return _park("scope", "", Label("不在授权范围内", "outside the grant"))
    if schema.area_field is None and not schema.compartment and not rights.areas:
        return _park("scope", "", Label("没有现行授权", "no grant runs"))
    for area in [*_areas(change, schema, state), *(a for one in others for a in _areas_of(one, schema))]:
        if not rights.covers(area, schema.compartment):
            written = schema.area_field in change.set and change.value(schema.area_field) == area
            told = area if written else ""  # where a record lies now is not told to who does not see it
            return _park(
                "scope",
                schema.area_field or "",
                Label(f"不在授权区划内：{told}".rstrip("："), f"outside the granted area: {told}".rstrip(": ")),
            )
    return None


def _reserved(change: Change, schema: type[RecordSchema]) -> list[str]:
    reserved = schema.plan().reserved
    return [path for path in change.set if path.partition("/")[0] in reserved] if reserved else []


def _areas(change: Change, schema: type[RecordSchema], state: State | None) -> Iterable[str]:
    """The areas that a change touches: where the record is, and where the change puts it."""
    name = schema.area_field
    if name is None:
        return ()
    here = _areas_of(state, schema) if state is not None else []
    there = [change.value(name)] if name in change.set else []
    return {area for area in [*here, *there] if isinstance(area, str)}


def _areas_of(state: State, schema: type[RecordSchema]) -> list[str]:
    name = schema.area_field
    return [area for area in state.live.get(name, {}).values() if isinstance(area, str)] if name else []


def _lock(change: Change, schema: type[RecordSchema], state: State | None) -> Disposition | None:
    workflow = schema.workflow
    if workflow is None or state is None or change.decision is not None:
        return None
    own = schema.status_path()
    if not any(workflow.locked(status) for status in state.live.get(own or "", {}).values()):
        return None
    for path in change.set:
        if path != own and not workflow.open_path(path):
            return _park(
                "locked", path, Label("记录已锁定（已审核或归档）", "the record is locked (approved or archived)")
            )
    return None


def _steps(
    change: Change, schema: type[RecordSchema], state: State | None, rights: Rights, facts: Facts
) -> Disposition | None:
    workflow = schema.workflow
    if workflow is None or change.decision is not None:
        return None
    path = schema.status_path()
    if path is None or path not in change.set:
        return None
    return _step(path, change, workflow, schema, state, rights, facts)


def _step(
    path: str,
    change: Change,
    workflow: Workflow,
    schema: type[RecordSchema],
    state: State | None,
    rights: Rights,
    facts: Facts,
) -> Disposition | None:
    target = change.value(path)
    live = state.live.get(path, {}) if state is not None else {}
    if not live:
        if target == workflow.initial:
            return None
        return _park("stale", path, Label("记录应从初始状态开始", "a record begins with its initial status"))
    now = set(live.values())
    if now == {target}:
        return None  # two people took the same step: they agree
    if set(change.parents(path)) != set(live) or len(now) != 1:
        return _park("stale", path, Label("状态已被他人更改", "the status was moved on by somebody else"))
    step = workflow.step(next(iter(now)), target)
    if step is None:
        return _park("stale", path, Label("不能走这一步", "there is no such step"))
    if rights.role != SYSTEM and rights.role not in step.roles:
        return _park("not-permitted", path, Label("该角色不能走这一步", "this role may not take this step"))
    assert state is not None  # live is not empty
    problem = unmet(step, _with(state, change), schema, facts)
    return _park("guard", path, problem) if problem is not None else None


def _with(state: State, change: Change) -> State:
    """The record as it would be with the change: a step may bring what its guard asks for."""
    return overlay(state, [change])


# --- Guards ----------------------------------------------------------------------------------------------------------


def _required(state: State, schema: type[RecordSchema], facts: Facts) -> Label | None:
    values = values_of(state, schema.merge_of)
    for name, field in schema.fields_by_name().items():
        if field.required and values.get(name) is None:
            return Label(f"缺少“{field.label.zh}”", f"{field.label.en} is missing")
    return None


def _no_conflict(state: State, schema: type[RecordSchema], facts: Facts) -> Label | None:
    paths = contested(state, schema.merge_of)
    if paths:
        return Label(f"有未解决的冲突：{'、'.join(paths)}", f"open conflict on {', '.join(paths)}")
    if state.parked:
        return Label("有待处理的后到变更", "late changes are waiting for a decision")
    return None


def _blobs_held(state: State, schema: type[RecordSchema], facts: Facts) -> Label | None:
    missing = facts.missing_blobs(blobs_of(state))
    return Label(f"还有 {len(missing)} 个文件没有收到", f"{len(missing)} files have not arrived") if missing else None


def _signed(state: State, schema: type[RecordSchema], facts: Facts) -> Label | None:
    if any(path.startswith("signatures/") for path in state.live):
        return None
    return Label("没有签字", "nobody has signed")


def _two_officers(state: State, schema: type[RecordSchema], facts: Facts) -> Label | None:
    """行政处罚法第四十二条: enforcement by at least two officers, distinct and with certificates that count that day."""
    values = values_of(state, schema.merge_of)
    if values.get("mode") != "enforcement":
        return None
    named = sorted(path[9:] for path, value in values.items() if path.startswith("officers/") and value is True)
    standing = enforcing(named, facts.officers(named), day_of(values.get("started_at")))
    count = len(standing.certificates)
    if count >= 2:
        return None
    why = Label("、".join(one.zh for one in standing.refused), "; ".join(one.en for one in standing.refused))
    return Label(
        f"执法检查须有两名持证人员，现有 {count} 名" + (f"（{why.zh}）" if why.zh else ""),
        f"enforcement needs two officers with certificates, there are {count}" + (f" ({why.en})" if why.en else ""),
    )


def _key_proven(state: State, schema: type[RecordSchema], facts: Facts) -> Label | None:
    """Whoever proposed an officer's key holds it, and it is the key that the record is named by."""
    values = values_of(state, schema.merge_of)
    try:
        public = bytes.fromhex(str(values.get("public_key")))
    except ValueError:
        public = b""
    message = proof_input(str(values.get("officer")), str(values.get("device")))
    if state.record == key_id(public) and signed_by(public, read(values.get("proof")), message):
        return None
    return Label("密钥没有持有证明", "nothing shows that its officer holds the key")


def _two_people(state: State, schema: type[RecordSchema], facts: Facts) -> Label | None:
    return too_few(state, schema)


def _lawful(state: State, schema: type[RecordSchema], facts: Facts) -> Label | None:
    return unlawful(state, schema, facts.records)


def _receipted(state: State, schema: type[RecordSchema], facts: Facts) -> Label | None:
    return receipted(state, schema)


def _answered(state: State, schema: type[RecordSchema], facts: Facts) -> Label | None:
    values = values_of(state, schema.merge_of)
    if values.get("outcome") is not None and str(values.get("result") or "").strip():
        return None
    return Label("没有写明是否属实和查处情况", "it does not say whether it is confirmed and what was done")


def _formal_fact(state: State, schema: type[RecordSchema], facts: Facts) -> Label | None:
    """Undercover material opens a case and carries no penalty: one fact at least has to be formal evidence."""
    values = values_of(state, schema.merge_of)
    named = [
        path.partition("/")[2]
        for path, value in values.items()
        if path.startswith(("evidence/", "inspections/")) and value is True
    ]
    if "A" in facts.grades(named).values():
        return None
    return Label(
        "没有一项 A 级证据：暗访线索可以立案，不能单独作为处罚依据，请先依法重新取证",
        "no fact of grade A: an undercover lead opens a case and carries no penalty alone; collect the evidence again",
    )


def _cancelled_why(state: State, schema: type[RecordSchema], facts: Facts) -> Label | None:
    if str(values_of(state, schema.merge_of).get("cancelled_why") or "").strip():
        return None
    return Label("没有写明取消的原因", "it does not say why it is cancelled")


def _reopened_once(state: State, schema: type[RecordSchema], facts: Facts) -> Label | None:
    """Each reopening leaves its reason, which nobody can take away: the first may, a second may not."""
    reasons = sum(path.startswith("reopenings/") for path in state.live)
    if reasons == 1:
        return None
    if not reasons:
        return Label("没有写明重新办理的原因", "it does not say why it is reopened")
    return Label("只能重新办理一次，这条线索已经重新办理过", "a clue is reopened once, and this one has been")


GUARDS: dict[str, Callable[[State, type[RecordSchema], Facts], Label | None]] = {
    "required": _required,
    "no_conflict": _no_conflict,
    "blobs_held": _blobs_held,
    "signed": _signed,
    "two_officers": _two_officers,
    "key_proven": _key_proven,
    "two_people": _two_people,
    "lawful": _lawful,
    "receipted": _receipted,
    "answered": _answered,
    "formal_fact": _formal_fact,
    "cancelled_why": _cancelled_why,
    "reopened_once": _reopened_once,
}


def blobs_of(state: State) -> set[str]:
    """The SHA-256 of every blob that the record names."""
    named = {
        value["sha256"]
        for values in state.live.values()
        for value in values.values()
        if type(value) is dict and type(value.get("sha256")) is str
    }
    return named | {value for value in state.live.get("sha256", {}).values() if type(value) is str}
