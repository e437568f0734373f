"""Accounts, their sessions, wrong guesses and the record of sign-ins, as rows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from sqlalchemy import Connection, delete, func, or_, select, update

from server.storage.database import Bulk
from server.storage.tables_access import people
from server.storage.tables_accounts import accounts, guesses, sessions, sign_ins, spare_codes


class Account(NamedTuple):
    """How a person signs in; see `tables_accounts`."""

    person: str
    login: str
    phone: str | None
    password: str | None
    code: bytes | None
    code_until: int | None
    totp: bytes | None
    totp_step: int
    opened: int
    changed: int | None
    closed: int | None


class Session(NamedTuple):
    """Somebody who is signed in (`stage` signed), or halfway (second)."""

    digest: bytes
    person: str
    stage: str
    began: int
    seen: int
    ends: int
    address: str
    agent: str


class Guess(NamedTuple):
    """Wrong guesses in a row, and when the next one is looked at."""

    key: str
    count: int  # type: ignore[assignment]  # tuple.count is of no use here
    newest: int
    free: int


class SignIn(NamedTuple):
    """One attempt and what came of it."""

    at: int
    person: str | None
    outcome: str
    address: str
    agent: str


_keep_spare = Bulk(spare_codes, ("digest", "person"), ignore=True)
_keep_guess = Bulk(guesses, Guess._fields, conflict=("key",))


# --- Accounts -------------------------------------------------------------------------------------------------


def add(conn: Connection, account: Account) -> None:
    conn.execute(accounts.insert().values(account._asdict()))


def put(conn: Connection, account: Account) -> None:
    """Write an account that exists."""
    conn.execute(update(accounts).where(accounts.c.person == account.person).values(account._asdict()))


def get(conn: Connection, person: str) -> Account | None:
    row = conn.execute(select(accounts).where(accounts.c.person == person)).first()
    return Account(*row) if row else None


def named(conn: Connection, login: str) -> Account | None:
    """The account of this sign-in name or telephone number, closed or not."""
    row = conn.execute(select(accounts).where(or_(accounts.c.login == login, accounts.c.phone == login))).first()
    return Account(*row) if row else None


def every(conn: Connection) -> list[tuple[Account, str]]:
    """(account, name of the person), in the order in which they were opened."""
    wanted = select(*accounts.c, people.c.name).join(people, people.c.id == accounts.c.person)
    rows = conn.execute(wanted.order_by(accounts.c.opened, accounts.c.person))
    return [(Account(*row[:-1]), row[-1]) for row in rows]


def step_used(conn: Connection, person: str, step: int) -> bool:
    """Use up a step of the one-time codes; False where it, or a later one, was used before. Of two, one is told True."""
    fresh = (accounts.c.person == person) & (accounts.c.totp_step < step)
    return conn.execute(update(accounts).where(fresh).values(totp_step=step)).rowcount == 1


def put_spare(conn: Connection, person: str, digests: Iterable[bytes]) -> None:
    """Replace a person's recovery codes."""
    conn.execute(delete(spare_codes).where(spare_codes.c.person == person))
    _keep_spare(conn, [(one, person) for one in digests])


def use_spare(conn: Connection, person: str, digest: bytes) -> bool:
    """Use a recovery code up; False where it is none of this person's."""
    own = (spare_codes.c.digest == digest) & (spare_codes.c.person == person)
    return conn.execute(delete(spare_codes).where(own)).rowcount == 1


def spare_left(conn: Connection, person: str) -> int:
    return int(conn.scalar(select(func.count()).where(spare_codes.c.person == person)) or 0)


# --- Sessions -------------------------------------------------------------------------------------------------


def begin(conn: Connection, session: Session) -> None:
    conn.execute(sessions.insert().values(session._asdict()))


def session(conn: Connection, digest: bytes) -> Session | None:
    row = conn.execute(select(sessions).where(sessions.c.digest == digest)).first()
    return Session(*row) if row else None


def sessions_of(conn: Connection, person: str) -> list[Session]:
    """The newest first."""
    wanted = select(sessions).where(sessions.c.person == person).order_by(sessions.c.seen.desc())
    return [Session(*row) for row in conn.execute(wanted)]


def touch(conn: Connection, digest: bytes, now: int) -> None:
    conn.execute(update(sessions).where(sessions.c.digest == digest).values(seen=now))


def end(conn: Connection, digest: bytes) -> None:
    conn.execute(delete(sessions).where(sessions.c.digest == digest))


def end_of(conn: Connection, person: str, but: bytes = b"") -> int:
    """End a person's sessions, but one; returns how many."""
    return conn.execute(delete(sessions).where(sessions.c.person == person, sessions.c.digest != but)).rowcount


def forget_over(conn: Connection, idle_since: int, now: int) -> None:
    """Forget the sessions that are over."""
    conn.execute(delete(sessions).where(or_(sessions.c.seen < idle_since, sessions.c.ends <= now)))


# --- Guesses --------------------------------------------------------------------------------------------------


def guess(conn: Connection, key: str) -> Guess:
    row = conn.execute(select(guesses).where(guesses.c.key == key)).first()
    return Guess(*row) if row else Guess(key, 0, 0, 0)


def keep_guess(conn: Connection, one: Guess) -> None:
    _keep_guess(conn, [tuple(one)])


def forgive(conn: Connection, keys: Iterable[str]) -> None:
    conn.execute(delete(guesses).where(guesses.c.key.in_(list(keys))))


def forget_guesses(conn: Connection, before: int) -> None:
    conn.execute(delete(guesses).where(guesses.c.newest < before))


# --- Sign-ins -------------------------------------------------------------------------------------------------


def note(conn: Connection, one: SignIn) -> None:
    conn.execute(sign_ins.insert().values(one._asdict()))


def noted(conn: Connection, person: str, limit: int) -> list[SignIn]:
    """A person's sign-ins, the newest first."""
    wanted = select(*(sign_ins.c[name] for name in SignIn._fields)).where(sign_ins.c.person == person)
    rows = conn.execute(wanted.order_by(sign_ins.c.at.desc(), sign_ins.c.number.desc()).limit(limit))
    return [SignIn(*row) for row in rows]


def forget_noted(conn: Connection, before: int) -> None:
    conn.execute(delete(sign_ins).where(sign_ins.c.at < before))
