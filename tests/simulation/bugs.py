"""Bugs to plant in the reference design, each a thing that a real system or a draft of ours got wrong.

They prove the simulator: a bug that it does not find within its stated number of seeds means that the
generator or the checks have gone blind. A bug is the reference fold, server or tablet with one method spoilt;
its docstring says how.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from typing import Any, NamedTuple

from tests.simulation.model import CONTESTED, DELETED, Change, History, Live, Status, merge_type
from tests.simulation.peers import (
    Acknowledgement,
    Cursor,
    CursorGone,
    Envelope,
    Forked,
    Item,
    NewEpoch,
    Page,
    PushAnswer,
    Server,
    State,
    Tablet,
)


class Bug(NamedTuple):
    """What to run in place of the design."""

    within: int
    """So many seeds in a row notice it, wherever they begin: about all but once in a thousand times."""
    first: int
    """The first seed that does, to be quick in tests. Changes whenever the simulation draws other numbers."""
    history: type[History] = History
    server: type[Server] = Server
    tablet: type[Tablet] = Tablet

    @property
    def what(self) -> str:
        spoilt = [part for part, sound in zip(self[2:], DESIGN[2:], strict=True) if part is not sound]
        return (spoilt[-1].__doc__ or "").split("\n")[0]


DESIGN = Bug(within=0, first=0)


# --- the fold


class NewestClockWins(History):
    """The value with the greatest clock stays, the others vanish."""

    @cached_property
    def live(self) -> dict[str, Live]:
        return only_one(super().live, lambda id: (self.changes[id]["hlc"], id))


class LastPushWins(History):
    """The value that arrived last stays (Turso's documented rule for conflicts)."""

    @cached_property
    def live(self) -> dict[str, Live]:
        arrival = list(self.changes)
        return only_one(super().live, arrival.index)


class ResolveAll(History):
    """A resolution closes whatever is open when it arrives, not what its author saw."""

    @cached_property
    def live(self) -> dict[str, Live]:
        live, arrival = super().live, list(self.changes)
        for paths in live.values():
            for path, values in paths.items():
                resolutions = [id for id in values if len(self.changes[id]["set"][path]["parents"]) > 1]
                newest = max(map(arrival.index, resolutions), default=0)
                paths[path] = {id: value for id, value in values.items() if arrival.index(id) >= newest}
        return live


class AcrossClasses(History):
    """A value is replaced by a change of a record that is another thing by now; an unmerge keeps it so."""

    @cached_property
    def live(self) -> dict[str, Live]:
        live = super().live
        for id in self.in_force:
            for path, written in self.changes[id]["set"].items():
                for paths in live.values():
                    for parent in written["parents"]:
                        paths.get(path, {}).pop(parent, None)
        return live


class ParkedKills(History):
    """A change that is not in force replaces values."""

    @cached_property
    def live(self) -> dict[str, Live]:
        return without(super().live, (id for id in self.changes if id not in self.in_force), self)


class UndoneKills(History):
    """What a withdrawn change had replaced does not come back."""

    @cached_property
    def live(self) -> dict[str, Live]:
        return without(super().live, (id for id in self.changes if self.named_by(id, "withdraw")), self)


class DirectParentsOnly(History):
    """A parked parent is not looked through: what its author had replaced shows beside the newer value."""

    def effective_parents(self, change: Change, path: str) -> set[str]:
        return set(change["set"][path]["parents"])


class AdmittedReplacesNothing(History):
    """An admitted change shows its values beside those that its author had replaced."""

    def effective_parents(self, change: Change, path: str) -> set[str]:
        accepted = self.status.get(change["id"], "accepted") == "accepted"
        return super().effective_parents(change, path) if accepted else set()


class LooksThroughStrangers(History):
    """A parked parent is looked through although its record is another thing by now."""

    def _same_class(self, id: str, change: Change) -> bool:
        return id in self.changes


class OneStepOnly(History):
    """One parked parent is looked through, a second one behind it is not."""

    def effective_parents(self, change: Change, path: str) -> set[str]:
        found = set()
        for parent in change["set"][path]["parents"]:
            known = (
                parent in self.changes and parent not in self.in_force and self._same_class(parent, change)
            )
            found |= (
                set(self.changes[parent]["set"].get(path, {"parents": ()})["parents"]) if known else {parent}
            )
        return found


class ParentMustBeKnown(History):
    """A parent that arrives after its child is not replaced by it."""

    def effective_parents(self, change: Change, path: str) -> set[str]:
        arrival = list(self.changes)
        before = arrival[: arrival.index(change["id"])] if change["id"] in self.changes else arrival
        return super().effective_parents(change, path) & set(before)


class AcrossPaths(History):
    """A value's parents are replaced on every path that they wrote, not on this one only."""

    @cached_property
    def live(self) -> dict[str, Live]:
        live = super().live
        for id in self.in_force:
            change = self.changes[id]
            parents = {parent for path in change["set"] for parent in self.effective_parents(change, path)}
            for path, values in live[self.roots[change["record"]]].items():
                if merge_type(path) != "counter":
                    for parent in parents:
                        values.pop(parent, None)
        return live


class FirstPathOnly(History):
    """Of a change that writes several paths, only the first is taken."""

    @cached_property
    def live(self) -> dict[str, Live]:
        first = {id: next(iter(change["set"]), None) for id, change in self.changes.items()}
        return {
            root: {
                path: {id: values[id] for id in values if first[id] == path} for path, values in paths.items()
            }
            for root, paths in super().live.items()
        }


class WithdrawOnce(History):
    """A withdrawal is final: withdrawing it does not bring the withdrawn change back."""

    def __init__(self, entries: Any) -> None:
        super().__init__(entries)
        ignore_withdrawals(self, of="withdraw")


class AdmitForEver(History):
    """An admission cannot be withdrawn."""

    def __init__(self, entries: Any) -> None:
        super().__init__(entries)
        ignore_withdrawals(self, of="admit")


class MergeForEver(History):
    """A merge cannot be withdrawn."""

    def __init__(self, entries: Any) -> None:
        super().__init__(entries)
        ignore_withdrawals(self, of="merge")


class EarlyDecisionDropped(History):
    """A decision that arrives before the change that it names decides nothing."""

    def __init__(self, entries: Any) -> None:
        super().__init__(entries)
        arrival = {id: n for n, id in enumerate(self.changes)}
        for named in self.naming.values():
            for target, ids in named.items():
                named[target] = [id for id in ids if arrival[id] > arrival.get(target, -1)]


class RootByArrival(History):
    """A merged record goes by the name of the member that arrived first."""

    def root(self, members: frozenset[str]) -> str:
        records: list[str] = [change["record"] for change in self.changes.values()]
        return next(record for record in records if record in members)


class MergeForgetsTheOther(History):
    """A merged record shows its root's values; the others' are gone."""

    @cached_property
    def live(self) -> dict[str, Live]:
        return {
            root: {
                path: {id: values[id] for id in values if self.changes[id]["record"] == root}
                for path, values in paths.items()
            }
            for root, paths in super().live.items()
        }


class DeleteBlind(History):
    """A deletion hides the record whether or not its author had seen everything."""

    def is_deleted(self, root: str) -> bool:
        return any(isinstance(value, dict) for value in self.live[root].get(DELETED, {}).values())


class EqualIsConflict(History):
    """Two people who write the same are told that they disagree (geodiff #152)."""

    def conflicts(self, root: str) -> dict[str, str]:
        differing = {path for path, values in self.live[root].items() if len(values) > 1}
        contested = {
            path: "values" for path in differing if path != DELETED and merge_type(path) in CONTESTED
        }
        return super().conflicts(root) | contested


class KeysInOrder(History):
    """The same answer with its parts in another order counts as another answer."""

    def conflicts(self, root: str) -> dict[str, str]:
        found = super().conflicts(root)
        for path, values in self.live[root].items():
            if (
                merge_type(path) in CONTESTED
                and path != DELETED
                and len(set(map(json.dumps, values.values()))) > 1
            ):
                found[path] = "values"
        return found


class OneIsTrue(History):
    """1 and true count as equal, so that a disagreement is not told."""

    def conflicts(self, root: str) -> dict[str, str]:
        found = super().conflicts(root)
        for path in [path for path, kind in found.items() if kind == "values"]:
            first, *rest = self.live[root][path].values()
            if all(value == first for value in rest):
                del found[path]
        return found


class RemoveWins(History):
    """A tag that one person removed and another added at the same time is off."""

    def reading(self, root: str, path: str) -> Any:
        if merge_type(path) == "tag":
            return all(self.live[root][path].values())
        return super().reading(root, path)


class NewestIncrement(History):
    """A counter is treated as a value: an increment replaces the others."""

    def reading(self, root: str, path: str) -> Any:
        if merge_type(path) == "counter":
            return max(self.live[root][path].items())[1]
        return super().reading(root, path)


def only_one(live: dict[str, Live], newest: Any) -> dict[str, Live]:
    """Of every contested path only the newest value."""
    return {
        root: {
            path: dict([max(values.items(), key=lambda item: newest(item[0]))])
            if values and merge_type(path) in CONTESTED
            else values
            for path, values in paths.items()
        }
        for root, paths in live.items()
    }


def without(live: dict[str, Live], ids: Any, history: History) -> dict[str, Live]:
    """Less the parents of these changes, in their own classes."""
    for id in ids:
        change = history.changes[id]
        for path, written in change["set"].items():
            if merge_type(path) != "counter":
                for parent in written["parents"]:
                    live[history.roots[change["record"]]].get(path, {}).pop(parent, None)
    return live


def ignore_withdrawals(history: History, of: str) -> None:
    withdrawn = history.naming["withdraw"]
    for target in [id for id in withdrawn if history.changes.get(id, {}).get("decision", {}).get("do") == of]:
        del withdrawn[target]


# --- the server


class UnmergeKeepsDead(Server):
    """What was replaced across two merged records stays marked as replaced when they come apart."""

    def _show(self, new: History, touched: str) -> None:
        dead: dict[tuple[str, str], bool] = vars(self).setdefault("dead", {})
        for id in new.in_force:
            change = new.changes[id]
            for path in change["set"]:
                for parent in new.effective_parents(change, path):
                    known = new.changes.get(parent)
                    if known and known["record"] != change["record"] and new._same_class(parent, change):
                        dead[path, parent] = True
        for paths in new.live.values():
            for path, parent in dead:
                paths.get(path, {}).pop(parent, None)
        super()._show(new, touched)


class NumberReuseIgnored(Server):
    """A number that is known counts as a duplicate, whatever comes under it (Turso #8129)."""

    def receive(self, envelope: Envelope) -> bool:
        return super().receive(envelope) or True

    def acknowledge(self, change: Change) -> Acknowledgement:
        known = change["id"] in self.log and change["record"] in self.history.roots
        return super().acknowledge(change) if known else unstored(change, "accepted")


def unstored(change: Change, status: Status) -> Acknowledgement:
    return Acknowledgement(change["id"], status, change["record"], rev=0, bucket=0, position=0)


class MergedAwayDropped(Server):
    """Changes that arrive for a record that was merged away are dropped."""

    def store(self, change: Change, status: Status) -> None:
        if self.root_of(change["record"]) == change["record"]:
            super().store(change, status)

    def acknowledge(self, change: Change) -> Acknowledgement:
        known = change["id"] in self.log
        return super().acknowledge(change) if known else unstored(change, "accepted")


class ParkedDropped(Server):
    """A parked change is acknowledged and thrown away."""

    def store(self, change: Change, status: Status) -> None:
        if status != "parked":
            super().store(change, status)

    def acknowledge(self, change: Change) -> Acknowledgement:
        known = change["id"] in self.log
        return super().acknowledge(change) if known else unstored(change, "parked")


class ParkedRefused(Server):
    """What cannot be accepted is refused, and jams the outbox with everything after it (PowerSync)."""

    def push(self, epoch: int, envelopes: list[Envelope]) -> PushAnswer | NewEpoch | Forked:
        if epoch == self.epoch and any(
            self.status_of(envelope.change) != "accepted" for envelope in envelopes
        ):
            return PushAnswer([], 0)
        return super().push(epoch, envelopes)


class StatusOnRetry(Server):
    """A change that arrives again gets the status that it would have now."""

    def receive(self, envelope: Envelope) -> bool:
        change = envelope.change
        if change["id"] in self.log:
            self.log[change["id"]] = (change, self.status_of(change))
        return super().receive(envelope)


class CountedTwice(Server):
    """An increment that arrives again is stored again."""

    def receive(self, envelope: Envelope) -> bool:
        change = envelope.change
        if change["id"] in self.log and "visits" in change["set"] and self.log[change["id"]][1] == "accepted":
            again = {**change, "id": f"{change['id']}-again-{len(self.log)}"}
            self.store({**again, "set": {"visits": change["set"]["visits"]}}, "accepted")
        return super().receive(envelope)


class NoEpoch(Server):
    """A server that was restored from a backup does not say so (CHT #8093, kinto.js #178)."""

    def push(self, epoch: int, envelopes: list[Envelope]) -> PushAnswer | NewEpoch | Forked:
        return super().push(self.epoch, envelopes)

    def pull(self, epoch: int, cursors: Mapping[int, Cursor], limit: int) -> Page | NewEpoch | CursorGone:
        return super().pull(self.epoch, cursors, limit)


class GappyFeed(Server):
    """A position is visible before an earlier one is committed, and the reader goes past the gap."""

    def rows_after(self, bucket: int, position: int) -> list[tuple[int, str, bool]]:
        rows = super().rows_after(bucket, position)
        in_flight: dict[tuple[int, int], bool] = vars(self).setdefault("in_flight", {})
        for row in rows[:-1]:
            if row[0] % 8 == 0 and not in_flight.get((bucket, row[0])):
                in_flight[bucket, row[0]] = True
                rows.remove(row)
        return rows


class NoFloor(Server):
    """Removals are pruned, and nobody tells the tablet that had not read them."""

    def is_gone(self, bucket: int, cursor: Cursor) -> bool:
        return False


class FloorWithoutBeginning(Server):
    """A tablet that is still reading a bucket for the first time is told to begin again, for ever."""

    def is_gone(self, bucket: int, cursor: Cursor) -> bool:
        return self.feeds[bucket].floor > cursor.position


class MergedAwayStays(Server):
    """The record that was merged away is not removed from its bucket's feed."""

    def _remove(self, root: str) -> None:
        bucket = self.placed[root]
        super()._remove(root)
        if root not in self.history.classes:
            del self.feeds[bucket].rows[root]


class OwnRecordOnly(Server):
    """A decision is published on its own record, not on those of the changes that it names."""

    def differs(self, root: str, old: History) -> bool:
        return old.classes.get(root) != self.history.classes[root]


class ClosingUnpublished(Server):
    """A tablet is not told that a decision on another record has closed its parked change."""

    def differs(self, root: str, old: History) -> bool:
        return (
            old.classes.get(root) != self.history.classes[root] or old.live[root] != self.history.live[root]
        )


class RevStartsAgain(Server):
    """A record that comes out of a merge counts its revisions on from where it had gone in."""

    def next_rev(self, members: frozenset[str], old: History, revs: Mapping[str, int]) -> int:
        return 1 + revs.get(next(root for root, found in self.history.classes.items() if found == members), 0)

    def _publish(self, root: str, rev: int) -> None:
        before = dict(self.revs)
        super()._publish(root, rev)
        self.revs = before | {root: rev}


# --- the tablet


class AcknowledgedByNumber(Tablet):
    """Everything up to the greatest number that the server knows of this replica counts as acknowledged."""

    def on_acknowledged(self, answer: PushAnswer) -> None:
        super().on_acknowledged(answer)
        for id, envelope in list(self.queued.items()):
            if envelope.replica == self.replica and envelope.n <= answer.high:
                del self.queued[id]
                self.acknowledged[id] = (envelope, unstored(envelope.change, "accepted"))


class DroppedOnAcknowledgement(Tablet):
    """An own change is taken off the screen as soon as the server has it, before the server's state came."""

    def pending(self) -> list[Change]:
        return [envelope.change for envelope in self.queued.values()]


class SettledOnAnyPage(Tablet):
    """From a page that was not the last it is concluded that a record left our scope (PowerSync dart#253)."""

    def left_scope(self, acknowledgement: Acknowledgement, page: Page) -> bool:
        return super().left_scope(acknowledgement, page._replace(complete=True))


class SettledByOldRoot(Tablet):
    """A change counts as contained in a state of its former root, although the two have come apart."""

    def looked_up(self, change: Change, acknowledgement: Acknowledgement) -> str:
        return acknowledgement.root


class SettledByStateOnly(Tablet):
    """Own changes to records that left our scope stay on the screen for ever."""

    def left_scope(self, acknowledgement: Acknowledgement, page: Page) -> bool:
        return False


class CursorFirst(Tablet):
    """The cursor is saved before the rows (PouchDB #1240)."""

    def on_pull(self, answer: Page | NewEpoch | CursorGone, crash: bool = False) -> bool:
        if isinstance(answer, Page):
            self.cursors.update(answer.cursors)
        return super().on_pull(answer, crash)


class RemoveWipes(Tablet):
    """A record that leaves one bucket is dropped although another bucket holds it."""

    def leave(self, root: str, bucket: int) -> None:
        self.sources.pop(root, None)
        self.pulled.pop(root, None)


class AliasForgotten(Tablet):
    """Own changes to a record that was merged away are not shown in the record that it has become."""

    def view(self, record: str) -> Live:
        root = self.roots().get(record, record)
        pending = {change["id"] for change in self.pending() if change["record"] != root}
        return {
            path: {id: value for id, value in values.items() if id not in pending}
            for path, values in super().view(record).items()
        }


class OverlayAcrossPaths(Tablet):
    """A pending change hides its parents on every path that they wrote."""

    def take_away_parents(self, change: Change, live: Live) -> None:
        for written in change["set"].values():
            for parent in written["parents"]:
                for values in live.values():
                    values.pop(parent, None)


class NewIdsAfterFork(Tablet):
    """A restored tablet gives new ids to what it had not heard about, and sends it as new."""

    def on_forked(self, new_replica: str) -> None:
        super().on_forked(new_replica)
        for id, envelope in list(self.queued.items()):
            del self.queued[id]
            again = {**envelope.change, "id": f"{id}-{self.replica}"}
            self.queued[again["id"]] = envelope._replace(change=again)


class RebasedOnPush(Tablet):
    """Before it is sent, a change is made to replace what the tablet has pulled since: nobody saw that."""

    def offer(self, most: int) -> list[Envelope]:
        return [envelope._replace(change=self.rebased(envelope.change)) for envelope in super().offer(most)]

    def rebased(self, change: Change) -> Change:
        record: str = change["record"]
        state = self.pulled.get(self.roots().get(record, record))
        now = state.live if state else {}
        return {
            **change,
            "set": {
                path: {
                    **written,
                    "parents": sorted({*written["parents"], *now.get(path, ())} - {change["id"]}),
                }
                for path, written in change["set"].items()
            },
        }


class StatesOutliveEpoch(Tablet):
    """What was pulled before the server was restored is kept, with its revisions."""

    def forget_pulled(self) -> None:
        self.cursors = {bucket: Cursor() for bucket in self.cursors}


class NothingOfferedAgain(Tablet):
    """What the server had acknowledged before it was restored is not offered again."""

    def on_new_epoch(self, answer: NewEpoch) -> None:
        queued, acknowledged, settled = self.queued, self.acknowledged, self.settled
        super().on_new_epoch(answer)
        self.queued, self.acknowledged, self.settled = queued, acknowledged, settled


class OldestStateWins(Tablet):
    """A state that was pulled before is not replaced by a newer one of the same record."""

    def apply(self, item: Item) -> None:
        if item.state is None or item.root not in self.pulled:
            super().apply(item)


class OldClaimReturns(Tablet):
    """A record that came out of a merge and left our scope is shown as it was inside the merge."""

    def roots(self) -> dict[str, str]:
        oldest_first = sorted(self.pulled.values(), key=lambda state: state.rev)
        return {member: state.root for state in oldest_first for member in state.members}

    def take_over(self, state: State) -> None:
        for absorbed in state.members - {state.root}:
            self.pulled.pop(absorbed, None)
            self.sources.pop(absorbed, None)


BUGS: dict[str, Bug] = {
    "lww": Bug(3, 0, history=NewestClockWins),
    "last_push_wins": Bug(3, 0, history=LastPushWins),
    "resolve_all": Bug(3, 0, history=ResolveAll),
    "cross_rec": Bug(100, 34, history=AcrossClasses),
    "parked_kills": Bug(10, 0, history=ParkedKills),
    "undone_kills": Bug(60, 9, history=UndoneKills),
    "direct_parents_only": Bug(40, 1, history=DirectParentsOnly),
    "one_step_only": Bug(500, 1, history=OneStepOnly),
    "looks_through_strangers": Bug(1500, 344, history=LooksThroughStrangers),
    "admit_ignores_parents": Bug(40, 4, history=AdmittedReplacesNothing),
    "parent_must_be_known": Bug(100, 34, history=ParentMustBeKnown),
    "across_paths": Bug(3, 0, history=AcrossPaths),
    "first_path_only": Bug(3, 0, history=FirstPathOnly),
    "withdraw_once": Bug(20, 1, history=WithdrawOnce),
    "admit_for_ever": Bug(100, 19, history=AdmitForEver),
    "merge_for_ever": Bug(40, 1, history=MergeForEver),
    "early_decision_dropped": Bug(60, 25, history=EarlyDecisionDropped),
    "root_by_arrival": Bug(20, 0, history=RootByArrival),
    "merge_forgets": Bug(10, 0, history=MergeForgetsTheOther),
    "delete_blind": Bug(3, 0, history=DeleteBlind),
    "equal_is_conflict": Bug(5, 0, history=EqualIsConflict),
    "keys_in_order": Bug(20, 2, history=KeysInOrder),
    "one_is_true": Bug(10, 3, history=OneIsTrue),
    "remove_wins": Bug(5, 0, history=RemoveWins),
    "newest_increment": Bug(3, 0, history=NewestIncrement),
    "unmerge_keeps_dead": Bug(100, 34, server=UnmergeKeepsDead),
    "ignore_number_reuse": Bug(20, 0, server=NumberReuseIgnored),
    "drop_merged": Bug(10, 0, server=MergedAwayDropped),
    "parked_dropped": Bug(3, 0, server=ParkedDropped),
    "parked_refused": Bug(3, 0, server=ParkedRefused),
    "status_on_retry": Bug(40, 0, server=StatusOnRetry),
    "counted_twice": Bug(5, 0, server=CountedTwice),
    "no_epoch": Bug(40, 0, server=NoEpoch),
    "gappy": Bug(20, 0, server=GappyFeed),
    "no_floor": Bug(40, 6, server=NoFloor),
    "no_bootstrap_floor": Bug(5, 0, server=FloorWithoutBeginning),
    "merged_away_stays": Bug(40, 0, server=MergedAwayStays),
    "own_record_only": Bug(60, 9, server=OwnRecordOnly),
    "closing_unpublished": Bug(300, 32, server=ClosingUnpublished),
    "rev_starts_again": Bug(100, 7, server=RevStartsAgain),
    "ack_by_number": Bug(20, 1, tablet=AcknowledgedByNumber),
    "drop_on_ack": Bug(3, 0, tablet=DroppedOnAcknowledgement),
    "settle_on_page": Bug(20, 2, tablet=SettledOnAnyPage),
    "settle_by_old_root": Bug(3000, 411, tablet=SettledByOldRoot),
    "settle_by_state_only": Bug(5, 0, tablet=SettledByStateOnly),
    "cursor_first": Bug(10, 1, tablet=CursorFirst),
    "remove_wipes": Bug(5, 0, tablet=RemoveWipes),
    "alias_forgotten": Bug(20, 0, tablet=AliasForgotten),
    "overlay_across_paths": Bug(3, 0, tablet=OverlayAcrossPaths),
    "new_ids_after_fork": Bug(20, 0, tablet=NewIdsAfterFork),
    "rebase_on_push": Bug(3, 0, tablet=RebasedOnPush),
    "states_outlive_epoch": Bug(60, 0, tablet=StatesOutliveEpoch),
    "nothing_offered_again": Bug(40, 0, tablet=NothingOfferedAgain),
    "old_claim_returns": Bug(10000, 2022, tablet=OldClaimReturns),
    "oldest_state_wins": Bug(3, 0, tablet=OldestStateWins),
}
