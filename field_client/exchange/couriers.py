"""Work that leaves or enters the tablet as a file: what the command line and the screens share. `rescue.py` fills it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from field_client.exchange.rescue import Unpacked, pack, unpack
from field_client.platform.files import telling_disk_full
from field_client.platform.keys import Secrets
from field_client.tablet import Tablet
from schemas.labels import Label
from sync import courier
from sync.core.errors import Refused
from sync.courier import Lost

SUFFIX = ".courier"


class Exported(NamedTuple):
    """What was written: the files, how much is in them, and what could not be read."""

    files: tuple[Path, ...]
    changes: int
    blobs: int
    lost: tuple[Lost, ...]


def export(home: Path, secrets: Secrets, now_ms: int, file: Path, passphrase: str | None) -> Exported:
    """Everything that can be read of a tablet into `file`, and into more beside it where one is not enough.

    Without a passphrase anybody can read them.

    :raises DiskFull, Refused: it cannot be written there; nothing half-made is left
    """
    made: list[Path] = []

    @contextlib.contextmanager
    def volume(number: int) -> Iterator[BinaryIO]:
        path = file if number == 1 else file.with_name(f"{file.stem}-{number}{file.suffix}")
        with _whole_or_not_at_all(path) as out:
            if passphrase is None:
                yield out
            else:
                with courier.locking(out, passphrase) as locked:
                    yield locked
        made.append(path)

    manifests = pack(home, secrets, now_ms, volume)
    return Exported(
        tuple(made),
        sum(one.changes for one in manifests),
        sum(len(one.parcels) for one in manifests),
        tuple(lost for one in manifests for lost in one.lost),
    )


def take_in(tablet: Tablet, file: Path, passphrase: Callable[[], str]) -> Unpacked:
    """Take another tablet's file in; taking it in again changes nothing. Raises Refused, and as `rescue.unpack`."""
    try:
        opened = open(file, "rb")  # noqa: SIM115  closed below
    except OSError as error:
        raise Refused(detail=Label(f"打不开文件 {file}", f"the file {file} cannot be opened")) from error
    with opened:
        return unpack(tablet, opened, file.name, passphrase)


@contextlib.contextmanager
def _whole_or_not_at_all(path: Path) -> Iterator[BinaryIO]:
    """A private file that has its name only once it is complete. Raises DiskFull, Refused where none can be made."""
    half = path.with_name(f"{path.name}.part")
    try:
        with telling_disk_full(path.parent):
            with open(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
                yield out
                out.flush()
                os.fsync(out.fileno())
            os.replace(half, path)
    except (FileNotFoundError, NotADirectoryError, PermissionError, IsADirectoryError) as error:
        raise Refused(detail=Label(f"不能写入 {path}", f"{path} cannot be written")) from error
    finally:
        with contextlib.suppress(OSError):
            half.unlink(missing_ok=True)
