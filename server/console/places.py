"""Where: names of divisions, and who answers for institutions at the four levels."""

from __future__ import annotations

from flask import current_app, jsonify, request, url_for

from schemas.kinds.division import LEVELS as DIVISION_LEVELS
from schemas.kinds.institution import LEVELS
from schemas.labels import Label
from server.console.frame import Answer, Desk, instance, onward, page, say, seat
from server.console.naming import NAMES, here, typed_code
from server.console.received import chosen_file
from server.register import divisions, responsible
from server.register.editions import Writing
from sync.core.errors import BadRoster

desk = Desk("places", __name__)

SHOWN = 400


@desk.get("/places", may="areas.read")
def listing() -> Answer:
    names = NAMES.all(instance())
    under, wanted = request.args.get("under", "").strip(), request.args.get("q", "").strip()
    prefixes = seat().sight.prefixes()
    rows = [
        (code, name, DIVISION_LEVELS.get(len(code)), sum(1 for other in names if len(other) > len(code) and other.startswith(code)))
        for code, name in sorted(names.items())
        if (not under or code.startswith(under))
        and (not wanted or wanted in name or code.startswith(wanted))
        and any(code.startswith(prefix) or prefix.startswith(code) for prefix in prefixes)
    ]
    return _page("list.html", rows=rows[:SHOWN], more=max(0, len(rows) - SHOWN), q=wanted, under=under, known=len(names))


@desk.get("/places/find", may="records.read")
def find() -> Answer:
    """What somebody may be typing into a field for an area, of what they see: [[name, code], …]."""
    known = here()
    found = known.find(request.args.get("q", "")[:60], seat().sight.prefixes())
    return jsonify([[known(code), code] for code in found])


@desk.post("/places/import", may="areas.write")
def import_names() -> Answer:
    with chosen_file(BadRoster) as file:
        reading = divisions.read(file)
    written = divisions.carry_out(instance(), reading.rows, by=[seat().person.id], rights=seat().rights)
    say(Label(f"写入 {written} 个区划，{len(reading.rows) - written} 个不变。", f"{written} written, {len(reading.rows) - written} as before."))
    for line, problem in reading.bad[:20]:
        say(Label(f"第 {line} 行未导入：{problem.zh}", f"line {line} was left out: {problem.en}"), "wrong")
    return onward(url_for(".listing"))


@desk.get("/places/responsible", may="areas.read")
def four_levels() -> Answer:
    area = typed_code(request.args.get("area", "")) or next(iter(seat().sight.prefixes()), "")
    missing_only = request.args.get("all") != "1"
    found = responsible.places(instance(), seat().sight.rights(), area) if len(area) >= 4 else []
    shown = [place for place in found if place.missing] if missing_only else found
    return _page(
        "responsible.html",
        area=area,
        total=len(found),
        counted=responsible.counted(found),
        places=shown[:SHOWN],
        more=max(0, len(shown) - SHOWN),
        levels=LEVELS,
        missing_only=missing_only,
        children=_children(area),
    )


@desk.post("/places/responsible", may="responsible.write")
def assign() -> Answer:
    form = request.form
    area = form.get("area", "").strip()
    person = {part: form.get(part, "") for part in ("name", "post", "phone")}
    who = Writing([seat().person.id], seat().rights)
    count = responsible.assign(instance(), who, area, form.get("level", ""), person, replace=form.get("replace") == "1")
    say(Label(f"已写入 {count} 家机构。", f"Written for {count} institutions."))
    return onward(url_for(".four_levels", area=area))


def _page(template: str, **values: object) -> Answer:
    grids = "console.records.listing"
    grids_at = url_for(grids, kind="grid") if grids in current_app.view_functions else ""
    return page(f"places/{template}", grids_at=grids_at, **values)


def _children(area: str) -> list[tuple[str, str]]:
    """The divisions right below an area: (code, name)."""
    below = next((length for length in DIVISION_LEVELS if length > len(area)), 0)
    return [(code, name) for code, name in sorted(NAMES.all(instance()).items()) if len(code) == below and code.startswith(area)]
