from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from control_plane import control_plane
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from runtime.api.http.pki import prepare_pki, sign_request
from runtime.controllers.certificates import (
    CLIENT,
    KUBELET_CLIENT,
    KUBELET_SERVING,
    RESOURCE,
    goes_at,
    lifetime,
    objection,
)
from runtime.objects import meta
from runtime.objects.clock import ManualClock, format_time, parse_time
from runtime.objects.errors import StatusError


def asked(name: str, group: str = "", *, names: tuple[str, ...] = ()) -> x509.CertificateSigningRequest:
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, name)]
    if group:
        parts.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, group))
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(parts))
    if names:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([x509.DNSName(one) for one in names]), critical=False
        )
    return builder.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())


def pem(request: x509.CertificateSigningRequest) -> bytes:
    return request.public_bytes(serialization.Encoding.PEM)


def obj(
    name: str, request: x509.CertificateSigningRequest, usages: tuple[str, ...] = ("client auth",), **spec
):
    return {
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": {"name": name},
        "spec": {
            "request": base64.b64encode(pem(request)).decode(),
            "signerName": CLIENT,
            "usages": list(usages),
            **spec,
        },
    }


async def decide(plane, name: str, decision: str) -> None:
    found = await plane.client.get(RESOURCE, name)
    condition = {"type": decision, "status": "True", "reason": "Test", "message": "because"}
    await plane.client.update_subresource("approval", {**found, "status": {"conditions": [condition]}})


async def test_approved_requests_are_signed_and_go_after_an_hour(tmp_path: Path) -> None:
    pki = prepare_pki(tmp_path / "pki")
    clock = ManualClock(datetime.now(UTC))
    async with control_plane(tmp_path, clock=clock, sign=partial(sign_request, pki)) as plane:
        await plane.client.create(obj("bob", asked("bob", "devs"), expirationSeconds=3600))
        await plane.client.create(obj("eve", asked("eve")))
        await plane.client.create(obj("odd", asked("odd"), usages=("client auth", "server auth")))
        await plane.client.create(obj("other", asked("other"), signerName="example.com/own"))
        await plane.client.create(obj("waiting", asked("waiting")))
        for name in ("bob", "odd", "other"):
            await decide(plane, name, "Approved")
        await decide(plane, "eve", "Denied")

        def status(name: str) -> dict:
            return (plane.get(RESOURCE, name, "") or {}).get("status") or {}

        await plane.until(lambda: status("bob").get("certificate"))
        made = x509.load_pem_x509_certificate(base64.b64decode(status("bob")["certificate"]))
        made.verify_directly_issued_by(x509.load_pem_x509_certificate(pki.ca_certificate.read_bytes()))
        assert made.subject.rfc4514_string() == "O=devs,CN=bob"
        usage = made.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
        left = made.not_valid_after_utc - datetime.now(UTC)
        assert timedelta(minutes=55) < left <= timedelta(hours=1)

        await plane.until(lambda: meta.condition({"status": status("odd")}, "Failed"))
        assert "invalid usage for client certificate: server auth" in str(status("odd")["conditions"])
        for name in ("eve", "odd", "other", "waiting"):
            assert "certificate" not in status(name)

        plane.step = 600
        await plane.until(
            lambda: not {"bob", "eve", "odd"} & {meta.name_of(o) for o in plane.all(RESOURCE, "")}
        )
        assert {meta.name_of(found) for found in plane.all(RESOURCE, "")} == {"other", "waiting"}
        plane.step = 3600
        await plane.until(lambda: not plane.all(RESOURCE, ""))


async def test_nobody_asks_to_become_a_master(tmp_path: Path) -> None:
    async with control_plane(tmp_path) as plane:
        with pytest.raises(StatusError, match="signer with system:masters group is not allowed") as refused:
            await plane.client.create(obj("root", asked("root", "system:masters")))
        assert refused.value.code == 403


@pytest.mark.parametrize(
    ("signer", "request_", "usages", "why"),
    [
        (CLIENT, asked("a"), ["client auth", "digital signature", "key encipherment"], ""),
        (CLIENT, asked("a"), ["digital signature"], "missing required usage"),
        (CLIENT, asked("a"), ["client auth", "code signing"], "invalid usage"),
        (KUBELET_CLIENT, asked("system:node:n", "system:nodes"), ["client auth", "digital signature"], ""),
        (KUBELET_CLIENT, asked("n", "system:nodes"), ["client auth", "digital signature"], "common name"),
        (KUBELET_CLIENT, asked("system:node:n"), ["client auth", "digital signature"], "organization"),
        (KUBELET_CLIENT, asked("system:node:n", "system:nodes", names=("x",)), ["client auth"], "not allowed"),
        (KUBELET_SERVING, asked("system:node:n", "system:nodes", names=("x",)),
         ["server auth", "digital signature"], ""),
        (KUBELET_SERVING, asked("system:node:n", "system:nodes"), ["server auth"], "is required"),
        (KUBELET_SERVING, asked("system:node:n", "system:nodes", names=("x",)), ["client auth"], "usages"),
    ],
    ids=range(10),
)  # fmt: skip
def test_what_signers_sign(signer: str, request_, usages: list[str], why: str) -> None:
    found = objection(request_, signer, usages)
    assert found == "" if not why else why in found


def test_times() -> None:
    assert lifetime({}) == timedelta(days=365) == lifetime({"expirationSeconds": 10**9})
    assert lifetime({"expirationSeconds": 1}) == timedelta(minutes=10)
    assert lifetime({"expirationSeconds": 7200}) == timedelta(hours=2)
    made = datetime(2026, 1, 1, tzinfo=UTC)
    request = {"metadata": {"creationTimestamp": format_time(made)}}
    assert goes_at(request) == made + timedelta(hours=24)
    decided = format_time(made + timedelta(hours=2))
    approved = {
        **request,
        "status": {"conditions": [{"type": "Approved", "status": "True", "lastUpdateTime": decided}]},
    }
    assert goes_at(approved) == made + timedelta(hours=24), "approved, and waiting for its signer"
    approved["status"]["certificate"] = "x"
    assert goes_at(approved) == parse_time(decided) + timedelta(hours=1)


def test_a_request_signed_by_another_key_is_refused(tmp_path: Path) -> None:
    pki = prepare_pki(tmp_path)
    good = asked("a")
    der = bytearray(good.public_bytes(serialization.Encoding.DER))
    der[-1] ^= 1
    bad = x509.load_der_x509_csr(bytes(der))
    with pytest.raises(ValueError, match="not signed by the key"):
        sign_request(pki, pem(bad), ["client auth"], timedelta(hours=1))
    long = x509.load_pem_x509_certificate(
        sign_request(pki, pem(good), ["digital signature"], timedelta(days=1))
    )
    assert long.not_valid_after_utc - long.not_valid_before_utc == timedelta(days=1)
