"""A file that somebody chose in a form, for as long as it is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from flask import request

from schemas.labels import Label
from sync.core.errors import Problem


@contextmanager
def chosen_file(missing: Callable[..., Problem]) -> Iterator[Path]:
    """The file under its own name in a folder that is gone afterwards. Raises `missing` where none was chosen."""
    upload = request.files.get("file")
    if upload is None or not upload.filename:
        raise missing(file="—", detail=Label("没有选择文件", "no file was chosen"))
    with TemporaryDirectory() as folder:
        file = Path(folder) / Path(upload.filename.replace("\\", "/")).name
        upload.save(file)
        yield file
