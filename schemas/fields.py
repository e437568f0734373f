"""Typed fields of a record, each with a merge type, a label and a widget hint.

A field checks one *value*: what a person decided as one thing and what merging never splits. Two forms exist:

* a single field is addressed by its name:             `name`, `status`, `started_at`
* a keyed field holds many values, one path for each:  `answers/FIR-05`, `notes/<id>`, `officers/<record id>`

`check(value)` is the hot path (called for every written path of every change); marshmallow's `load` of a whole
record calls the same checks, so both always agree.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import marshmallow

from schemas.labels import Label

MergeType = Literal[
    "scalar", "answer", "note", "attachment", "tag", "counter", "authority", "latest", "workflow"
]
Writer = Literal["maker", "staff", "system"]

LARGEST_INTEGER = 2**53 - 1  # RFC 8785 keeps integers within what every JSON reader represents exactly

_KEY = re.compile(r"[A-Za-z0-9._-]{1,100}\Z")
# [0-9], not \d: a Chinese keyboard types full-width digits, which \d accepts and no prefix search finds.
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")
_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T([01][0-9]|2[0-3])(:[0-5][0-9]){2}\.[0-9]{3}Z\Z")
_RECORD_ID = re.compile(r"[A-Za-z0-9-]{1,64}\Z")
_KEY_ID = re.compile(r"[0-9a-f]{32}\Z")
_SIGNATURE = re.compile(r"[A-Za-z0-9+/]{85}[AQgw]==\Z")  # base64 of 64 bytes, in its only form
_DIGEST = re.compile(r"[0-9a-f]{64}\Z")
_AREA = re.compile(r"([0-9]{2}|[0-9]{4}|[0-9]{6}|[0-9]{9}|[0-9]{12})\Z")


class Invalid(ValueError):
    """A value that its field refuses; `path` names the field and `problem` says what is wrong in both languages."""

    def __init__(self, path: str, problem: Label) -> None:
        super().__init__(f"{path}: {problem.en}")
        self.path = path
        self.problem = problem


class Refusal(Exception):
    """Raised by a field's check; the schema adds the path and turns it into `Invalid`."""

    def __init__(self, zh: str, en: str) -> None:
        super().__init__(en)
        self.problem = Label(zh, en)


class RecordField(marshmallow.fields.Field[Any]):
    """The base of all fields.

    merge        how concurrent values meet (docs/architecture.md, "Merging")
    writer       who may write it: the maker of the record, staff only, or the system only
    roles        where it is given, only these roles among them
    frozen       a signature covers it; a later change to it is an amendment
    hidden_from  roles that must not see it
    second_person  at the merge desk two people decide together what it says
    column       the SQL type of its projected column (`text`, `integer`, `boolean`), None where it has none
    """

    merge: MergeType = "scalar"
    widget: str = "text"
    keyed: bool = False
    column: str | None = "text"

    def __init__(
        self,
        label: Label,
        *,
        merge: MergeType | None = None,
        writer: Writer = "maker",
        roles: Collection[str] | None = None,
        frozen: bool = False,
        hidden_from: Sequence[str] = (),
        hint: Label | None = None,
        required: bool = False,
        second_person: bool = False,
    ) -> None:
        super().__init__(required=required, allow_none=not required)
        self.label = label
        if merge is not None:
            self.merge = merge
        self.writer: Writer = writer
        self.roles = frozenset(roles) if roles is not None else None
        self.frozen = frozen
        self.hidden_from = frozenset(hidden_from)
        self.hint = hint
        self.second_person = second_person

    def open_to_role(self, role: str, desk: bool) -> bool:
        """Whether a person of this role, who works at a desk or in the field, may write it."""
        if self.writer == "system" or (self.writer == "staff" and not desk):
            return False
        return self.roles is None or role in self.roles

    def check(self, value: Any) -> None:
        """Accept the value or raise `Refusal`."""
        raise NotImplementedError

    def check_key(self, key: str) -> None:
        if not _KEY.match(key):
            raise Refusal(
                "键只能含字母、数字、点、横线和下划线", "a key holds letters, digits, dots, dashes and underscores only"
            )

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        name = attr or ""
        if not self.keyed:
            self._check_or_fail(name, lambda: self.check(value))
            return value
        if not isinstance(value, dict):
            raise marshmallow.ValidationError([f"{name}: expected an object of values by key"])
        for key, one in value.items():
            self._check_or_fail(f"{name}/{key}", lambda key=key, one=one: self._check_keyed(key, one))  # type: ignore[misc]
        return value

    def _check_keyed(self, key: str, value: Any) -> None:
        self.check_key(key)
        if value is not None:
            self.check(value)

    @staticmethod
    def _check_or_fail(path: str, check: Callable[[], None]) -> None:
        try:
            check()
        except Refusal as refused:
            raise marshmallow.ValidationError([f"{path}: {refused.problem.en}"]) from refused


class Avoided(NamedTuple):
    """Words that a text had better not hold, and what is said where it does: a form warns, and nothing refuses."""

    words: tuple[str, ...]
    why: Label

    def warning(self, text: str) -> Label | None:
        """The reason and the words found, in their order there; None where there are none."""
        found = sorted((word for word in self.words if word in text), key=text.index)
        return Label(f"{self.why.zh}：{'、'.join(found)}", f"{self.why.en}: {', '.join(found)}") if found else None


class Text(RecordField):
    """Unicode text of at most `most` characters, optionally shaped by a regular expression.

    `avoid`: what a form warns of. What somebody typed is never lost for a word.
    """

    def __init__(
        self,
        label: Label,
        *,
        most: int = 200,
        pattern: str | None = None,
        lines: bool = False,
        avoid: Avoided | None = None,
        **kw: Any,
    ):
        super().__init__(label, **kw)
        self.most = most
        self.pattern = re.compile(pattern) if pattern else None
        self.avoid = avoid
        self.widget = "lines" if lines else "text"

    def check(self, value: Any) -> None:
        if type(value) is not str:
            raise Refusal("应为文字", "expected text")
        if len(value) > self.most:
            raise Refusal(f"超过 {self.most} 个字", f"longer than {self.most} characters")
        if self.pattern and value and not self.pattern.fullmatch(value):
            raise Refusal("格式不对", "has the wrong form")


class Choice(RecordField):
    """One of a closed list; stored as its code. `reserved` names options that only some roles may choose."""

    widget = "choice"

    def __init__(
        self,
        label: Label,
        options: Mapping[str, Label],
        *,
        reserved: Mapping[str, Collection[str]] | None = None,
        **kw: Any,
    ):
        super().__init__(label, **kw)
        self.options = dict(options)
        self.reserved = {option: frozenset(roles) for option, roles in (reserved or {}).items()}
        if unknown := self.reserved.keys() - self.options:
            raise ValueError(f"reserved options that do not exist: {sorted(unknown)}")

    def open_to(self, role: str, option: Any) -> bool:
        """Whether a person of this role may choose the option."""
        return option not in self.reserved or role in self.reserved[option]

    def check(self, value: Any) -> None:
        if type(value) is not str or value not in self.options:
            raise Refusal(f"应为其中之一：{'、'.join(self.options)}", f"expected one of: {', '.join(self.options)}")


class Integer(RecordField):
    """A whole number with an optional range and unit."""

    widget = "integer"
    column = "integer"

    def __init__(
        self, label: Label, *, least: int = -LARGEST_INTEGER, most: int = LARGEST_INTEGER, unit: str = "", **kw: Any
    ):
        super().__init__(label, **kw)
        self.least, self.most, self.unit = least, most, unit

    def check(self, value: Any) -> None:
        if type(value) is not int:
            raise Refusal("应为整数", "expected a whole number")
        if not self.least <= value <= self.most:
            raise Refusal(f"应在 {self.least} 到 {self.most} 之间", f"expected {self.least} to {self.most}")


class Money(Integer):
    """An amount in fen (分), never a fraction."""

    widget = "money"

    def __init__(self, label: Label, **kw: Any):
        super().__init__(label, unit="分", **kw)


class Counter(Integer):
    """Increments that add up; every change adds its value."""

    merge = "counter"
    widget = "counter"


class Flag(RecordField):
    """Yes or no."""

    widget = "flag"
    column = "boolean"

    def check(self, value: Any) -> None:
        if type(value) is not bool:
            raise Refusal("应为是或否", "expected true or false")


class Date(RecordField):
    """A calendar day, `YYYY-MM-DD`."""

    widget = "date"

    def check(self, value: Any) -> None:
        if type(value) is not str or not _DATE.match(value) or not _in_calendar(value):
            raise Refusal("日期应写作 2026-11-22", "expected a date like 2026-11-22")


class Moment(RecordField):
    """A point in time in UTC with milliseconds, `2026-11-22T04:30:45.118Z`."""

    widget = "moment"

    def check(self, value: Any) -> None:
        if type(value) is not str or not _MOMENT.match(value) or not _in_calendar(value[:10]):
            raise Refusal(
                "时间应写作 2026-11-22T04:30:45.118Z（UTC）", "expected UTC time like 2026-11-22T04:30:45.118Z"
            )


class Area(RecordField):
    """An administrative division code: 2, 4 or 6 digits (GB/T 2260), 9 or 12 digits down to the village."""

    widget = "area"

    def check(self, value: Any) -> None:
        if type(value) is not str or not _AREA.match(value):
            raise Refusal("区划代码应为 2、4、6、9 或 12 位数字", "expected a division code of 2, 4, 6, 9 or 12 digits")


class CreditCode(RecordField):
    """统一社会信用代码 with its check character (GB 32100-2015)."""

    ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
    WEIGHTS = (1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28)

    @classmethod
    def check_character(cls, first17: str) -> str:
        """The 18th character for the first 17; raises ValueError on a character outside the alphabet."""
        total = sum(cls.ALPHABET.index(c) * w for c, w in zip(first17, cls.WEIGHTS, strict=True))
        return cls.ALPHABET[(31 - total % 31) % 31]

    def check(self, value: Any) -> None:
        if type(value) is not str or len(value) != 18:
            raise Refusal("统一社会信用代码应为 18 位", "a unified social credit code has 18 characters")
        try:
            right = self.check_character(value[:17]) == value[17]
        except ValueError:
            right = False
        if not right:
            raise Refusal("统一社会信用代码校验位不符", "the credit code's check character does not match")


class Ref(RecordField):
    """The id of another record of the kind `target`, or of any kind where that is "*"."""

    widget = "ref"

    def __init__(self, label: Label, target: str, **kw: Any):
        super().__init__(label, **kw)
        self.target = target

    def check(self, value: Any) -> None:
        if type(value) is not str or not _RECORD_ID.match(value):
            raise Refusal("应为记录编号", "expected a record id")


class Digest(RecordField):
    """A SHA-256 in lower-case hexadecimal: the name of a blob."""

    widget = "blob"

    def check(self, value: Any) -> None:
        if type(value) is not str or not _DIGEST.match(value):
            raise Refusal("应为 64 位十六进制 SHA-256", "expected a SHA-256 of 64 hexadecimal digits")


class Point(RecordField):
    """A position: `lat`, `lon` in 1e-7 degree (WGS 84), `acc` in centimetres, `src` who says so (gnss, manual…)."""

    widget = "point"
    column = None

    def check(self, value: Any) -> None:
        whole = isinstance(value, dict) and {"lat", "lon"} <= value.keys() <= {"lat", "lon", "acc", "src"}
        if not whole or type(value["lat"]) is not int or type(value["lon"]) is not int:
            raise Refusal("位置应有整数 lat、lon（1e-7 度）", "expected whole lat and lon in 1e-7 degree")
        if abs(value["lat"]) > 900_000_000 or abs(value["lon"]) > 1_800_000_000:
            raise Refusal("经纬度超出范围", "latitude or longitude is out of range")
        accuracy, source = value.get("acc", 0), value.get("src", "")
        if type(accuracy) is not int or accuracy < 0 or type(source) is not str:
            raise Refusal("精度应为整数厘米，来源应为文字", "acc is whole centimetres and src is text")


class Rows(RecordField):
    """Plain JSON decided as one thing: a table of a template, a list of items. No floats."""

    widget = "rows"
    column = None

    def check(self, value: Any) -> None:
        check_plain(value)


class Composite(RecordField):
    """Several answers that one person gave as one thing: an object whose parts are single fields of their own.

    Merging never mixes the answers of two people. `needed` names the parts that are always there.
    """

    widget = "composite"
    column = None

    def __init__(self, label: Label, parts: Mapping[str, RecordField], *, needed: Collection[str] = (), **kw: Any):
        super().__init__(label, **kw)
        self.parts = dict(parts)
        self.needed = frozenset(needed)
        if any(part.keyed for part in self.parts.values()) or not self.needed <= self.parts.keys():
            raise ValueError("the parts of a composite are single fields, and what is needed is one of them")

    def check(self, value: Any) -> None:
        if type(value) is not dict or not value.keys() <= self.parts.keys():
            raise Refusal(f"只含 {'、'.join(self.parts)}", f"holds {', '.join(self.parts)} only")
        for name, part in self.parts.items():
            if value.get(name) is not None:
                try:
                    part.check(value[name])
                except Refusal as refused:
                    said = refused.problem
                    raise Refusal(f"{part.label.zh}：{said.zh}", f"{part.label.en}: {said.en}") from refused
            elif name in self.needed or name in value:
                raise Refusal(f"缺少“{part.label.zh}”", f"{part.label.en} is missing")


class Workflowed(RecordField):
    """The status of a record; its steps are those of the kind's workflow."""

    merge = "workflow"
    widget = "status"

    def __init__(self, label: Label, statuses: Sequence[str], **kw: Any):
        super().__init__(label, **kw)
        self.statuses = tuple(statuses)

    def check(self, value: Any) -> None:
        if value not in self.statuses:
            raise Refusal(f"没有状态 {value!r}", f"there is no status {value!r}")


class Keyed(RecordField):
    """Base of fields with one path per key; `options`, where there are any, close the list of keys."""

    keyed = True
    column = None

    def __init__(self, label: Label, *, options: Mapping[str, Label] | None = None, **kw: Any):
        super().__init__(label, **kw)
        self.options = dict(options) if options else None

    def check_key(self, key: str) -> None:
        super().check_key(key)
        if self.options is not None and key not in self.options:
            raise Refusal(f"没有选项 {key}", f"there is no option {key}")


class Answers(Keyed):
    """Checklist answers by item code; answer, measure, unit, reason and remark are decided as one value.

    `answer` is `yes`, `no`, `na` or, for items that measure, absent with `measured` in place of it. Decimal
    measures are text ("3.25") because a change holds no floats.
    """

    merge = "answer"
    widget = "answers"
    _ALLOWED = frozenset({"answer", "measured", "unit", "reason", "remark", "rows", "officers"})

    def check(self, value: Any) -> None:
        if not isinstance(value, dict) or not value or not value.keys() <= self._ALLOWED:
            raise Refusal(
                "答案只含 answer、measured、unit、reason、remark、rows、officers",
                "an answer holds answer, measured, unit, reason, remark, rows, officers only",
            )
        if "answer" in value and value["answer"] not in ("yes", "no", "na"):
            raise Refusal("答案应为 yes、no 或 na", "an answer is yes, no or na")
        check_plain(value)


class Notes(Keyed):
    """Dated entries that are never edited: `{text, at}`; a correction is a new entry that names the old one."""

    merge = "note"
    widget = "notes"

    def check(self, value: Any) -> None:
        if not isinstance(value, dict) or type(value.get("text")) is not str or not value["text"].strip():
            raise Refusal("记录应有文字 text", "a note needs text")
        if not value.keys() <= {"text", "at", "corrects", "item"}:
            raise Refusal("记录只含 text、at、corrects、item", "a note holds text, at, corrects and item only")
        if len(value["text"]) > 10_000:
            raise Refusal("记录超过 10000 字", "a note is longer than 10000 characters")
        check_plain(value)


class Attachments(Keyed):
    """Evidence by id: `{sha256, size, mime}` and where it belongs. Immutable; hidden with a reason, never removed."""

    merge = "attachment"
    widget = "evidence"

    def check(self, value: Any) -> None:
        if not isinstance(value, dict) or not {"sha256", "size", "mime"} <= value.keys():
            raise Refusal("证据应有 sha256、size、mime", "evidence needs sha256, size and mime")
        if type(value["sha256"]) is not str or not _DIGEST.match(value["sha256"]):
            raise Refusal("证据的 sha256 不是 64 位十六进制", "the sha256 of the evidence is not 64 hexadecimal digits")
        if type(value["size"]) is not int or value["size"] <= 0:
            raise Refusal("证据的大小应为正整数", "the size of the evidence must be a positive whole number")
        check_plain(value)


class Signatures(Keyed):
    """Signatures by signer: `{name, content, at}` and the signature image; or a refusal with its reason.

    `content` is the SHA-256 of the exact content shown when the person signed. An officer's also holds `officer`, and
    `key` and `cosig` where it was made with the officer's own key (`sync.core.cosigning`).
    """

    merge = "attachment"
    widget = "signatures"

    def check(self, value: Any) -> None:
        if not isinstance(value, dict) or not {"name", "content", "at"} <= value.keys():
            raise Refusal("签字应有 name、content、at", "a signature needs name, content and at")
        if type(value["content"]) is not str or not _DIGEST.match(value["content"]):
            raise Refusal("签字的 content 不是 SHA-256", "the content of a signature is not a SHA-256")
        if "cosig" in value and not _is_cosignature(value):
            raise Refusal(
                "会签应有 officer、32 位十六进制 key 和 64 字节签名 cosig",
                "a co-signature has officer, a key of 32 hexadecimal digits and a cosig of 64 bytes in base64",
            )
        check_plain(value)


def _is_cosignature(value: Mapping[str, Any]) -> bool:
    forms = (("officer", _RECORD_ID), ("key", _KEY_ID), ("cosig", _SIGNATURE))
    return all(type(value.get(name)) is str and form.match(value[name]) for name, form in forms)


class Tags(Keyed):
    """A set of keys; adding wins over a concurrent removal. The value of a path is true or false."""

    merge = "tag"
    widget = "tags"

    def __init__(self, label: Label, *, target: str | None = None, **kw: Any):
        super().__init__(label, **kw)
        self.target = target

    def check(self, value: Any) -> None:
        if type(value) is not bool:
            raise Refusal("标签的值应为是或否", "the value of a tag is true or false")


class Entries(Keyed):
    """Plain objects by key, each decided as one thing: the items of a template, the people responsible by level.

    `parts` names what an object holds, for forms; further members are kept.
    """

    widget = "entries"

    def __init__(self, label: Label, parts: Mapping[str, Label], **kw: Any):
        super().__init__(label, **kw)
        self.parts = dict(parts)

    def check(self, value: Any) -> None:
        if type(value) is not dict or not value:
            raise Refusal("应为非空的对象", "expected an object that is not empty")
        check_plain(value)


class Captions(Keyed):
    """Short text by key, apart from the immutable thing that it describes."""

    merge = "latest"
    widget = "captions"

    def check(self, value: Any) -> None:
        if type(value) is not str or len(value) > 200:
            raise Refusal("说明应为 200 字以内的文字", "a caption is text of at most 200 characters")


def _in_calendar(day: str) -> bool:
    try:
        datetime.date.fromisoformat(day)
    except ValueError:
        return False
    return True


def check_plain(value: Any, depth: int = 0) -> None:
    """Accept JSON that RFC 8785 can render without loss: no floats, ASCII keys, integers below 2**53, depth <= 16."""
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return
    if kind is int:
        if abs(value) > LARGEST_INTEGER:
            raise Refusal("整数太大", "a whole number is too large")
        return
    if depth >= 16:
        raise Refusal("嵌套太深", "the value is nested too deeply")
    if kind is list:
        for one in value:
            check_plain(one, depth + 1)
        return
    if kind is dict:
        for key, one in value.items():
            if type(key) is not str or not key.isascii():
                raise Refusal("键应为 ASCII 文字", "keys must be ASCII text")
            check_plain(one, depth + 1)
        return
    if kind is float:
        raise Refusal("不允许小数，请写成文字或最小单位的整数", "no fractions: write text or a whole number of the smallest unit")
    raise Refusal("不是 JSON 值", "not a JSON value")


def check_opaque(path: str, value: Any) -> None:
    """Check a value of a field that this version does not know; raises `Invalid` naming the path."""
    try:
        check_plain(value)
    except Refusal as refused:
        raise Invalid(path, refused.problem) from refused


def check_value(field: RecordField, path: str, key: str, value: Any) -> None:
    """Check what a change writes on one path of a known field; None clears a single field. Raises `Invalid`."""
    try:
        if key:
            field.check_key(key)
        if value is not None:
            field.check(value)
        elif field.required:
            raise Refusal("必填", "is required")
    except Refusal as refused:
        raise Invalid(path, refused.problem) from refused
