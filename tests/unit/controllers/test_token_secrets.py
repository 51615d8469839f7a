from __future__ import annotations

import base64
from pathlib import Path

import pytest
from control_plane import ControlPlane, control_plane

from runtime.api.context import User
from runtime.api.http.tokens import InvalidToken, ServiceAccountTokens
from runtime.objects import meta
from runtime.objects.clock import ManualClock
from runtime.objects.errors import Obj


def secret(account: str) -> Obj:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/service-account-token",
        "metadata": {
            "name": "robot-token",
            "namespace": "default",
            "annotations": {"kubernetes.io/service-account.name": account},
        },
    }


def account(name: str) -> Obj:
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": "default"}}


def _data(plane: ControlPlane) -> dict[str, str]:
    found = (plane.get("secrets", "robot-token") or {}).get("data") or {}
    return {key: base64.b64decode(value).decode() for key, value in found.items()}


async def test_a_token_secret_is_filled_mended_and_goes_with_its_account(tmp_path: Path) -> None:
    async with control_plane(tmp_path) as plane:
        made = await plane.client.create(account("robot"))
        await plane.client.create(secret("robot"))
        await plane.until(lambda: _data(plane))
        assert _data(plane) == {
            "ca.crt": "CA DATA",
            "namespace": "default",
            "token": "token of robot in robot-token",
        }
        notes = meta.annotations_of(plane.get("secrets", "robot-token") or {})
        assert notes["kubernetes.io/service-account.uid"] == meta.uid_of(made)
        await plane.client.patch(
            "secrets", "robot-token", "default", {"data": {"ca.crt": None, "more": "eA=="}}
        )
        await plane.until(lambda: _data(plane).get("ca.crt") == "CA DATA")
        assert _data(plane)["more"] == "x"
        await plane.client.delete("serviceaccounts", "robot", "default")
        await plane.until(lambda: plane.get("secrets", "robot-token") is None)


async def test_a_token_secret_for_nobody_is_removed(tmp_path: Path) -> None:
    async with control_plane(tmp_path) as plane:
        await plane.client.create(secret("nobody"))
        await plane.until(lambda: plane.get("secrets", "robot-token") is None)


def test_its_token_is_good_while_the_secret_holds_it(tmp_path: Path) -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key_file = tmp_path / "sa.key"
    key_file.write_bytes(
        ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    stored: dict[str, Obj] = {}
    tokens = ServiceAccountTokens(
        key_file, lambda resource, _, name: stored.get(f"{resource}/{name}"), ManualClock()
    )
    robot = account("robot")
    robot["metadata"]["uid"] = "uid-1"
    holder = secret("robot")
    token = tokens.issue_for_secret(robot, holder)
    stored["serviceaccounts/robot"] = robot
    with pytest.raises(InvalidToken):
        tokens.verify(token)
    holder["data"] = {"token": base64.b64encode(token.encode()).decode()}
    stored["secrets/robot-token"] = holder
    found = tokens.verify(token)
    assert found is not None
    user: User = found[0]
    assert user.name == "system:serviceaccount:default:robot"
    assert "system:serviceaccounts:default" in user.groups
    holder["data"]["token"] = base64.b64encode(b"another").decode()
    with pytest.raises(InvalidToken):
        tokens.verify(token)
    holder["data"]["token"] = base64.b64encode(token.encode()).decode()
    stored["serviceaccounts/robot"] = {**robot, "metadata": {**robot["metadata"], "uid": "uid-2"}}
    with pytest.raises(InvalidToken):
        tokens.verify(token)
