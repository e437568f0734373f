"""Where the device says it is, as a form posts it."""

from __future__ import annotations

from typing import Any

from field_client.ui import here

E7 = 10**7


def posted() -> dict[str, Any] | None:
    """A `Point` from `lat`, `lon` (degrees) and `acc` (centimetres); None where the device said nothing."""
    try:
        lat, lon = (round(float(here.posted(name)) * E7) for name in ("lat", "lon"))
    except (ValueError, OverflowError):
        return None
    accuracy = here.posted("acc")
    return {"lat": lat, "lon": lon, "src": "network", **({"acc": int(accuracy)} if accuracy.isdecimal() else {})}
