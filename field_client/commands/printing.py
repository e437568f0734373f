"""What several commands print: one record, and that something was saved."""

from __future__ import annotations

import json
from typing import Any

from field_client.session import Session, short
from field_client.tablet import Tablet
from field_client.work.showing import lines_of
from schemas.base import DELETED
from schemas.labels import Label
from schemas.words import same
from sync.core.fold import State, contested, deleted, values_of


def saved(record: str) -> Label:
    """That a record was saved: the piece of its id that commands take, and all of it."""
    return Label(f"已保存 {short(record)}（{record}）", f"Saved {short(record)} ({record})")


def brief(tablet: Tablet, state: State, *names: str) -> dict[str, Any]:
    """A record for a list in JSON; what is in conflict is named, and its value is provisional."""
    values = values_of(state, tablet.merge_of(state.kind))
    disputed = contested(state, tablet.merge_of(state.kind))
    return {"id": state.record, **{name: values.get(name) for name in names}, "conflicts": disputed}


def print_record(session: Session, record: str, as_json: bool) -> None:
    """Everything about a record, and what waits for a person in it. Raises NotFound."""
    tablet = session.tablet()
    state = tablet.view(record)
    conflicts = tablet.conflicts_in(record)
    if as_json:
        body = {
            "id": state.record,
            "kind": state.kind,
            "rev": state.rev,
            "deleted": deleted(state),
            "values": {p: v for p, v in values_of(state, tablet.merge_of(state.kind)).items() if p != DELETED},
            "conflicts": [conflict._asdict() for conflict in conflicts],
        }
        session.terminal.say(json.dumps(body, ensure_ascii=False))
        return
    schema = tablet.registry.get(state.kind)
    label = schema.label if schema else same(state.kind)
    session.terminal.say(Label(f"{label.zh} {state.record}", f"{label.en} {state.record}"), bold=True)
    for line in lines_of(tablet, record):
        if not line.path:
            session.terminal.say(line.label, fg="cyan")
        else:
            say = Label(f"  {line.label.zh}：{line.value.zh}", f"  {line.label.en}: {line.value.en}")
            session.terminal.say(say)
    if conflicts:
        more = Label(
            f"有 {len(conflicts)} 处待县里处理：patrolbook conflicts",
            f"{len(conflicts)} wait for staff: patrolbook conflicts",
        )
        session.terminal.say(more, fg="yellow")
