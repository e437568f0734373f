"""The console: what county, city and province staff do in a browser, served by the sync server itself.

One module for each desk (`frame.Desk`), one folder of templates beside it. What every page passes is in `frame.py`, who may
do what in `server/access/policy.py`; no module here speaks SQL.
"""

from __future__ import annotations

from flask import Blueprint, Flask

import screens
from server.console import (
    access,
    account,
    cards,
    checklists,
    clues,
    devices,
    door,
    duplicates,
    exports,
    files,
    home,
    map,
    merge,
    people,
    places,
    records,
    review,
    search,
    settings,
    tasks,
    tracing,
)
from server.console.frame import PREFIX, language
from server.console.showing import furnish
from server.instance import Instance

DESKS = (
    door.desk,
    home.desk,
    account.desk,
    devices.desk,
    people.desk,
    records.desk,
    cards.desk,
    files.desk,
    exports.desk,
    search.desk,
    map.desk,
    clues.desk,
    tasks.desk,
    merge.desk,
    duplicates.desk,
    review.desk,
    checklists.desk,
    places.desk,
    access.desk,
    settings.desk,
    tracing.desk,
)
"""Every desk; a new one is added here and in `navigation.py`."""


def register(app: Flask, house: Instance) -> None:
    """Add the console to the application of a server, below `/console/`."""
    app.secret_key = house.keys.notices_key
    app.config.update(
        SESSION_COOKIE_NAME="patrolbook-notices", SESSION_COOKIE_SAMESITE="Strict", SESSION_COOKIE_HTTPONLY=True
    )
    screens.dress(app, language)
    console = Blueprint("console", __name__, url_prefix=PREFIX, template_folder="templates")
    for desk in DESKS:
        console.register_blueprint(desk.blueprint)
    app.register_blueprint(console)
    furnish(app)
