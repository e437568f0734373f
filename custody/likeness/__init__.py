"""Photos that look alike: fingerprints 指纹, what they say about two photos, and finding one among very many.

    seen = look(picture)                    a picture (Pillow) → everything needed to search for it
    seen.print                              what is kept of a photo, 931 bytes at most
    found = find(seen, shelf)               the photos on a shelf that are copies of it or contain it, best first

A print holds a **gist** (240 signs of the whole picture's cosine transform: recompressed, resized, darkened copies) and up to
64 **marks** (spots that stand out at some scale, each with the signs of the transform of its surroundings: crops,
watermarks, small turns). Two photos are alike when their gists are near, or when marks of both lie in the same arrangement.

    marks.py    where the marks of a picture are and what their surroundings look like
    prints.py   the print, its bytes, and the keys under which it is found
    compare.py  what two photos have to do with each other
    finding.py  from keys to candidates to answers, over any shelf

A fingerprint finds photos that a person should look at. It proves nothing and blocks nothing.
"""

from custody.likeness.compare import Likeness, compare
from custody.likeness.finding import Shelf, find
from custody.likeness.prints import NotAPrint, Print, Seen, look

__all__ = ["Likeness", "NotAPrint", "Print", "Seen", "Shelf", "compare", "find", "look"]
