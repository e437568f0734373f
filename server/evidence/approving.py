"""Two people for what goes out from behind the wall: each approves exactly what is proposed, in a change of their own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from schemas.base import RecordSchema
from schemas.labels import Label
from server.instance import Instance
from server.merging import decisions
from server.moments import moment
from server.reading import finding
from server.reading.finding import Seen
from server.storage.people import Person
from sync.core.errors import Refused
from sync.core.releasing import NEEDED, approvers
from sync.core.rules import Rights
from sync.core.signing import content_hash


@dataclass(frozen=True)
class Approving:
    """The approvals of one kind of proposals (`schemas.approving`)."""

    schema: type[RecordSchema]

    def approve(self, house: Instance, by: Person, rights: Rights, text: str) -> int:
        """Approve a proposal as it stands; returns how many people now do. With the second it is approved.

        :raises Refused: it waits for nothing, or this person approved it before
        :raises InvalidField: the person may not, or something stands against it: a review is missing
        """
        proposal = finding.one(house, rights, self.schema.kind, text)
        if proposal.values.get("status") != "proposed":
            raise Refused(detail=Label("这份申请不在待审批状态", "this proposal does not wait for approval"))
        if by.id not in self.approvers(proposal):
            said = {"name": by.name, "content": self.content(proposal), "at": moment(house.now())}
            self._write(house, proposal, {f"approvals/{by.id}": said}, by, rights)
            proposal = finding.one(house, rights, self.schema.kind, proposal.record)
        elif len(self.approvers(proposal)) < NEEDED:
            detail = Label("您已批准当前内容，须由另一人批准", "you approved it as it stands; another person has to")
            raise Refused(detail=detail)
        count = len(self.approvers(proposal))
        if count >= NEEDED:
            self._write(house, proposal, {"status": "approved"}, by, rights)
        return count

    def refuse(self, house: Instance, by: Person, rights: Rights, text: str, reason: str) -> None:
        """Refuse a proposal, or take an approval back before anything went out. Raises NotFound, Refused, InvalidField."""
        proposal = finding.one(house, rights, self.schema.kind, text)
        if proposal.values.get("status") not in ("proposed", "approved"):
            raise Refused(detail=Label("这份申请已办完", "this proposal is done with"))
        self._write(house, proposal, {"status": "refused", "refusal": reason}, by, rights)

    def approvers(self, proposal: Seen) -> list[str]:
        """Who approves a proposal as it stands."""
        return approvers(proposal.state, self.schema)

    def content(self, proposal: Seen) -> str:
        """What an approval names: the hash of what is proposed."""
        return content_hash(self.schema, proposal.record, proposal.values)

    def _write(self, house: Instance, proposal: Seen, values: dict[str, Any], by: Person, rights: Rights) -> None:
        decisions.write(house.desk, self.schema.kind, proposal.record, values, by=[by.id], rights=rights)
