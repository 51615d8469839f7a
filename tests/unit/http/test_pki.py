import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import yaml
from cryptography import x509

from runtime.api.http.kubeconfig import write_kubeconfig
from runtime.api.http.pki import prepare_pki


def test_everything_is_made_once_and_private(tmp_path: Path) -> None:
    pki = prepare_pki(tmp_path)
    files = {path.name: path.read_bytes() for path in pki.folder.iterdir()}
    assert set(files) == {
        "ca.crt",
        "ca.key",
        "apiserver.crt",
        "apiserver.key",
        "admin.crt",
        "admin.key",
        "sa.key",
        "tokens.csv",
    }
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in pki.folder.iterdir())
    assert pki.folder.stat().st_mode & 0o777 == 0o700
    prepare_pki(tmp_path)
    assert {path.name: path.read_bytes() for path in pki.folder.iterdir()} == files


def test_leaves_are_renewed_near_their_end_but_the_authority_stays(tmp_path: Path) -> None:
    pki = prepare_pki(tmp_path)
    authority, server = pki.ca_certificate.read_bytes(), pki.server_certificate.read_bytes()
    prepare_pki(tmp_path, now=datetime.now(UTC) + timedelta(days=340))
    assert pki.ca_certificate.read_bytes() == authority
    assert pki.server_certificate.read_bytes() != server


def test_a_new_address_gives_a_new_server_certificate(tmp_path: Path) -> None:
    pki = prepare_pki(tmp_path)
    prepare_pki(tmp_path, addresses=["192.0.2.7"], names=["cluster.example"])
    certificate = x509.load_pem_x509_certificate(pki.server_certificate.read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "192.0.2.7" in {str(address) for address in names.get_values_for_type(x509.IPAddress)}
    assert {"cluster.example", "localhost", "kubernetes.default.svc"} <= set(
        names.get_values_for_type(x509.DNSName)
    )


def test_a_damaged_certificate_is_replaced(tmp_path: Path) -> None:
    pki = prepare_pki(tmp_path)
    pki.admin_certificate.write_text("not a certificate")
    prepare_pki(tmp_path)
    assert x509.load_pem_x509_certificate(pki.admin_certificate.read_bytes())


def test_the_certificates_load_and_chain(tmp_path: Path) -> None:
    pki = prepare_pki(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pki.server_certificate, pki.server_key)
    context.load_verify_locations(pki.ca_certificate)
    authority = x509.load_pem_x509_certificate(pki.ca_certificate.read_bytes())
    admin = x509.load_pem_x509_certificate(pki.admin_certificate.read_bytes())
    admin.verify_directly_issued_by(authority)
    assert admin.subject.rfc4514_string() == "CN=kubernetes-admin,O=system:masters"


def test_kubeconfig_is_private_whole_and_embedded(tmp_path: Path) -> None:
    pki = prepare_pki(tmp_path)
    path = tmp_path / "kubeconfig"
    assert write_kubeconfig(path, pki, port=7443) == "https://127.0.0.1:7443"
    assert path.stat().st_mode & 0o777 == 0o600
    config = yaml.safe_load(path.read_text())
    assert config["current-context"] == "kubetui"
    assert config["clusters"][0]["cluster"]["server"] == "https://127.0.0.1:7443"
    assert set(config["users"][0]["user"]) == {"client-certificate-data", "client-key-data"}
    assert write_kubeconfig(path, pki, host="::1", port=1) == "https://[::1]:1"
