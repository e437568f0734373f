"""A time stamping authority (RFC 3161) on this machine: `openssl ts` behind a loopback socket.

with running(Authority(folder)) as tsa:
    a server asks tsa.url; its root is tsa.root
"""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from custody import timestamps

POLICY, OTHER_POLICY = "1.2.3.4.1", "1.2.3.4.2"
_CONFIG = f"""
[ tsa ]
default_tsa = main
[ main ]
serial = ./serial
crypto_device = builtin
signer_cert = ./tsa.pem
{{certs}}
signer_key = ./tsa.key
signer_digest = sha256
default_policy = {POLICY}
other_policies = {OTHER_POLICY}
digests = sha256, sha512
accuracy = secs:1
ess_cert_id_alg = sha256
"""
FOR_STAMPS = ExtendedKeyUsageOID.TIME_STAMPING


def is_possible() -> bool:
    """Whether there is an openssl here."""
    return shutil.which("openssl") is not None


class Authority:
    """An authority in a folder: a root, a certificate for time stamping, and openssl.

    usage   the extended key usage of its certificate, valid from 30 days ago until 365 from now; `critical` as it should
    chain   whether its replies carry the root as well, which openssl may write out of the order of DER
    """

    def __init__(
        self,
        folder: Path,
        *,
        usage: Sequence[x509.ObjectIdentifier] = (FOR_STAMPS,),
        critical: bool = True,
        chain: bool = False,
    ) -> None:
        self.folder = folder
        folder.mkdir()
        root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
        about = (x509.ExtendedKeyUsage(usage), critical)
        root = _certificate(f"{folder.name} root", root_key, None, root_key, (x509.BasicConstraints(True, None), True))
        made = _certificate(folder.name, key, root, root_key, about, (x509.BasicConstraints(False, None), True))
        (folder / "ca.pem").write_bytes(root.public_bytes(Encoding.PEM))
        (folder / "tsa.pem").write_bytes(made.public_bytes(Encoding.PEM))
        (folder / "tsa.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        (folder / "serial").write_text("01\n")
        (folder / "tsa.cnf").write_text(_CONFIG.format(certs="certs = ./ca.pem" if chain else ""))
        self.url = ""

    @property
    def root(self) -> str:
        return (self.folder / "ca.pem").read_text()

    def reply(self, query: bytes) -> bytes:
        """What `openssl ts` answers to a request."""
        (self.folder / "query").write_bytes(query)
        self._openssl("ts", "-reply", "-config", "tsa.cnf", "-section", "main", "-queryfile", "query", "-out", "reply")
        return (self.folder / "reply").read_bytes()

    def answer(self, query: bytes) -> bytes:
        """What is sent back over the socket."""
        return self.reply(query)

    def _openssl(self, *words: str) -> None:
        subprocess.run(["openssl", *words], cwd=self.folder, check=True, capture_output=True)


One = TypeVar("One", bound=Authority)


@contextmanager
def running(made: One) -> Iterator[One]:
    """The authority behind a loopback socket; what it answers is its `answer`."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = made.answer(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200 if self.headers["Content-Type"] == timestamps.QUERY else 415)
            self.send_header("Content-Type", timestamps.REPLY)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=listener.serve_forever, daemon=True)
    thread.start()
    made.url = f"http://127.0.0.1:{listener.server_port}/tsr"
    try:
        yield made
    finally:
        listener.shutdown()
        thread.join()
        listener.server_close()


def _certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: x509.Certificate | None,
    signer: ec.EllipticCurvePrivateKey,
    *extensions: tuple[x509.ExtensionType, bool],
) -> x509.Certificate:
    subject, now = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), datetime.now(UTC)
    usages = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
              "key_cert_sign", "crl_sign", "encipher_only", "decipher_only")  # fmt: skip
    wanted = "key_cert_sign" if issuer is None else "digital_signature"
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer is not None else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=30))
        .not_valid_after(now + timedelta(days=365))
        .add_extension(x509.KeyUsage(**{usage: usage == wanted for usage in usages}), True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), False)
    )
    for extension, critical in extensions:
        made = made.add_extension(extension, critical)
    return made.sign(signer, SHA256())
