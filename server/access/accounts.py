"""How people sign in at a desk: name and password, a second step where they set one up, and sessions that end.

    open_account → a one-time code → `first` sets the password → `sign_in` → (`second`) → `current`, with each request → `sign_out`

The browser holds a random token and the database its hash; each step of signing in makes a new one. What is answered to
a wrong name, a wrong password and an expired code is one and the same, after the same work.
"""

from __future__ import annotations

import hmac
import re
import secrets
import unicodedata
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from hashlib import sha256
from typing import NamedTuple

from schemas.labels import Label
from server import acts
from server.access import enrolment, guesses, passwords, rights, second
from server.instance import Instance
from server.storage import accounts, facts, people
from server.storage.accounts import Account, Session, SignIn
from server.storage.database import Connection
from server.storage.people import Person
from sync.core.errors import InvalidField, NotFound, Refused, SignInFailed

IDLE_MS = 15 * 60_000
LONGEST_MS = 8 * 3_600_000
HALFWAY_MS = 5 * 60_000
"""How long the second step is waited for."""
CODE_MS = 24 * 3_600_000
TOUCH_MS = 30_000
"""How often it is written down that a session is used."""
NOTED_MS = 400 * 86_400_000
"""How long sign-ins are kept."""

OUTCOMES = {
    "in": Label("登录", "Signed in"),
    "first": Label("设置密码并登录", "Set the password and signed in"),
    "wrong": Label("密码或代码不对", "Wrong password or code"),
    "second": Label("验证码不对", "Wrong code of the second step"),
}
"""What came of an attempt to sign in, as it is noted."""

SIGNED, SECOND = "signed", "second"
_LOGIN = re.compile(r"[\w.@+-]{2,60}\Z")
_PHONE = re.compile(r"1[3-9]\d{9}\Z")


class Visit(NamedTuple):
    """Where a request comes from. `known`: what a browser was given when its owner signed in there before."""

    address: str
    agent: str
    known: str = ""


class Begun(NamedTuple):
    """A session for the browser: its token, whether the second step is still missing, and the mark of a known browser."""

    token: str
    halfway: bool
    known: str


# --- Accounts -------------------------------------------------------------------------------------------------


def open_account(house: Instance, person: Person, login: str, phone: str | None, by: str) -> str:
    """Let a person sign in; the one-time code with which the password is set. It is shown once.

    Raises InvalidField for a name or number that will not do, Refused where somebody else has it or an account is open.
    """
    name, number = folded(login), folded(phone) if phone else None
    if not _LOGIN.match(name) or name.isdecimal():
        detail = Label(
            "应为 2 至 60 个字母、汉字、数字或 . @ + - _，不能全是数字",
            "has 2 to 60 letters, digits or . @ + - _, not digits alone",
        )
        raise InvalidField(field="login", detail=detail)
    if number is not None and not _PHONE.match(number):
        raise InvalidField(field="phone", detail=Label("应为 11 位手机号", "is a mobile number of 11 digits"))
    now = house.now()
    code = enrolment.new_code()
    with house.database.write() as conn:
        if accounts.get(conn, person.id) is not None:
            raise Refused(detail=Label(f"{person.name} 已有账号", f"{person.name} has an account already"))
        for taken in (name, number):
            if taken is not None and accounts.named(conn, taken) is not None:
                raise Refused(detail=Label(f"“{taken}”已被使用", f"{taken} is taken"))
        digest = _code_digest(house, code)
        accounts.add(conn, Account(person.id, name, number, None, digest, now + CODE_MS, None, 0, now, None, None))
        _act(conn, person.id, acts.ACCOUNT_OPENED, now, by=by, person=person.id)
    return code


def reset(house: Instance, person: str, by: str, *, second_too: bool = False) -> str:
    """A new one-time code for somebody who forgot the password; all sessions end. `second_too`: the phone is gone as well.

    Raises NotFound where the person has no account. Opens one again that was closed.
    """
    now, code = house.now(), enrolment.new_code()
    with house.database.write() as conn:
        account = _the(conn, person)
        fresh = account._replace(password=None, code=_code_digest(house, code), code_until=now + CODE_MS, closed=None)
        accounts.put(conn, fresh._replace(totp=None) if second_too else fresh)
        if second_too:
            accounts.put_spare(conn, person, [])
        accounts.end_of(conn, person)
        _act(conn, person, acts.ACCOUNT_RESET, now, by=by, person=person, second=second_too)
    return code


def close(house: Instance, person: str, by: str) -> None:
    """Nobody signs in by this account any more; all sessions end."""
    now = house.now()
    with house.database.write() as conn:
        account = _the(conn, person)
        accounts.put(conn, account._replace(closed=now, code=None))
        accounts.end_of(conn, person)
        _act(conn, person, acts.ACCOUNT_CLOSED, now, by=by, person=person)


def end_sessions(house: Instance, person: str, by: str, but: bytes = b"") -> int:
    """End a person's sessions, but one; returns how many."""
    now = house.now()
    with house.database.write() as conn:
        _the(conn, person)
        count = accounts.end_of(conn, person, but)
        if by != person:
            _act(conn, person, acts.SESSIONS_ENDED, now, by=by, person=person)
    return count


def end_session(house: Instance, person: str, named: str) -> bool:
    """End one session of a person, by the hexadecimal digest of its token; False where there is none of theirs."""
    try:
        digest = bytes.fromhex(named)
    except ValueError:
        return False
    with house.database.write() as conn:
        found = accounts.session(conn, digest)
        if found is None or found.person != person:
            return False
        accounts.end(conn, digest)
    return True


# --- Signing in -----------------------------------------------------------------------------------------------


def sign_in(house: Instance, login: str, password: str, visit: Visit) -> Begun:
    """Begin a session. Raises SignInFailed for anything that is wrong, TooManyGuesses while the next guess has to wait."""
    with house.database.read() as conn:
        account = accounts.named(conn, folded(login))
    keys = _count(house, account, login, visit)
    right = passwords.fits(account.password if account is not None else None, password)
    if not right or account is None or account.closed is not None:
        raise _failed(house, account, visit)
    return _begin(house, account, visit, keys, "in")


def first(house: Instance, login: str, code: str, password: str, visit: Visit) -> Begun:
    """Set the password by the one-time code and begin a session.

    Raises SignInFailed, TooManyGuesses, and InvalidField for a password that is too easy (the code is not spent then).
    """
    now = house.now()
    with house.database.read() as conn:
        account = accounts.named(conn, folded(login))
        person = people.person(conn, account.person) if account is not None else None
        authority = facts.get(conn, facts.NAME)
    keys = _count(house, account, login, visit)
    digest = _code_digest(house, code)
    right = account is not None and account.code is not None and hmac.compare_digest(account.code, digest)
    if account is None or person is None or not right or account.closed is not None or (account.code_until or 0) <= now:
        raise _failed(house, account, visit)
    passwords.check_strength(password, (account.login, account.phone or "", person.name, authority))
    kept = passwords.hashed(password)
    with house.database.write() as conn:
        newest = accounts.get(conn, account.person)
        if newest is None or newest.code != digest:  # somebody was quicker
            raise SignInFailed()
        accounts.put(conn, newest._replace(password=kept, code=None, code_until=None, changed=now))
        accounts.end_of(conn, account.person)
    return _begin(house, account, visit, keys, "first")


def complete(house: Instance, token: str, code: str, visit: Visit) -> Begun:
    """The second step. Raises SignInFailed, TooManyGuesses, or NotFound where no session is halfway."""
    now = house.now()
    with house.database.read() as conn:
        session = _running(conn, token, now)
        account = accounts.get(conn, session.person) if session is not None and session.stage == SECOND else None
    if session is None or account is None or account.totp is None or account.closed is not None:
        raise NotFound(what=Label("登录", "sign-in"))
    keys = _count(house, account, account.login, visit)
    with house.database.write() as conn:
        right = second.passes(conn, house.keys, account, code, now)
        if right:
            accounts.end(conn, session.digest)
    if not right:
        raise _failed(house, account, visit, "second")
    return _begin(house, account, visit, keys, "in", whole=True)


def sign_out(house: Instance, token: str) -> None:
    with house.database.write() as conn:
        accounts.end(conn, digest_of(token))


def current(house: Instance, token: str) -> Session | None:
    """The session that a token belongs to, whole or halfway; None where it is over. Notes that it is used."""
    now = house.now()
    with house.database.read() as conn:
        session = _running(conn, token, now)
        account = accounts.get(conn, session.person) if session is not None else None
    if session is None or account is None or account.closed is not None:
        return None
    if now - session.seen > TOUCH_MS:
        with house.database.write() as conn:
            accounts.touch(conn, session.digest, now)
    return session


# --- What people change themselves ----------------------------------------------------------------------------


def change_password(house: Instance, session: Session, old: str, new: str, visit: Visit) -> None:
    """Raises SignInFailed for a wrong old one, TooManyGuesses, InvalidField for one that is too easy. Ends other sessions."""
    with house.database.read() as conn:
        account = _the(conn, session.person)
        person = people.person(conn, session.person)
        authority = facts.get(conn, facts.NAME)
    keys = _count(house, account, account.login, visit)
    if not passwords.fits(account.password, old):
        raise _failed(house, account, visit)
    passwords.check_strength(new, (account.login, account.phone or "", person.name if person else "", authority))
    kept = passwords.hashed(new)
    with house.database.write() as conn:
        guesses.forgive(conn, keys, house.now())
        accounts.put(conn, _the(conn, account.person)._replace(password=kept, changed=house.now()))
        accounts.end_of(conn, account.person, session.digest)


def set_second(house: Instance, session: Session, seed: str, code: str, visit: Visit) -> list[str]:
    """Ask for a second step from now on, once a code shows that the app has the seed; returns the recovery codes."""
    now = house.now()
    with house.database.read() as conn:
        account = _the(conn, session.person)
    keys = _count(house, account, account.login, visit)
    step = second.step_of(seed, code, now) if second.is_seed(seed) else None
    if step is None:
        raise _failed(house, account, visit, "second")
    with house.database.write() as conn:
        guesses.forgive(conn, keys, house.now())
        accounts.put(
            conn,
            _the(conn, account.person)._replace(totp=second.seal(house.keys, account.person, seed), totp_step=step),
        )
        accounts.end_of(conn, account.person, session.digest)
        _act(conn, account.person, acts.SECOND_STEP, now, by=account.person, person=account.person, on=True)
        return second.new_spare(conn, house.keys, account.person)


def drop_second(house: Instance, session: Session, code: str, visit: Visit) -> None:
    """Ask for it no more; takes one last code. Raises SignInFailed or TooManyGuesses."""
    _with_code(house, session, code, visit)
    now = house.now()
    with house.database.write() as conn:
        account = _the(conn, session.person)
        accounts.put(conn, account._replace(totp=None))
        accounts.put_spare(conn, account.person, [])
        _act(conn, account.person, acts.SECOND_STEP, now, by=account.person, person=account.person, on=False)


def renew_spare(house: Instance, session: Session, code: str, visit: Visit) -> list[str]:
    """New recovery codes in place of the old ones. Raises SignInFailed or TooManyGuesses."""
    _with_code(house, session, code, visit)
    with house.database.write() as conn:
        return second.new_spare(conn, house.keys, session.person)


def digest_of(token: str) -> bytes:
    """What the database knows of a token."""
    return sha256(b"patrolbook/session/v1\0" + token.encode()).digest()


def folded(login: str) -> str:
    """A sign-in name as it is compared."""
    return unicodedata.normalize("NFKC", login).strip().casefold()


# --- How it is done -------------------------------------------------------------------------------------------


def _with_code(house: Instance, session: Session, code: str, visit: Visit) -> None:
    with house.database.read() as conn:
        account = _the(conn, session.person)
    if account.totp is None:
        raise NotFound(what=Label("两步验证", "second step"))
    keys = _count(house, account, account.login, visit)
    with house.database.write() as conn:
        right = second.passes(conn, house.keys, account, code, house.now())
        if right:
            guesses.forgive(conn, keys, house.now())
    if not right:
        raise _failed(house, account, visit, "second")


def _begin(
    house: Instance, account: Account, visit: Visit, keys: list[str], outcome: str, whole: bool = False
) -> Begun:
    now, token = house.now(), secrets.token_urlsafe(32)
    halfway = account.totp is not None and not whole
    ends = now + (HALFWAY_MS if halfway else LONGEST_MS)
    stage = SECOND if halfway else SIGNED
    with house.database.write() as conn:
        accounts.forget_over(conn, now - IDLE_MS, now)
        accounts.forget_guesses(conn, now - guesses.FORGOTTEN_MS)
        accounts.forget_noted(conn, now - NOTED_MS)
        accounts.begin(
            conn, Session(digest_of(token), account.person, stage, now, now, ends, visit.address, visit.agent)
        )
        # Halfway the account's own count stands: the second step is guessed at under it.
        guesses.forgive(conn, [key for key in keys if not halfway or guesses.of_address(key)], now)
        if not halfway:
            accounts.note(conn, SignIn(now, account.person, outcome, visit.address, visit.agent))
    return Begun(token, halfway, _known_mark(house, account.person))


def _running(conn: Connection, token: str, now: int) -> Session | None:
    session = accounts.session(conn, digest_of(token)) if token else None
    over = session is None or session.ends <= now or session.seen + IDLE_MS <= now
    return None if over else session


def _count(house: Instance, account: Account | None, login: str, visit: Visit) -> list[str]:
    """Count a guess; the keys under which it counts. Unknown names cost the same work and the same row."""
    now = house.now()
    known = account is not None and _is_known(house, account.person, visit.known)
    typed = hmac.digest(house.keys.accounts_key, b"name" + folded(login).encode(), "sha256").hex()
    who = account.person if account is not None else typed[:36]
    own = f"browser:{sha256(visit.known.encode()).hexdigest()[:16]}:{who}" if known else f"account:{who}"
    keys = [own] if known else [own, f"address:{visit.address}"]
    with house.database.write() as conn:
        guesses.count(conn, keys, now)
    return keys


def _failed(house: Instance, account: Account | None, visit: Visit, outcome: str = "wrong") -> SignInFailed:
    person = account.person if account is not None else None
    with house.database.write() as conn:
        accounts.note(conn, SignIn(house.now(), person, outcome, visit.address, visit.agent))
    return SignInFailed()


def _the(conn: Connection, person: str) -> Account:
    account = accounts.get(conn, person)
    if account is None:
        raise NotFound(what=Label("账号", "account"))
    return account


def _code_digest(house: Instance, code: str) -> bytes:
    return hmac.digest(house.keys.accounts_key, enrolment.digest_of(house.keys, code), "sha256")


def _known_mark(house: Instance, person: str) -> str:
    nonce = secrets.token_bytes(12)
    return urlsafe_b64encode(nonce + _vouch(house, person, nonce)).decode()


def _is_known(house: Instance, person: str, mark: str) -> bool:
    try:
        content = urlsafe_b64decode(mark)
    except (NotBase64, ValueError):
        return False
    return hmac.compare_digest(content[12:], _vouch(house, person, content[:12]))


def _vouch(house: Instance, person: str, nonce: bytes) -> bytes:
    return hmac.digest(house.keys.accounts_key, b"known" + nonce + person.encode(), "sha256")


def _act(conn: Connection, whose: str, what: str, now: int, /, **said: object) -> None:
    """What happens to the account of somebody who works behind a wall is told there only."""
    who = people.person(conn, whose)
    behind = rights.BEHIND.get(who.role if who is not None else "", "")
    behind = behind or next((one.compartment for one in people.grants_of(conn, whose) if one.compartment), "")
    acts.append(conn, behind, what, now, **said)
