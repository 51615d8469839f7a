"""The cluster's own certificates and keys, made once and renewed before they run out.

Everything lives in ``STATE/pki/``, a folder that only its owner can read: the certificate authority, the
server's certificate, the administrator's client certificate, the key that signs ServiceAccount tokens, and
the administrator's bearer token. Keys are ECDSA P-256, so that a first start costs milliseconds.
``cryptography`` is imported inside the functions: a start that finds everything in place reads the
certificates' dates and needs nothing else of it.
"""

from __future__ import annotations

import ipaddress
import os
import secrets
import socket
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec

CA_LIFETIME = timedelta(days=3650)
LEAF_LIFETIME = timedelta(days=365)
RENEW_BEFORE = timedelta(days=30)
BACKDATE = timedelta(minutes=5)
SHORT_LIFETIME = timedelta(hours=8)

SERVER_NAMES = (
    "localhost",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
)
SERVER_ADDRESSES = ("127.0.0.1", "::1", "10.96.0.1")

ADMIN_NAME = "kubernetes-admin"
ADMIN_GROUP = "system:masters"


@dataclass(frozen=True, slots=True)
class PKI:
    """Where the files are; all of them exist once :func:`prepare_pki` returned."""

    folder: Path

    @property
    def ca_certificate(self) -> Path:
        """The authority's certificate (PEM)."""
        return self.folder / "ca.crt"

    @property
    def ca_key(self) -> Path:
        """The authority's private key (PEM, PKCS#8)."""
        return self.folder / "ca.key"

    @property
    def server_certificate(self) -> Path:
        """The API server's certificate (PEM)."""
        return self.folder / "apiserver.crt"

    @property
    def server_key(self) -> Path:
        """The API server's private key (PEM)."""
        return self.folder / "apiserver.key"

    @property
    def admin_certificate(self) -> Path:
        """The administrator's client certificate (PEM)."""
        return self.folder / "admin.crt"

    @property
    def admin_key(self) -> Path:
        """The administrator's private key (PEM)."""
        return self.folder / "admin.key"

    @property
    def service_account_key(self) -> Path:
        """The key that signs ServiceAccount tokens (PEM)."""
        return self.folder / "sa.key"

    @property
    def tokens(self) -> Path:
        """Static bearer tokens: ``token,user,uid,"group,group"`` a line, as ``--token-auth-file`` has it."""
        return self.folder / "tokens.csv"


def write_private(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Write a file whole or not at all, readable by its owner only (atomic rename, synced)."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        os.fchmod(handle, mode)
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def prepare_pki(
    state_dir: Path,
    *,
    names: Iterable[str] = (),
    addresses: Iterable[str] = (),
    now: datetime | None = None,
) -> PKI:
    """Make what is missing in ``state_dir/pki`` and renew what runs out within 30 days.

    Args:
        state_dir: the cluster's state folder; created (0700) when it is not there.
        names: further DNS names for the server's certificate.
        addresses: further IP addresses for it, such as the service network's first.
        now: the moment to judge by; the wall clock's when left out.

    Raises:
        OSError: the folder can't be written.
    """
    moment = now or datetime.now(UTC)
    folder = state_dir / "pki"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    pki = PKI(folder)
    wanted_names = list(dict.fromkeys([*SERVER_NAMES, *_hostnames(), *names]))
    wanted_addresses = list(dict.fromkeys([*SERVER_ADDRESSES, *addresses]))

    renewed = _usable(pki.ca_certificate, pki.ca_key, moment) is None
    if renewed:
        _make_authority(pki, moment)
    server = None if renewed else _usable(pki.server_certificate, pki.server_key, moment)
    if server is None or not _covers(server, wanted_names, wanted_addresses):
        _make_server(pki, moment, wanted_names, wanted_addresses)
    if renewed or _usable(pki.admin_certificate, pki.admin_key, moment) is None:
        _make_client(pki, moment)
    if not pki.service_account_key.exists():
        write_private(pki.service_account_key, _private_pem(_new_key()))
    if not pki.tokens.exists():
        line = f'{secrets.token_urlsafe(32)},{ADMIN_NAME},{ADMIN_NAME},"{ADMIN_GROUP}"\n'
        write_private(pki.tokens, line.encode())
    return pki


def _hostnames() -> list[str]:
    name = socket.gethostname()
    try:
        name.encode("ascii")
    except UnicodeEncodeError:
        return []
    return [name] if name else []


def _usable(certificate: Path, key: Path, now: datetime) -> x509.Certificate | None:
    """The certificate, if it and its key are there and it has more than 30 days to go."""
    from cryptography import x509

    if not key.exists():
        return None
    try:
        found = x509.load_pem_x509_certificate(certificate.read_bytes())
    except (OSError, ValueError):
        return None
    if found.not_valid_after_utc - RENEW_BEFORE < now or found.not_valid_before_utc > now:
        return None
    return found


def _covers(certificate: x509.Certificate, names: list[str], addresses: list[str]) -> bool:
    from cryptography import x509

    try:
        alternative = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return False
    have_names = set(alternative.get_values_for_type(x509.DNSName))
    have_addresses = {str(address) for address in alternative.get_values_for_type(x509.IPAddress)}
    return have_names.issuperset(names) and have_addresses.issuperset(
        str(ipaddress.ip_address(address)) for address in addresses
    )


def _new_key() -> ec.EllipticCurvePrivateKey:
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.generate_private_key(ec.SECP256R1())


def _private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    from cryptography.hazmat.primitives import serialization

    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _name(common: str, organization: str = "") -> x509.Name:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization)] if organization else []
    return x509.Name([*parts, x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _make_authority(pki: PKI, now: datetime) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization

    key = _new_key()
    name = _name("kubernetes")
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATE)
        .not_valid_after(now + CA_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_usage(("digital signature", "cert sign", "crl sign")), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    write_private(pki.ca_key, _private_pem(key))
    write_private(pki.ca_certificate, certificate.public_bytes(serialization.Encoding.PEM))


def _usage(usages: Sequence[str] = ("digital signature",)) -> x509.KeyUsage:
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature="digital signature" in usages,
        content_commitment=False,
        key_encipherment="key encipherment" in usages,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign="cert sign" in usages,
        crl_sign="crl sign" in usages,
        encipher_only=False,
        decipher_only=False,
    )


def _authority(pki: PKI) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    certificate = x509.load_pem_x509_certificate(pki.ca_certificate.read_bytes())
    key = serialization.load_pem_private_key(pki.ca_key.read_bytes(), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise OSError(f"{pki.ca_key}: not an elliptic curve key")
    return certificate, key


def sign_request(pki: PKI, request: bytes, usages: Sequence[str], lifetime: timedelta) -> bytes:
    """The certificate (PEM) for a certificate request, as kube-controller-manager's signers make it.

    Subject, names and key are the request's; everything else is decided here
    (``certificates/authority/policies.go``, permissive signing policy).

    Args:
        pki: whose authority signs.
        request: the request in PEM.
        usages: in the words of certificates.k8s.io, such as ``client auth``.
        lifetime: how long the certificate is good for, counted from now or, from eight hours on, from five
            minutes ago, for clients whose clocks are slow.

    Raises:
        OSError: the authority can't be read.
        ValueError: the request can't be read, or its signature is not its key's.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.x509.oid import ExtendedKeyUsageOID

    asked = x509.load_pem_x509_csr(request)
    if not asked.is_signature_valid:
        raise ValueError("the request is not signed by the key that it names")
    authority, signer = _authority(pki)
    now = datetime.now(UTC)
    begins = now - BACKDATE
    ends = (now if lifetime < SHORT_LIFETIME else begins) + lifetime
    purposes = [
        purpose
        for word, purpose in (
            ("server auth", ExtendedKeyUsageOID.SERVER_AUTH),
            ("client auth", ExtendedKeyUsageOID.CLIENT_AUTH),
        )
        if word in usages
    ]
    builder = (
        x509.CertificateBuilder()
        .subject_name(asked.subject)
        .issuer_name(authority.subject)
        .public_key(asked.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(min(ends, authority.not_valid_after_utc))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
    )
    if set(usages) & {"digital signature", "key encipherment", "cert sign", "crl sign"}:
        builder = builder.add_extension(_usage(usages), critical=True)
    if purposes:
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    try:
        names = asked.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        pass
    else:
        builder = builder.add_extension(names, critical=False)
    return builder.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _issue(
    pki: PKI,
    now: datetime,
    name: x509.Name,
    purpose: x509.ObjectIdentifier,
    alternative: x509.SubjectAlternativeName | None,
) -> tuple[bytes, bytes]:
    """A key and a certificate signed by the authority, both PEM."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization

    authority, signer = _authority(pki)
    key = _new_key()
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(authority.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATE)
        .not_valid_after(min(now + LEAF_LIFETIME, authority.not_valid_after_utc))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
    )
    if alternative is not None:
        builder = builder.add_extension(alternative, critical=False)
    certificate = builder.sign(signer, hashes.SHA256())
    return _private_pem(key), certificate.public_bytes(serialization.Encoding.PEM)


def _make_server(pki: PKI, now: datetime, names: list[str], addresses: list[str]) -> None:
    from cryptography import x509
    from cryptography.x509.oid import ExtendedKeyUsageOID

    alternative = x509.SubjectAlternativeName(
        [
            *(x509.DNSName(name) for name in names),
            *(x509.IPAddress(ipaddress.ip_address(address)) for address in addresses),
        ]
    )
    key, certificate = _issue(pki, now, _name("kube-apiserver"), ExtendedKeyUsageOID.SERVER_AUTH, alternative)
    write_private(pki.server_key, key)
    write_private(pki.server_certificate, certificate)


def _make_client(pki: PKI, now: datetime) -> None:
    from cryptography.x509.oid import ExtendedKeyUsageOID

    key, certificate = _issue(pki, now, _name(ADMIN_NAME, ADMIN_GROUP), ExtendedKeyUsageOID.CLIENT_AUTH, None)
    write_private(pki.admin_key, key)
    write_private(pki.admin_certificate, certificate)
