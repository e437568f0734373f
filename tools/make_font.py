"""Makes custody/fonts/PatrolbookSans.ttf; run once by whoever changes the font, never by the build.

    apt-get download fonts-wqy-microhei fonts-droid-fallback && for one in *.deb; do dpkg -x "$one" .; done
    pip install fonttools
    python tools/make_font.py wqy-microhei.ttc DroidSansFallbackFull.ttf custody/fonts/PatrolbookSans.ttf

The first font has Latin, punctuation and all of GBK; the second, of the same drawing, has the 6,582 characters of CJK
extension A, where rare names are. What is left out: Korean syllables, hints and layout tables. A few characters of the
first font are blank (℃ and Ⅴ among them): they are composed from what it has, for a blank in a report is a lie.
"""

from __future__ import annotations

import sys
from pathlib import Path

from fontTools import subset
from fontTools.ttLib import TTFont
from fontTools.ttLib.scaleUpem import scale_upem

FAMILY = "Patrolbook Sans"
HANGUL = range(0xAC00, 0xD7B0)
SAME = {"Ⅴ": "V", "Ⅹ": "X", "\u212b": "Å", "∼": "~", "ˊ": "´", "ˋ": "`"}
SIDE_BY_SIDE = {"℃": "°C", "℉": "°F"}
WITH_CARON = {"ǎ": "a", "ǐ": "ı", "ǒ": "o", "ǔ": "u", "ǚ": "ü"}
SPACES = {0x20, 0xA0, *range(0x2000, 0x200C), 0x3000}
NOTICE = (
    "Copyright 2006-2010 Google Corporation; 2008-2009 WenQuanYi Board of Trustees and Qianqian Fang. "
    "Changed: Latin and GBK from WenQuanYi Micro Hei, CJK extension A from Droid Sans Fallback, joined and renamed."
)


def main(broad: Path, rare: Path, target: Path) -> None:
    font = _reduced(TTFont(broad, fontNumber=0, recalcTimestamp=False), lambda code: code not in HANGUL)
    known = set(font.getBestCmap())
    more = _reduced(TTFont(rare, recalcTimestamp=False), lambda code: code not in known and code not in HANGUL)
    scale_upem(more, font["head"].unitsPerEm)
    _join(font, more)
    _mend(font)
    _rename(font)
    font.save(target)
    print(f"{target}: {target.stat().st_size:,} bytes, {len(font.getBestCmap()):,} characters")


def _reduced(font: TTFont, wanted) -> TTFont:
    options = subset.Options(
        hinting=False, layout_features=[], notdef_outline=True, glyph_names=False, legacy_kern=False
    )
    options.drop_tables += ["GDEF", "GPOS", "GSUB", "FFTM", "gasp", "vhea", "vmtx"]
    cutter = subset.Subsetter(options)
    cutter.populate(unicodes=[code for code in font.getBestCmap() if wanted(code)])
    cutter.subset(font)
    return font


def _join(font: TTFont, more: TTFont) -> None:
    """Add the glyphs of `more` under new names; composites are drawn out, so no name inside them can dangle."""
    from fontTools.pens.recordingPen import DecomposingRecordingPen
    from fontTools.pens.ttGlyphPen import TTGlyphPen

    glyphs, order, map_ = more.getGlyphSet(), font.getGlyphOrder(), font.getBestCmap()
    for code, name in sorted(more.getBestCmap().items()):
        recorded, pen = DecomposingRecordingPen(glyphs), TTGlyphPen(None)
        glyphs[name].draw(recorded)
        recorded.replay(pen)
        new = f"u{code:05X}"
        font["glyf"][new] = pen.glyph()
        font["hmtx"][new] = more["hmtx"][name]
        map_[code] = new
        if new not in order:
            order.append(new)
    font.setGlyphOrder(order)
    for table in font["cmap"].tables:
        if table.isUnicode():
            table.cmap = {code: name for code, name in map_.items() if table.format == 12 or code < 0x10000}


def _mend(font: TTFont) -> None:
    """Compose what is blank, and no longer claim what stays blank."""
    from fontTools.pens.ttGlyphPen import TTGlyphPen

    map_, glyf, hmtx, glyphs = dict(font.getBestCmap()), font["glyf"], font["hmtx"], font.getGlyphSet()

    def composed(sign: str, parts: list[tuple[str, int, int]], advance: int) -> None:
        pen = TTGlyphPen(glyphs)
        for name, x, y in parts:
            pen.addComponent(name, (1, 0, 0, 1, x, y))
        glyf[map_[ord(sign)]] = made = pen.glyph()
        made.recalcBounds(glyf)
        hmtx[map_[ord(sign)]] = (advance, made.xMin)

    for sign, like in SAME.items():
        map_[ord(sign)] = map_[ord(like)]
    for sign, (left, right) in SIDE_BY_SIDE.items():
        first, second = map_[ord(left)], map_[ord(right)]
        composed(sign, [(first, 0, 0), (second, hmtx[first][0], 0)], hmtx[first][0] + hmtx[second][0])
    caron = map_[0x2C7]
    middle = (glyf[caron].xMin + glyf[caron].xMax) // 2
    for sign, base in WITH_CARON.items():
        name = map_[ord(base)]
        lift = 330 if base == "ü" else 0
        composed(sign, [(name, 0, 0), (caron, (glyf[name].xMin + glyf[name].xMax) // 2 - middle, lift)], hmtx[name][0])
    blank = {code for code, name in map_.items() if glyf[name].numberOfContours == 0} - SPACES
    for table in font["cmap"].tables:
        if table.isUnicode():
            wanted = {code: name for code, name in map_.items() if code not in blank}
            table.cmap = {code: name for code, name in wanted.items() if table.format == 12 or code < 0x10000}


def _rename(font: TTFont) -> None:
    names = font["name"]
    names.names = []
    said = {
        0: NOTICE,
        1: FAMILY,
        2: "Regular",
        3: FAMILY,
        4: FAMILY,
        5: "Version 1.0",
        6: FAMILY.replace(" ", ""),
        13: "Licensed under the Apache License, Version 2.0",
        14: "http://www.apache.org/licenses/LICENSE-2.0",
    }
    for number, text in said.items():
        names.setName(text, number, 3, 1, 0x409)
        if all(ord(sign) < 128 for sign in text):
            names.setName(text, number, 1, 0, 0)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
