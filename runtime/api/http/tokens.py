"""ServiceAccount tokens: JSON Web Tokens that live and die with the objects they name.

Tokens are ES256-signed. A token is good while its signature, its times and its audience are, and while its
ServiceAccount (and the Pod, Secret or Node it is bound to) is the one it was issued for. Follows
``pkg/serviceaccount/{claims,jwt}.go``; the two public documents are those of ``openidmetadata.go``.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from runtime.api.context import IssuedToken, User
from runtime.objects.clock import Clock, format_time, parse_time
from runtime.objects.errors import Obj

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ec

LEGACY_ISSUER = "kubernetes/serviceaccount"
_LEGACY = "kubernetes.io/serviceaccount/"
ISSUER = "https://kubernetes.default.svc.cluster.local"
LEEWAY = timedelta(seconds=60)
_CACHE_LIMIT = 1024
_COORDINATE = 32

POD_NAME = "authentication.kubernetes.io/pod-name"
POD_UID = "authentication.kubernetes.io/pod-uid"
NODE_NAME = "authentication.kubernetes.io/node-name"
NODE_UID = "authentication.kubernetes.io/node-uid"
CREDENTIAL = "authentication.kubernetes.io/credential-id"

Lookup = Callable[[str, str, str], Obj | None]
"""(group resource, namespace, name) → the stored object, if it is there."""


class InvalidToken(Exception):
    """The token is one of ours by its looks, and no good; the message says why."""


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def service_account_user(
    namespace: str, name: str, uid: str = "", extra: dict[str, list[str]] | None = None
) -> User:
    """The user a ServiceAccount is."""
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated")
    return User(f"system:serviceaccount:{namespace}:{name}", uid, groups, extra or {})


class ServiceAccountTokens:
    """Issues and verifies ServiceAccount tokens; the key is read when it is first needed."""

    def __init__(self, key_file: Path, lookup: Lookup, clock: Clock, *, issuer: str = ISSUER) -> None:
        self._key_file = key_file
        self._lookup = lookup
        self._clock = clock
        self.issuer = issuer
        self._key: ec.EllipticCurvePrivateKey | None = None
        self._key_id = ""
        self._verified: dict[str, dict[str, Any]] = {}

    def _load(self) -> ec.EllipticCurvePrivateKey:
        if self._key is None:
            from cryptography.hazmat.primitives import serialization
            from cryptography.hazmat.primitives.asymmetric import ec

            key = serialization.load_pem_private_key(self._key_file.read_bytes(), None)
            if not isinstance(key, ec.EllipticCurvePrivateKey):
                raise OSError(f"{self._key_file}: not an elliptic curve key")
            public = key.public_key().public_bytes(
                serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
            )
            self._key_id = _encode(hashlib.sha256(public).digest())
            self._key = key
        return self._key

    def issue(
        self,
        *,
        service_account: Obj,
        audiences: Sequence[str],
        expiration_seconds: int,
        bound: Obj | None,
    ) -> IssuedToken:
        """Sign a token (see :class:`runtime.api.context.TokenIssuer`)."""
        now = self._clock.now()
        expires = now + timedelta(seconds=expiration_seconds)
        meta = service_account["metadata"]
        private: Obj = {
            "namespace": meta["namespace"],
            "serviceaccount": {"name": meta["name"], "uid": meta["uid"]},
        }
        if bound is not None:
            private[bound["kind"].lower()] = _reference(bound)
            if bound["kind"] == "Pod":
                node = self._lookup("nodes", "", (bound.get("spec") or {}).get("nodeName") or "")
                if node is not None:
                    private["node"] = _reference(node)
        claims = {
            "aud": list(audiences) or [self.issuer],
            "exp": int(expires.timestamp()),
            "iat": int(now.timestamp()),
            "iss": self.issuer,
            "jti": str(uuid.uuid4()),
            "kubernetes.io": private,
            "nbf": int(now.timestamp()),
            "sub": f"system:serviceaccount:{meta['namespace']}:{meta['name']}",
        }
        return IssuedToken(self._sign(claims), format_time(expires))

    def issue_for_secret(self, service_account: Obj, secret: Obj) -> str:
        """Sign the token of a Secret that is there to hold one: it is good while the Secret does."""
        meta = service_account["metadata"]
        return self._sign(
            {
                "iss": LEGACY_ISSUER,
                f"{_LEGACY}namespace": meta["namespace"],
                f"{_LEGACY}secret.name": secret["metadata"]["name"],
                f"{_LEGACY}service-account.name": meta["name"],
                f"{_LEGACY}service-account.uid": meta["uid"],
                "sub": f"system:serviceaccount:{meta['namespace']}:{meta['name']}",
            }
        )

    def _sign(self, claims: dict[str, Any]) -> str:
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

        key = self._load()
        head = _encode(orjson.dumps({"alg": "ES256", "kid": self._key_id}))
        signed = f"{head}.{_encode(orjson.dumps(claims))}"
        r, s = decode_dss_signature(key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{signed}.{_encode(r.to_bytes(_COORDINATE, 'big') + s.to_bytes(_COORDINATE, 'big'))}"

    def verify(self, token: str, audiences: Sequence[str] = ()) -> tuple[User, list[str]] | None:
        """Who a token belongs to, and which of ``audiences`` (the API server itself when empty) it is for.

        None when the token is not one this cluster could have issued.

        Raises:
            InvalidToken: it is this cluster's, and expired, meant for others, or bound to what is gone.
        """
        claims = self._verified.get(token)
        if claims is None:
            claims = self._check_signature(token)
            if claims is None:
                return None
            if len(self._verified) >= _CACHE_LIMIT:
                self._verified.clear()
            self._verified[token] = claims
        now = self._clock.now()
        if "exp" in claims and now > datetime.fromtimestamp(claims["exp"], UTC) + LEEWAY:
            raise InvalidToken("service account token has expired")
        if "nbf" in claims and now < datetime.fromtimestamp(claims["nbf"], UTC) - LEEWAY:
            raise InvalidToken("service account token is not valid yet")
        asked = list(audiences) or [self.issuer]
        held = claims.get("aud") or [self.issuer]
        both = [audience for audience in asked if audience in held]
        if not both:
            raise InvalidToken(f"token audiences {held} is invalid for the target audiences {asked}")
        if claims["iss"] == LEGACY_ISSUER:
            return self._check_secret(claims, token, now), both
        return self._check_objects(claims, now), both

    def _check_signature(self, token: str) -> dict[str, Any] | None:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

        parts = token.split(".")
        if len(parts) != 3:
            return None
        try:
            head = orjson.loads(_decode(parts[0]))
            claims = orjson.loads(_decode(parts[1]))
            signature = _decode(parts[2])
        except ValueError:
            return None
        if not isinstance(head, dict) or not isinstance(claims, dict):
            return None
        if claims.get("iss") not in (self.issuer, LEGACY_ISSUER) or head.get("alg") != "ES256":
            return None
        if len(signature) != 2 * _COORDINATE:
            return None
        r, s = (int.from_bytes(half, "big") for half in (signature[:_COORDINATE], signature[_COORDINATE:]))
        try:
            self._load().public_key().verify(
                encode_dss_signature(r, s), f"{parts[0]}.{parts[1]}".encode(), ec.ECDSA(hashes.SHA256())
            )
        except InvalidSignature:
            return None
        return claims

    def _check_secret(self, claims: dict[str, Any], token: str, now: datetime) -> User:
        """``pkg/serviceaccount/legacy.go``: the Secret still holds the token, the account is still the same."""
        namespace = str(claims.get(f"{_LEGACY}namespace", ""))
        name = str(claims.get(f"{_LEGACY}service-account.name", ""))
        uid = str(claims.get(f"{_LEGACY}service-account.uid", ""))
        secret = self._lookup("secrets", namespace, str(claims.get(f"{_LEGACY}secret.name", "")))
        if secret is None or _deleted(secret, now):
            raise InvalidToken("service account token has been invalidated")
        held = base64.b64decode((secret.get("data") or {}).get("token") or "")
        if not hmac.compare_digest(held, token.encode()):
            raise InvalidToken("service account token does not match server's copy")
        stored = self._lookup("serviceaccounts", namespace, name)
        if stored is None or _deleted(stored, now):
            raise InvalidToken(f"service account {namespace}/{name} has been deleted")
        if stored["metadata"]["uid"] != uid:
            raise InvalidToken(
                f"service account UID ({stored['metadata']['uid']}) does not match claim ({uid})"
            )
        return service_account_user(namespace, name, uid)

    def _check_objects(self, claims: dict[str, Any], now: datetime) -> User:
        private = claims.get("kubernetes.io") or {}
        namespace = str(private.get("namespace", ""))
        account = private.get("serviceaccount") or {}
        name, uid = str(account.get("name", "")), str(account.get("uid", ""))
        stored = self._lookup("serviceaccounts", namespace, name)
        if stored is None:
            raise InvalidToken(f'serviceaccounts "{name}" not found')
        if _deleted(stored, now):
            raise InvalidToken(f"service account {namespace}/{name} has been deleted")
        if stored["metadata"]["uid"] != uid:
            raise InvalidToken(
                f"service account UID ({stored['metadata']['uid']}) does not match claim ({uid})"
            )
        extra: dict[str, list[str]] = {}
        for field, resource, where in (
            ("secret", "secrets", namespace),
            ("pod", "pods", namespace),
            ("node", "nodes", ""),
        ):
            reference = private.get(field)
            if not reference:
                continue
            # A token bound to a Pod names its Node only for information: it does not die with it.
            if field != "node" or "pod" not in private:
                bound = self._lookup(resource, where, str(reference.get("name", "")))
                if (
                    bound is None
                    or bound["metadata"]["uid"] != reference.get("uid")
                    or (field != "node" and _deleted(bound, now))
                ):
                    raise InvalidToken("service account token has been invalidated")
            if field == "pod":
                extra[POD_NAME], extra[POD_UID] = [reference["name"]], [reference["uid"]]
            elif field == "node":
                extra[NODE_NAME], extra[NODE_UID] = [reference["name"]], [reference["uid"]]
        if claims.get("jti"):
            extra[CREDENTIAL] = [f"JTI={claims['jti']}"]
        return service_account_user(namespace, name, uid, extra)

    def keys(self) -> Obj:
        """The JSON Web Key Set at ``/openid/v1/jwks``."""
        numbers = self._load().public_key().public_numbers()
        key = {
            "use": "sig",
            "kty": "EC",
            "kid": self._key_id,
            "crv": "P-256",
            "alg": "ES256",
            "x": _encode(numbers.x.to_bytes(_COORDINATE, "big")),
            "y": _encode(numbers.y.to_bytes(_COORDINATE, "big")),
        }
        return {"keys": [key]}

    def configuration(self, server: str) -> Obj:
        """The document at ``/.well-known/openid-configuration``; ``server`` is the API server's URL."""
        return {
            "issuer": self.issuer,
            "jwks_uri": f"{server}/openid/v1/jwks",
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
        }


def _reference(obj: Obj) -> Obj:
    return {"name": obj["metadata"]["name"], "uid": obj["metadata"]["uid"]}


def _deleted(obj: Obj, now: datetime) -> bool:
    """Whether its deletion began longer ago than clocks may differ."""
    stamp = obj["metadata"].get("deletionTimestamp")
    return bool(stamp) and parse_time(stamp) < now - LEEWAY
