"""One run of the command line: its settings, its terminal, and the tablet once a command needs it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import click

from field_client.config import HOME, LANGUAGE, LANGUAGES, Settings, from_env
from field_client.evidence import covert
from field_client.holding import opening, revocation
from field_client.moments import moment
from field_client.platform import guard
from field_client.platform.desktop import desktop
from field_client.platform.keys import COVERT_IDLE_S, Secrets, Vault
from field_client.tablet import Tablet
from field_client.terminal import Command, Group, Option, Terminal
from field_client.work import cards
from field_client.work.scanning import codes_of
from field_client.work.search import AT_ONCE, Found, Search
from field_client.work.telling import INDEXING
from schemas.cards import SCHEME
from schemas.certificates import day_of
from schemas.labels import Label, Language
from sync.core.errors import Locked, NotEnrolled, NotFound, Refused

SHORT = 8
"""Characters of a record's id that are shown: its end, since ids that were made together begin alike."""
LEAST = 4


class Session:
    """What every command is given. The tablet is opened when it is first asked for, and closed at the end."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.terminal = Terminal(settings.spoken())
        self._tablet: Tablet | None = None
        self._vault: Vault | None = None
        self._secrets: Secrets | None = None
        self.handing_in = False
        """Set by what may still be done on a revoked tablet: handing its content in."""

    def use(self, *, home: Path | None = None, language: Language | None = None) -> None:
        """What an option says counts more than the environment."""
        if home is not None:
            self._vault = self._secrets = None
            self.settings = replace(self.settings, home=home.expanduser().absolute())
        if language is not None:
            self.settings = replace(self.settings, language=language)
        self.terminal.language = self.settings.spoken()

    def close(self) -> None:
        if self._tablet is not None:
            self._tablet.close()

    # ---- the vault -----------------------------------------------------------------------------------------

    @property
    def vault(self) -> Vault:
        if self._vault is None:
            self._vault = Vault(self.settings.home, runtime=self.settings.runtime)
            self._vault.leases.left()  # a share that has run out is removed by whoever comes first
            self._vault.sessions.look()  # so are the keys of a session that has ended
            revocation.resume(self.settings.home, self._vault)
        return self._vault

    def require_standing(self) -> None:
        """Raise DeviceRevoked or KeysDestroyed on a revoked tablet, unless its content is being handed in."""
        _ = self.vault  # which finishes what a killed program left
        revocation.forbid(self.settings.home, self.handing_in)

    def pin(self, new: bool = False) -> str:
        """The PIN from the environment, else from the person; raises Locked where there is nobody to ask."""
        if self.settings.pin is not None:
            return self.settings.pin
        if not self.terminal.interactive:
            raise Locked()
        words = Label("设置 PIN（至少 6 位）", "Choose a PIN (at least 6 characters)") if new else Label("PIN", "PIN")
        return self.terminal.ask(words, hidden=True, confirm=new)

    def officer_pin(self, words: Label, new: bool = False) -> str:
        """An officer's own PIN, likewise: whoever holds the tablet may be somebody else than whoever signs."""
        if self.settings.officer_pin is not None:
            return self.settings.officer_pin
        return self.terminal.ask(words, hidden=True, confirm=new)

    def secrets(self) -> Secrets:
        """The keys of an unlocked tablet; a person is asked for the PIN where it is locked."""
        if self._secrets is None:
            self.require_standing()
            try:
                self._secrets = self.vault.secrets()
            except Locked:
                # A PIN in the environment serves this one command; only a person's leaves a session behind.
                self._secrets = self.unlock(remember=self.settings.pin is None)
        return self._secrets

    def unlock(self, remember: bool = True) -> Secrets:
        """Open with the PIN, asking the server for the share of the keys where the lease has run out.

        :raises DeviceRevoked, KeysDestroyed: as `opening.unlock`
        """
        home, runtime = self.settings.home, self.settings.runtime
        watch = partial(guard.start, home, runtime) if remember and self.settings.guard else None
        return opening.unlock(
            home, self.vault, self.pin, desktop(), remember=remember, handing_in=self.handing_in, watch=watch
        )

    # ---- the tablet ----------------------------------------------------------------------------------------

    def tablet(self) -> Tablet:
        if self._tablet is None:
            self._tablet = opening.unlocked(self.settings.home, self.secrets())
            if covert.is_covert(self._tablet):
                self.vault.sessions.set_idle(COVERT_IDLE_S)
        return self._tablet

    def opened(self, secrets: Secrets, new: bool = False) -> Tablet:
        """The tablet for these keys, see `opening.opened`."""
        self._tablet = opening.opened(self.settings.home, secrets, new=new)
        return self._tablet

    def enrolled(self) -> Tablet:
        """The tablet; raises NotEnrolled where it belongs to no server yet."""
        tablet = self.tablet()
        if tablet.identity is None:
            raise NotEnrolled()
        return tablet

    def search(self) -> Search:
        """The index of institutions, brought up to date."""
        search = Search(self.tablet().store)
        behind = left = search.behind()
        if behind > AT_ONCE:
            with self.terminal.progress() as tell:
                while left:
                    tell(INDEXING, behind - left, behind)
                    left = search.catch_up()
        elif behind:
            search.catch_up()
        return search

    # ---- records by a piece of their id --------------------------------------------------------------------

    def record(self, kind: str, text: str) -> str:
        """The id of the one record of a kind whose id is, begins or ends with a text of at least four characters.

        :raises NotFound: no record, or more than one
        """
        tablet = self.tablet()
        label = tablet.registry[kind].label
        known = tablet.records(kind)
        if text in known:
            return text
        fits = [id for id in known if len(text) >= LEAST and (id.startswith(text) or id.endswith(text))]
        if len(fits) == 1:
            return fits[0]
        if fits:
            more = Label(f"（有 {len(fits)} 个，请多写几位）", f" ({len(fits)} of them: give more characters)")
            raise NotFound(what=Label(f"唯一的{label.zh} {text}{more.zh}", f"a single {label.en} {text}{more.en}"))
        raise NotFound(what=Label(f"{label.zh} {text}", f"{label.en} {text}"))

    def institution(self, text: str) -> str:
        """An institution by its id, a piece of that, or a search that finds exactly one."""
        try:
            return self.record("institution", text)
        except NotFound:
            found = self.search().find(text, limit=6)
            if len(found) == 1 or (found and found[0].name == text and [one.name for one in found].count(text) == 1):
                return found[0].record
            if not found:
                raise
        raise Refused(detail=_choices(text, found))

    def officer(self, text: str) -> str:
        """An officer by a piece of the id, the name or the certificate, or by a card: its text, or a photo of it.

        :raises NotFound: it is not one alone; Refused: there is no such card
        """
        if text.startswith(SCHEME) or Path(text).is_file():
            tablet = self.tablet()
            card = text if text.startswith(SCHEME) else cards.seen(codes_of(tablet.platform.pictures, Path(text)))
            return cards.officer_on(tablet, card, day_of(moment(tablet)))
        try:
            return self.record("officer", text)
        except NotFound:
            tablet = self.tablet()
            known = [(id, tablet.values(id)) for id in tablet.records("officer")]
            fits = [id for id, values in known if text in (values.get("name"), values.get("certificate_number"))]
            if len(fits) != 1:
                raise
            return fits[0]


def _choices(text: str, found: Sequence[Found]) -> Label:
    named = "；".join(f"{one.name} {one.record[-SHORT:]}" for one in found)
    return Label(f"“{text}”不止一家：{named}", f"more than one institution fits {text!r}: {named}")


def short(record: str) -> str:
    return record[-SHORT:]


# --- commands that know the home and the language --------------------------------------------------------------------


def _home_given(context: click.Context, _: click.Parameter, value: Path | None) -> None:
    if value is not None:
        context.find_root().obj.use(home=value)


def _language_given(context: click.Context, _: click.Parameter, value: Language | None) -> None:
    if value is not None:
        context.find_root().obj.use(language=value)


def _common() -> list[click.Parameter]:
    home = Label(f"平板数据所在的文件夹（或环境变量 {HOME}）", f"the folder with the tablet's data (or {HOME})")
    language = Label(f"语言 zh 或 en（或环境变量 {LANGUAGE}）", f"language, zh or en (or {LANGUAGE})")
    return [
        Option(["--home"], label=home, type=click.Path(path_type=Path), expose_value=False, is_eager=True,
               callback=_home_given, metavar="DIR"),
        Option(["--lang"], label=language, type=click.Choice(LANGUAGES), expose_value=False, is_eager=True,
               callback=_language_given),
    ]  # fmt: skip


class TabletCommand(Command):
    """A command with `--home` and `--lang`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.extend(_common())


class TabletGroup(Group):
    """Commands of the tablet; the outermost makes the session."""

    command_class = TabletCommand

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.extend(_common())

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        if parent is None and extra.get("obj") is None:
            extra["obj"] = Session(from_env(os.environ))
        context = super().make_context(info_name, args, parent, **extra)
        if parent is None:
            context.call_on_close(context.obj.close)
        return context


def command(name: str, *, label: Label, example: str) -> Callable[[Any], TabletCommand]:
    """`click.command` with a label and an example."""
    return click.command(name, cls=TabletCommand, label=label, example=example)


def group(name: str, *, label: Label, example: str, **settings: Any) -> Callable[[Any], TabletGroup]:
    """`click.group` with a label and an example."""
    return click.group(name, cls=TabletGroup, label=label, example=example, **settings)


def option(*names: str, label: Label, **settings: Any) -> Callable[[Any], Any]:
    """`click.option` with a label."""
    return click.option(*names, cls=Option, label=label, **settings)


in_session = click.make_pass_decorator(Session)
