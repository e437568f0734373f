"""Photos as a tablet's camera would leave them: 12 megapixels, 2 to 5 MB, with EXIF, no two alike.

Each is drawn: a signboard, a classroom, a corridor or a fire extinguisher, its layout, colours and light
taken from the seed, under the noise of a sensor. One in three is taken upright; as with a real camera its
pixels still lie on their side, and EXIF Orientation 6 says so. A photo depends on nothing but its arguments
(and on whether the machine has a Chinese font) and is made only once: its name holds a digest of them.
"""

import hashlib
import io
import os
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from functools import cache
from pathlib import Path

from PIL import ExifTags, Image, ImageChops, ImageDraw, ImageFont
from PIL.TiffImagePlugin import IFDRational

SIZE = (4000, 3000)
BYTES = (2_000_000, 5_000_000)
MAKE, MODEL = "Patrolbook", "Demo Tablet 12MP"

# Part of the digest: raise it when the drawing changes, so that cached photos are made anew.
_VERSION = 2
# Scenes are drawn at half size and enlarged: under the noise nobody sees it, and drawing is faster.
_DRAWN_SIZE = (SIZE[0] // 2, SIZE[1] // 2)
_NOISE_MARGIN = 512

_CJK_FONTS = ("NotoSansCJK", "NotoSansSC", "SourceHanSans", "wqy-", "DroidSansFallback", "msyh", "simhei")
_FONT_FOLDERS = (
    "/usr/share/fonts",
    "/usr/local/share/fonts",
    "~/.local/share/fonts",
    "~/.fonts",
    "/Library/Fonts",
    "C:/Windows/Fonts",
)

# What is written in the scenes, and what stands for it where no Chinese font is found.
_SCHOOLS = (
    ("启航艺术培训学校", "Qihang Art School"),
    ("新思科技创客中心", "Xinsi Maker Centre"),
    ("童悦舞蹈培训", "Tongyue Dance"),
    ("卓文国学书画", "Zhuowen Calligraphy"),
    ("湘岳体育俱乐部", "Xiangyue Sports Club"),
    ("阳光课后托管", "Sunshine After School"),
)
_NOTICES = (
    ("办学许可证", "Permit"),
    ("收费公示栏", "Fees"),
    ("教师信息公示", "Teachers"),
    ("消防制度", "Fire rules"),
)
_EXIT = ("安全出口", "EXIT")
_EXTINGUISHER = ("灭火器 禁止遮挡", "EXTINGUISHER")

_DARK, _WHITE, _RED, _GREEN = (40, 40, 44), (250, 250, 246), (196, 28, 30), (14, 128, 64)

Colour = tuple[int, int, int]
Box = tuple[float, float, float, float]


def make_photos(folder: Path, count: int, seed: int, around: tuple[int, int], start: datetime) -> list[Path]:
    """Make `count` photos in `folder`, or find those that an earlier call with these arguments left there.

    `around` is (latitude, longitude) in 1e-7 degree; the photos lie within some 40 m of it. The first is
    taken at `start`, the others 20 to 60 seconds apart. Raises ValueError when `start` has no time zone.
    """
    if start.utcoffset() is None:
        raise ValueError("start needs a time zone: EXIF holds local time and its offset from UTC")
    folder.mkdir(parents=True, exist_ok=True)
    return [_photo(folder, i, seed, around, start) for i in range(count)]


def _photo(folder: Path, i: int, seed: int, around: tuple[int, int], start: datetime) -> Path:
    arguments = f"{_VERSION} {seed} {i} {around} {start.isoformat()}"
    path = folder / f"IMG_{i:04d}_{hashlib.sha256(arguments.encode()).hexdigest()[:12]}.jpg"
    if not path.exists():
        content = _jpeg(random.Random(arguments), i, around, start)
        unfinished = path.with_suffix(f".{os.getpid()}.unfinished")
        unfinished.write_bytes(content)
        unfinished.replace(path)
    return path


def _jpeg(rng: random.Random, i: int, around: tuple[int, int], start: datetime) -> bytes:
    upright = rng.random() < 1 / 3
    taken = start + timedelta(seconds=40 * i + (rng.uniform(-10, 10) if i else 0))
    lat_e7, lon_e7 = (middle + rng.randint(-2700, 2700) for middle in around)
    exif = _exif(rng, taken, lat_e7, lon_e7, upright)
    picture = _developed(rng, _scene(rng, i, upright))
    low, high = BYTES
    for quality in (88, 80, 95):
        stream = io.BytesIO()
        picture.save(stream, "JPEG", quality=quality, exif=exif)
        if low <= stream.tell() <= high:
            return stream.getvalue()
    raise AssertionError(f"at no JPEG quality does this scene have {low} to {high} bytes")


def _scene(rng: random.Random, i: int, upright: bool) -> Image.Image:
    """The scene at half size as the sensor has it: lying on its side when the tablet was held upright."""
    size = _DRAWN_SIZE[::-1] if upright else _DRAWN_SIZE
    image = Image.new("RGB", size, _tint(rng, 190, 240))
    _SCENES[i % len(_SCENES)](_Canvas(ImageDraw.Draw(image), *size), rng)
    image = ImageChops.multiply(image, _light(rng, size))
    return image.transpose(Image.Transpose.ROTATE_90) if upright else image


def _developed(rng: random.Random, scene: Image.Image) -> Image.Image:
    """The scene at full size under the sensor's noise, in the colour space of JPEG.

    Brightness alone is enlarged smoothly and gets noise: JPEG halves the resolution of colour in any case.
    """
    brightness, blue, red = scene.convert("YCbCr").split()
    x, y = rng.randrange(_NOISE_MARGIN), rng.randrange(_NOISE_MARGIN)
    noise = _noise().crop((x, y, x + SIZE[0], y + SIZE[1]))
    smooth = brightness.resize(SIZE, Image.Resampling.BILINEAR)
    colours = [channel.resize(SIZE, Image.Resampling.NEAREST) for channel in (blue, red)]
    return Image.merge("YCbCr", (Image.blend(smooth, noise, rng.uniform(0.085, 0.12)), *colours))


@cache
def _noise() -> Image.Image:
    """One plane of noise for all photos; each takes another part of it."""
    size = (SIZE[0] + _NOISE_MARGIN, SIZE[1] + _NOISE_MARGIN)
    return Image.frombytes("L", size, random.Random(_VERSION).randbytes(size[0] * size[1]))


def _light(rng: random.Random, size: tuple[int, int]) -> Image.Image:
    """Uneven light, a few lamps and shadows: the coarse pattern that perceptual hashes go by."""
    lamps = Image.frombytes("L", (4, 3), bytes(rng.randint(120, 255) for _ in range(12)))
    return lamps.resize(size, Image.Resampling.BICUBIC).convert("RGB")


def _tint(rng: random.Random, low: int, high: int) -> Colour:
    """A greyish colour between two brightnesses."""
    middle = rng.randint(low, high)
    red, green, blue = (max(0, min(255, middle + rng.randint(-22, 22))) for _ in range(3))
    return red, green, blue


@dataclass(frozen=True)
class _Canvas:
    """Draws in fractions of the picture: (0, 0) is its upper left corner, (1, 1) the lower right."""

    draw: ImageDraw.ImageDraw
    width: int
    height: int

    def shape(self, points: list[tuple[float, float]], fill: Colour, outline: Colour = _DARK) -> None:
        scaled = [(x * self.width, y * self.height) for x, y in points]
        self.draw.polygon(scaled, fill=fill, outline=outline, width=6)

    def box(self, box: Box, fill: Colour, outline: Colour = _DARK) -> None:
        self.draw.rectangle(self._scaled(box), fill=fill, outline=outline, width=6)

    def plate(self, box: Box, words: tuple[str, str], fill: Colour, ink: Colour) -> None:
        """A box with words in it, as large as they fit. `words` are Chinese and what stands for them."""
        self.box(box, fill, ink)
        x0, y0, x1, y1 = self._scaled(box)
        text = words[0] if _cjk_font() else words[1]
        at_100 = _font(100).getlength(text)
        size = int(min(100 * (x1 - x0) * 0.86 / at_100, (y1 - y0) * 0.7))
        self.draw.text(((x0 + x1) / 2, (y0 + y1) / 2), text, fill=ink, font=_font(max(size, 8)), anchor="mm")

    def extinguisher(self, x: float, foot: float, tall: float, gauge: Colour) -> None:
        """One that stands or hangs with its left edge at `x` and its bottom at `foot`."""
        wide = tall * 0.34 * self.height / self.width
        top = foot - tall
        body = self._scaled((x, top + tall * 0.2, x + wide, foot))
        self.draw.rounded_rectangle(body, radius=0.3 * (body[2] - body[0]), fill=_RED)
        self.box((x + wide * 0.36, top + tall * 0.08, x + wide * 0.64, top + tall * 0.22), _DARK)
        hose = self._scaled((x + wide * 0.6, top + tall * 0.1, x + wide * 1.2, top + tall * 0.45))
        self.draw.line(hose, fill=_DARK, width=12)
        self.box((x + wide * 0.15, top + tall * 0.45, x + wide * 0.85, top + tall * 0.75), _WHITE)
        self.draw.ellipse(self._scaled((x + wide * 0.3, top, x + wide * 0.7, top + tall * 0.12)), fill=gauge)

    def _scaled(self, box: Box) -> Box:
        return box[0] * self.width, box[1] * self.height, box[2] * self.width, box[3] * self.height


def _signboard(canvas: _Canvas, rng: random.Random) -> None:
    brick = _tint(rng, 110, 190)
    for course in range(28):
        canvas.box((-0.1, course / 28, 1.1, (course + 1) / 28), brick, _tint(rng, 190, 210))
    top = rng.uniform(0.06, 0.25)
    board = (rng.uniform(0.02, 0.12), top, rng.uniform(0.88, 0.98), top + rng.uniform(0.14, 0.2))
    paint = rng.choice(((120, 20, 24), (24, 50, 110), (60, 40, 24)))
    canvas.plate(board, rng.choice(_SCHOOLS), paint, (255, 240, 190))
    leaf = rng.uniform(0.12, 0.2)
    door = rng.uniform(0.06, 0.9 - 2 * leaf)
    for x in (door, door + leaf):
        canvas.box((x, top + 0.28, x + leaf, 1.1), _tint(rng, 150, 220))
    for notice in rng.sample(_NOTICES, rng.randint(1, 3)):
        x, y = rng.uniform(0.02, 0.84), rng.uniform(0.48, 0.72)
        canvas.plate((x, y, x + 0.14, y + 0.12), notice, _WHITE, _DARK)


def _classroom(canvas: _Canvas, rng: random.Random) -> None:
    floor = rng.uniform(0.42, 0.56)
    canvas.box((-0.1, floor, 1.1, 1.1), _tint(rng, 110, 190))
    left = rng.uniform(0.05, 0.4)
    right = left + rng.uniform(0.35, 0.5)
    surface, chalk = rng.choice((((28, 62, 48), _WHITE), (_WHITE, _DARK), (_DARK, _WHITE)))
    canvas.box((left, floor * 0.2, right, floor * 0.8), surface, (120, 90, 60))
    canvas.plate((left + 0.04, floor * 0.3, right - 0.04, floor * 0.6), rng.choice(_SCHOOLS), surface, chalk)
    for x in [x / 100 for x in range(1, 90, 13)]:
        if x + 0.11 < left or x > right + 0.02:
            canvas.box((x, floor * 0.15, x + 0.1, floor * 0.75), (214, 232, 246))
    wood = _tint(rng, 120, 200)
    for row in range(rng.randint(2, 4)):
        size, y = 0.06 + 0.035 * row, floor + 0.04 + 0.12 * row
        shift = rng.uniform(0, 0.1)
        for column in range(rng.randint(3, 6)):
            x = shift + column * size * 1.7
            canvas.box((x + size * 0.1, y, x + size * 0.2, y + size), _DARK)
            canvas.box((x, y, x + size, y + size * 0.4), wood)


def _corridor(canvas: _Canvas, rng: random.Random) -> None:
    x, y, half = rng.uniform(0.3, 0.7), rng.uniform(0.35, 0.5), rng.uniform(0.06, 0.14)
    left, top, right, foot = x - half, y - half, x + half, y + half
    canvas.shape([(0, 1), (1, 1), (right, foot), (left, foot)], _tint(rng, 100, 180))
    canvas.shape([(0, 0), (1, 0), (right, top), (left, top)], _tint(rng, 215, 245))
    canvas.box((left, top, right, foot), _tint(rng, 120, 230))
    wood = _tint(rng, 90, 190)
    for edge, end in ((0, left), (1, right)):
        for near in rng.sample((0.3, 0.55, 0.85), rng.randint(1, 3)):
            a, b = (end + (edge - end) * part for part in (near, near - 0.15))
            feet = [foot + (1 - foot) * part for part in (near, near - 0.15)]
            tops = [top - top * part * 0.5 for part in (near, near - 0.15)]
            canvas.shape([(a, feet[0]), (a, tops[0]), (b, tops[1]), (b, feet[1])], wood)
    sign = rng.uniform(0.08, 0.14)
    canvas.plate((x - sign, y * 0.3, x + sign, y * 0.5), _EXIT, _GREEN, _WHITE)
    if rng.random() < 0.6:
        canvas.extinguisher(rng.choice((rng.uniform(0.02, 0.2), rng.uniform(0.8, 0.95))), 0.93, 0.22, _GREEN)


def _extinguishers(canvas: _Canvas, rng: random.Random) -> None:
    floor = rng.uniform(0.75, 0.92)
    canvas.box((-0.1, floor, 1.1, 1.1), _tint(rng, 80, 170))
    tall = rng.uniform(0.35, 0.5)
    first, step = rng.uniform(0.05, 0.3), tall * 0.45 * canvas.height / canvas.width
    plate = (rng.uniform(0.3, 0.65), rng.uniform(0.06, 0.2))
    canvas.plate((*plate, plate[0] + 0.3, plate[1] + 0.12), _EXTINGUISHER, _WHITE, _RED)
    for n in range(rng.randint(1, 3)):
        # A gauge in the red is what an inspector is after; one in four is.
        gauge = rng.choice((_GREEN, _GREEN, _GREEN, (240, 90, 40)))
        canvas.extinguisher(first + n * step, floor, tall, gauge)


_SCENES: tuple[Callable[[_Canvas, random.Random], None], ...] = (
    _signboard,
    _classroom,
    _corridor,
    _extinguishers,
)


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    path = _cjk_font()
    return ImageFont.truetype(path, size) if path else ImageFont.load_default(size)


@cache
def _cjk_font() -> Path | None:
    """A font of this machine that has Chinese characters, if one is found."""
    for folder in _FONT_FOLDERS:
        for path in sorted(Path(folder).expanduser().rglob("*.[to]t[cf]")):
            if path.name.startswith(_CJK_FONTS):
                return path
    return None


def _exif(rng: random.Random, taken: datetime, lat_e7: int, lon_e7: int, upright: bool) -> Image.Exif:
    """EXIF 2.32: local time with its offset, and the position with the satellites' own time, which is UTC."""
    exif = Image.Exif()
    base, ifd, gps = ExifTags.Base, ExifTags.IFD, ExifTags.GPS
    local, offset = taken.strftime("%Y:%m:%d %H:%M:%S"), taken.isoformat()[-6:]
    exif.update({base.Make: MAKE, base.Model: MODEL, base.DateTime: local})
    exif[base.Orientation] = 6 if upright else 1
    exif.get_ifd(ifd.Exif).update(
        {
            base.DateTimeOriginal: local,
            base.DateTimeDigitized: local,
            base.OffsetTime: offset,
            base.OffsetTimeOriginal: offset,
            base.OffsetTimeDigitized: offset,
            base.SubsecTimeOriginal: f"{taken.microsecond // 1000:03d}",
            base.ExifImageWidth: SIZE[0],
            base.ExifImageHeight: SIZE[1],
            base.ExposureTime: IFDRational(1, rng.choice((30, 60, 125))),
            base.FNumber: IFDRational(18, 10),
            base.ISOSpeedRatings: rng.choice((100, 200, 400, 800)),
        }
    )
    fix = taken.astimezone(UTC)
    exif.get_ifd(ifd.GPSInfo).update(
        {
            gps.GPSLatitudeRef: "N" if lat_e7 >= 0 else "S",
            gps.GPSLatitude: _sexagesimal(lat_e7),
            gps.GPSLongitudeRef: "E" if lon_e7 >= 0 else "W",
            gps.GPSLongitude: _sexagesimal(lon_e7),
            gps.GPSTimeStamp: tuple(IFDRational(part) for part in (fix.hour, fix.minute, fix.second)),
            gps.GPSDateStamp: fix.strftime("%Y:%m:%d"),
            gps.GPSMapDatum: "WGS-84",
        }
    )
    return exif


def _sexagesimal(e7: int) -> tuple[IFDRational, IFDRational, IFDRational]:
    """Degrees, minutes and seconds of a coordinate in 1e-7 degree, without rounding."""
    degrees, rest = divmod(abs(e7), 10**7)
    minutes, rest = divmod(rest * 60, 10**7)
    seconds = Fraction(rest * 60, 10**7)
    return IFDRational(degrees), IFDRational(minutes), IFDRational(seconds.numerator, seconds.denominator)
