"""A small picture of evidence to be looked at: from this tablet where it is here, from the server where there is a line."""

from __future__ import annotations

from contextlib import closing, suppress
from typing import Literal

from field_client.tablet import Tablet
from sync.core.errors import NotFound

Size = Literal["thumbnail", "preview"]
WIDTHS: dict[Size, int] = {"thumbnail": 320, "preview": 1600}


def picture_of(tablet: Tablet, evidence: str, size: Size) -> bytes:
    """A JPEG of a piece of evidence, of another size where this one is not here.

    :raises NotFound, Unavailable, Refused: it would have to be fetched, and cannot be
    """
    values = tablet.values(evidence)
    for name in (size, *(one for one in WIDTHS if one != size)):
        sha256 = values.get(name)
        if isinstance(sha256, str):
            try:
                with closing(tablet.files.open(sha256)) as stream:
                    return stream.read()
            except NotFound:
                continue
    if values.get("role") == "derived" and values.get("mime") == "image/jpeg":
        with suppress(NotFound), closing(tablet.files.open(str(values.get("sha256")))) as stream:
            return stream.read()  # a copy that was made to be looked at
    return tablet.fetch(str(values.get("sha256", "")), WIDTHS[size])
