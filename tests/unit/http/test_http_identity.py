"""Tokens, certificates and impersonation."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import orjson
import pytest
from multidict import CIMultiDict

from runtime.api.context import User
from runtime.api.http.authentication import (
    Authenticator,
    TokenReviewer,
    bearer_token,
    certificate_user,
    impersonate,
    is_public,
    read_tokens,
)
from runtime.api.http.pki import prepare_pki
from runtime.api.http.tokens import ISSUER, InvalidToken, ServiceAccountTokens
from runtime.objects.clock import ManualClock
from runtime.objects.errors import StatusError

ACCOUNT = {"kind": "ServiceAccount", "metadata": {"name": "bot", "namespace": "ns", "uid": "u1"}}
POD = {
    "kind": "Pod",
    "metadata": {"name": "p", "namespace": "ns", "uid": "u2"},
    "spec": {"nodeName": "n"},
}
NODE = {"kind": "Node", "metadata": {"name": "n", "uid": "u3"}}


class World:
    def __init__(self, folder: Path) -> None:
        self.objects: dict[tuple[str, str, str], Any] = {
            ("serviceaccounts", "ns", "bot"): ACCOUNT,
            ("pods", "ns", "p"): POD,
            ("nodes", "", "n"): NODE,
        }
        self.clock = ManualClock()
        self.pki = prepare_pki(folder)
        self.tokens = ServiceAccountTokens(
            self.pki.service_account_key, lambda *key: self.objects.get(key), self.clock
        )

    def issue(self, *audiences: str, bound: Any = None) -> str:
        return self.tokens.issue(
            service_account=ACCOUNT, audiences=audiences, expiration_seconds=600, bound=bound
        ).token


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_a_token_names_its_account(world: World) -> None:
    user, audiences = world.tokens.verify(world.issue()) or (None, None)
    assert user is not None and user.name == "system:serviceaccount:ns:bot" and user.uid == "u1"
    assert user.groups == ("system:serviceaccounts", "system:serviceaccounts:ns", "system:authenticated")
    assert audiences == [ISSUER]


def test_audiences_must_meet(world: World) -> None:
    token = world.issue("vault", "other")
    assert world.tokens.verify(token, ["x", "vault"]) is not None
    with pytest.raises(InvalidToken, match="audiences"):
        world.tokens.verify(token)


async def test_a_token_expires(world: World) -> None:
    token = world.issue()
    await world.clock.advance(600 + 59)
    assert world.tokens.verify(token)
    await world.clock.advance(2)
    with pytest.raises(InvalidToken, match="expired"):
        world.tokens.verify(token)


def test_a_token_dies_with_what_it_is_bound_to(world: World) -> None:
    token = world.issue(bound=POD)
    found = world.tokens.verify(token)
    assert found is not None
    assert found[0].extra["authentication.kubernetes.io/pod-name"] == ["p"]
    assert found[0].extra["authentication.kubernetes.io/node-name"] == ["n"]
    world.objects[("pods", "ns", "p")] = {**POD, "metadata": {**POD["metadata"], "uid": "new"}}
    with pytest.raises(InvalidToken, match="invalidated"):
        world.tokens.verify(token)


async def test_a_token_dies_with_its_account(world: World) -> None:
    token = world.issue()
    deleting = {**ACCOUNT["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z"}
    world.objects[("serviceaccounts", "ns", "bot")] = {**ACCOUNT, "metadata": deleting}
    assert world.tokens.verify(token)
    await world.clock.advance(61)
    with pytest.raises(InvalidToken, match="deleted"):
        world.tokens.verify(token)
    del world.objects[("serviceaccounts", "ns", "bot")]
    with pytest.raises(InvalidToken, match="not found"):
        world.tokens.verify(token)


def test_forged_tokens_are_nobodys(world: World, tmp_path: Path) -> None:
    token = world.issue()
    head, claims, signature = token.split(".")
    none = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
    changed = orjson.loads(base64.urlsafe_b64decode(claims + "=="))
    changed["sub"] = "system:serviceaccount:kube-system:root"
    forged = base64.urlsafe_b64encode(orjson.dumps(changed)).rstrip(b"=").decode()
    other = World(tmp_path / "other").issue()
    for bad in (
        f"{head}.{forged}.{signature}",
        f"{none}.{claims}.",
        f"{none}.{claims}.{signature}",
        other,
        token[:-4],
        "x",
        "a.b.c",
        "..",
        f"{head}.{claims}.{'A' * 86}",
    ):
        assert world.tokens.verify(bad) is None


def test_the_key_set_verifies_with_another_library(world: World) -> None:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

    (key,) = world.tokens.keys()["keys"]

    def number(text: str) -> int:
        return int.from_bytes(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), "big")

    public = ec.EllipticCurvePublicNumbers(number(key["x"]), number(key["y"]), ec.SECP256R1()).public_key()
    head, claims, signature = world.issue().split(".")
    raw = base64.urlsafe_b64decode(signature + "==")
    der = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    public.verify(der, f"{head}.{claims}".encode(), ec.ECDSA(hashes.SHA256()))
    assert orjson.loads(base64.urlsafe_b64decode(head + "=="))["kid"] == key["kid"]


def test_certificates_and_static_tokens(world: World, tmp_path: Path) -> None:
    subject = ((("organizationName", "a"),), (("organizationName", "b"),), (("commonName", "me"),))
    assert certificate_user({"subject": subject}) == User("me", groups=("a", "b", "system:authenticated"))
    assert certificate_user(None) is None and certificate_user({"subject": ()}) is None
    users = read_tokens(world.pki.tokens)
    (admin,) = users.values()
    assert admin.groups == ("system:masters", "system:authenticated")
    bad = tmp_path / "bad.csv"
    bad.write_text("only,two\n")
    with pytest.raises(ValueError, match="3 columns"):
        read_tokens(bad)


def test_the_order_of_credentials(world: World) -> None:
    static = User("static")
    authenticator = Authenticator({"secret": static}, world.tokens)
    peer = User("peer")
    assert authenticator.authenticate(peer, CIMultiDict({"Authorization": "Bearer wrong"})) is peer
    assert authenticator.authenticate(None, CIMultiDict({"Authorization": "bearer  secret"})) is static
    assert authenticator.authenticate(None, CIMultiDict()) is None
    assert authenticator.authenticate(None, CIMultiDict({"Authorization": "Basic x"})) is None
    with pytest.raises(StatusError) as refused:
        authenticator.authenticate(None, CIMultiDict({"Authorization": "Bearer wrong"}))
    assert refused.value.code == 401
    reviewer = TokenReviewer(world.tokens, authenticator)
    assert reviewer.review("secret", []) == (static, [ISSUER])
    assert reviewer.review("wrong", []) is None


def test_a_token_in_a_websocket_protocol() -> None:
    text = base64.urlsafe_b64encode(b"secret").rstrip(b"=").decode()
    headers = CIMultiDict(
        {"Sec-WebSocket-Protocol": f"v4.channel.k8s.io, base64url.bearer.authorization.k8s.io.{text}"}
    )
    assert bearer_token(headers) == "secret"


class Judge:
    def __init__(self, *allowed: tuple[str, str]) -> None:
        self.allowed = allowed

    def require(self, user: User, request: Any) -> None:
        assert request.verb == "impersonate"
        if (request.full_resource, request.name) not in self.allowed:
            raise StatusError(403, "Forbidden", f"{request.full_resource} {request.name}")


def test_impersonation() -> None:
    me = User("me")
    everything = Judge(
        ("users", "a"),
        ("users", "system:anonymous"),
        ("groups", "g"),
        ("serviceaccounts", "bot"),
        ("userextras/scope", "x"),
    )
    assert impersonate(me, CIMultiDict(), everything) is me
    assert impersonate(me, CIMultiDict({"Impersonate-User": "a"}), everything).groups == (
        "system:authenticated",
    )
    full = CIMultiDict(
        [("Impersonate-User", "a"), ("Impersonate-Group", "g"), ("Impersonate-Extra-Scope", "x")]
    )
    found = impersonate(me, full, everything)
    assert found.groups == ("g", "system:authenticated") and found.extra == {"scope": ["x"]}
    account = CIMultiDict({"Impersonate-User": "system:serviceaccount:ns:bot"})
    assert "system:serviceaccounts:ns" in impersonate(me, account, everything).groups
    anonymous = CIMultiDict({"Impersonate-User": "system:anonymous"})
    assert impersonate(me, anonymous, everything).groups == ("system:unauthenticated",)
    for refused in (
        {"Impersonate-User": "b"},
        {"Impersonate-User": "a", "Impersonate-Group": "other"},
        {"Impersonate-User": "a", "Impersonate-Uid": "1"},
        {"Impersonate-Group": "g"},
    ):
        with pytest.raises(StatusError):
            impersonate(me, CIMultiDict(refused), everything)


def test_public_paths() -> None:
    assert is_public("/livez") and is_public("/readyz/ping") and is_public("/version")
    assert not is_public("/api") and not is_public("/versionx") and not is_public("/metrics")
