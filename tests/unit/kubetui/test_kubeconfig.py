"""Kubeconfigs as users of other clusters have them: several files, relative paths, plugins, token files."""

from __future__ import annotations

import json
import time
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web

from kubetui.kubeconfig import KubeconfigError, list_contexts, load_credentials, read_kubeconfig
from kubetui.live.client import Credentials, KubeClient
from kubetui.live.errors import ApiError


def write(path: Path, user: dict[str, Any], name: str = "one", current: str = "one", **cluster: Any) -> Path:
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": {"server": f"https://{name}.example:6443", **cluster}}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name, "namespace": f"ns-{name}"}}],
        "current-context": current,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(document))
    return path


def plugin(path: Path, script: str) -> str:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


async def test_a_token_file_is_read_anew(tmp_path: Path) -> None:
    file = write(tmp_path / "config", {"tokenFile": "secret/token"})
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "token").write_text("first\n")
    found = await load_credentials(str(file), None)
    assert (found.token, found.namespace, found.context) == ("first", "ns-one", "one")
    (tmp_path / "secret" / "token").write_text("second\n")
    assert found.renew is not None
    assert (await found.renew()).token == "second"


async def test_a_plugin_hears_about_the_cluster(tmp_path: Path) -> None:
    exec_version = "client.authentication.k8s.io/v1"
    plugin(
        tmp_path / "login",
        f'echo "$KUBERNETES_EXEC_INFO" > {tmp_path}/info\n'
        f'echo \'{{"kind":"ExecCredential","apiVersion":"{exec_version}","status":{{"token":"from-plugin"}}}}\'',
    )
    user = {"exec": {"apiVersion": exec_version, "command": "./login", "provideClusterInfo": True}}
    found = await load_credentials(str(write(tmp_path / "config", user)), "one")
    assert found.token == "from-plugin"
    info = json.loads((tmp_path / "info").read_text())
    assert info["apiVersion"] == exec_version
    assert info["spec"] == {"interactive": False, "cluster": {"server": "https://one.example:6443"}}


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (None, "is not installed: get it from the wiki"),
        ("echo dear user >&2; echo please log in >&2; exit 3", "failed: please log in"),
        ("echo hello", "printed no credentials"),
        ('echo \'{"kind":"ExecCredential"}\'', "printed no credentials"),
    ],
)
async def test_a_plugin_that_fails_is_named(tmp_path: Path, script: str | None, said: str) -> None:
    command = plugin(tmp_path / "login", script) if script is not None else "no-such-plugin"
    hint = "get it\n  from the wiki"
    user = {
        "exec": {
            "apiVersion": "client.authentication.k8s.io/v1beta1",
            "command": command,
            "installHint": hint,
        }
    }
    with pytest.raises(KubeconfigError) as error:
        await load_credentials(str(write(tmp_path / "config", user)), None)
    assert said in str(error.value)
    assert command in str(error.value)


async def test_several_files_are_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = write(tmp_path / "a", {"token": "a"}, "one", current="")
    second = write(tmp_path / "b", {"token": "b"}, "two", current="two")
    third = write(tmp_path / "c", {"token": "other"}, "two", current="one")
    files = [first, tmp_path / "absent", second, third]
    monkeypatch.setenv("KUBECONFIG", ":".join(str(f) for f in files))
    assert [name for name, _ in list_contexts(None)] == ["one", "two"]
    assert (await load_credentials(None, None)).token == "b"
    assert (await load_credentials(None, "one")).token == "a"


async def test_impersonation_is_sent(tmp_path: Path) -> None:
    user = {
        "token": "t",
        "as": "jane",
        "as-uid": "7",
        "as-groups": ["dev", "ops"],
        "as-user-extra": {"scopes": ["read", "write"]},
    }
    found = await load_credentials(str(write(tmp_path / "config", user)), None)
    assert KubeClient(found).request_options({"Accept": "x"})["headers"] == [
        ("Accept", "x"),
        ("Impersonate-User", "jane"),
        ("Impersonate-Uid", "7"),
        ("Impersonate-Group", "dev"),
        ("Impersonate-Group", "ops"),
        ("Impersonate-Extra-scopes", "read"),
        ("Impersonate-Extra-scopes", "write"),
        ("Authorization", "Bearer t"),
    ]


async def test_a_context_without_a_user(tmp_path: Path) -> None:
    file = write(tmp_path / "config", {})
    document = yaml.safe_load(file.read_text())
    document["contexts"][0]["context"]["user"] = ""
    document["users"] = None
    file.write_text(yaml.safe_dump(document))
    found = await load_credentials(str(file), None)
    assert (found.server, found.token) == ("https://one.example:6443", None)


@pytest.mark.parametrize(
    ("text", "context", "said"),
    [
        ("a: [", None, ":1: "),
        ("- 1", None, "is not a kubeconfig"),
        ("clusters: 3", None, "clusters is not a list"),
        ("contexts: [{name: a, context: {cluster: x}}]", None, "has no cluster with a server"),
        ("contexts: [{name: a, context: {}}, {name: b, context: {}}]", None, "there are a, b"),
        ("contexts: [{name: a, context: {}}]", "b", "there is no context 'b' (there are a)"),
        ("current-context: gone", None, "there is no context 'gone'"),
    ],
)
async def test_what_is_wrong_is_said(tmp_path: Path, text: str, context: str | None, said: str) -> None:
    file = tmp_path / "config"
    file.write_text(text)
    with pytest.raises(KubeconfigError) as error:
        read_kubeconfig(str(file)).resolve(context)
    assert said in str(error.value)


async def test_a_file_that_is_named_and_not_there(tmp_path: Path) -> None:
    for user, cluster, said in (
        ({"client-certificate": "c.crt", "client-key": "c.key"}, {}, "client-certificate"),
        ({}, {"certificate-authority": "ca.crt"}, "certificate-authority"),
        ({"tokenFile": "token"}, {}, "tokenFile"),
    ):
        with pytest.raises(KubeconfigError) as error:
            await load_credentials(str(write(tmp_path / "config", user, **cluster)), None)
        assert said in str(error.value) and "o such file" in str(error.value)


# -- what strange servers answer ---------------------------------------------------------------------------------


class Stranger:
    """A server that answers what it is told to."""

    def __init__(self) -> None:
        self.answers: list[web.Response] = []
        self.asked: list[web.Request] = []
        self.url = ""

    async def handle(self, request: web.Request) -> web.Response:
        self.asked.append(request)
        return self.answers.pop(0)


@pytest.fixture
async def stranger() -> Any:
    found = Stranger()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", found.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert site._server is not None
    found.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield found
    await runner.cleanup()


async def test_too_many_requests_are_tried_again(stranger: Stranger) -> None:
    stranger.answers = [
        web.json_response({}, status=429, headers={"Retry-After": "0"}),
        web.json_response({"kind": "Pod"}),
    ]
    client = KubeClient(Credentials(stranger.url))
    try:
        assert await client.get("/api/v1/namespaces/a/pods/b") == {"kind": "Pod"}
        stranger.answers = [web.json_response({}, status=429, headers={"Retry-After": "0"})]
        with pytest.raises(ApiError):  # a disruption budget: who evicts waits by itself
            await client.create("/api/v1/namespaces/a/pods/b/eviction", {})
    finally:
        await client.close()


async def test_a_page_to_sign_in_is_no_cluster(stranger: Stranger) -> None:
    client = KubeClient(Credentials(stranger.url))
    try:
        stranger.answers = [web.Response(status=302, headers={"Location": "https://login.example/"})]
        with pytest.raises(ApiError, match="sends us away, to https://login"):
            await client.get("/api")
        stranger.answers = [web.Response(text="<html>sign in</html>", content_type="text/html")]
        with pytest.raises(ApiError, match="does not answer as a Kubernetes API does"):
            await client.get("/api")
    finally:
        await client.close()


async def test_credentials_that_cannot_be_renewed(stranger: Stranger) -> None:
    async def renew() -> Credentials:
        raise KubeconfigError("the credential plugin login failed: please log in")

    stranger.answers = [web.json_response({}, status=401)]
    client = KubeClient(Credentials(stranger.url, renew=renew))
    try:
        with pytest.raises(ApiError, match="please log in"):
            await client.get("/api")
    finally:
        await client.close()


async def test_the_servers_clock_is_another(stranger: Stranger) -> None:
    client = KubeClient(Credentials(stranger.url))
    try:
        for ahead, seen in ((-600, -600), (3600, 3600), (1, 0)):
            date = formatdate(time.time() + ahead, usegmt=True)
            stranger.answers = [web.json_response({"kind": "Pod"}, headers={"Date": date})]
            await client.get("/api/v1/namespaces/a/pods/b")
            assert abs(client.skew - seen) < 3
    finally:
        await client.close()
