"""What both user interfaces share: how a page looks, what it may load, and how a form is drawn and read.

    app = Flask("patrolbook")
    dress(app, language=lambda: "zh")

`dress` gives an application the shared templates (`screens/base.html`, `screens/macros.html`), the files under `/look/`, and
the words of a template: `t("今日", "Today")`, `icon("camera")`, `look("patrolbook.css")`, and the filters `label`, `moment`,
`day` and `size`. It sets the headers of every page. Every text of a template is written in both languages where it stands.

Pages work as plain forms. `screens.js` makes them quicker and keeps what was typed; nothing depends on it alone.
"""

from __future__ import annotations

from screens.dressing import HEADERS, dress
from screens.forms import Read, read

__all__ = ["HEADERS", "Read", "dress", "read"]
