"""The composition root: one running server, put together from its settings. Nothing else opens databases or keys."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from schemas.labels import Label
from schemas.registry import Registry, shipped
from server import keys as server_keys
from server.config import Settings
from server.exchange.uploads import Depot
from server.keys import ServerKeys
from server.merging.decisions import Desk
from server.storage import migrations
from server.storage.blobfiles import BlobFiles
from server.storage.database import Clock, Database
from server.storage.files import write_new
from server.storage.nonces import Nonces
from server.storage.projections import Projections
from server.storage.texts import Texts
from sync.core.errors import NotReady, Refused


def wall_ms() -> int:
    """The machine's clock, in milliseconds since 1970 UTC."""
    return time.time_ns() // 1_000_000


@dataclass
class Instance:
    """A server. `desk` is where staff decide, `depot` where the blobs of a compartment are taken in."""

    settings: Settings
    registry: Registry
    keys: ServerKeys
    now: Clock
    database: Database = field(init=False)
    projections: Projections = field(init=False)
    files: BlobFiles = field(init=False)
    nonces: Nonces = field(init=False)
    texts: Texts = field(init=False)

    def __post_init__(self) -> None:
        settings = self.settings
        self.database = Database(settings.database_file)
        self.projections = Projections(self.registry)
        self.files = BlobFiles(settings.blobs, settings.uploads)
        self.nonces = Nonces(settings.nonces_file, 2 * settings.clock_ms)
        self.texts = Texts(settings.text_index)

    @property
    def epoch(self) -> str:
        """Which incarnation of the database this is; read each time, because a restore renews it."""
        try:
            return self.settings.epoch_file.read_text("ascii").strip()
        except FileNotFoundError as missing:
            raise NotReady(action=Label("启动", "start"), detail=Label("缺少 epoch 文件", "no epoch file")) from missing

    @property
    def desk(self) -> Desk:
        return Desk(self.database, self.registry, self.projections, self.keys, self.now)

    def depot(self, compartment: str) -> Depot:
        """Where blobs of a compartment are taken in."""
        return Depot(self.database, self.files, self.keys.voice(compartment), self.settings)

    def close(self) -> None:
        self.database.close()
        self.texts.close()


def open_instance(settings: Settings, registry: Registry | None = None, now: Clock = wall_ms) -> Instance:
    """The server whose data is in `settings.data`. Raises NotReady where there is none yet."""
    return Instance(settings, registry or shipped(), server_keys.load(settings.keys), now)


def create_instance(
    settings: Settings, origin: str, registry: Registry | None = None, now: Clock = wall_ms
) -> Instance:
    """Set up an empty server. Raises Refused where there is one already, whatever state it is in."""
    if settings.database_file.exists():
        raise Refused(detail=Label(f"{settings.data} 中已有服务器数据", f"{settings.data} holds a server already"))
    made = server_keys.create(settings.keys, origin)
    new_epoch(settings.epoch_file)
    instance = Instance(settings, registry or shipped(), made, now)
    migrations.upgrade(instance.database)
    with instance.database.write() as conn:
        instance.projections.renew(conn)
    return instance


def new_epoch(file: Path) -> str:
    """Begin a new epoch, as a restored database must: tablets notice and offer again what they kept."""
    epoch = str(uuid4())
    write_new(file, epoch.encode())
    return epoch
