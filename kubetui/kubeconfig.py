"""Kubeconfig files, read as client-go reads them, and the credentials that they lead to.

kr8s knows how to authenticate, but takes one file at its word. What client-go does around that is here: several files
are merged (the first one that names a thing wins, the first current context counts, files that are not there are
passed over), paths are relative to the file that names them, ``tokenFile`` is read anew each time, credential plugins
hear about the cluster in ``KUBERNETES_EXEC_INFO``, and ``as`` impersonates. See client-go's ``tools/clientcmd`` and
``plugin/pkg/client/auth/exec``.
"""

from __future__ import annotations

import contextlib
import json
import os
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kubetui.live.client import Credentials

Named = dict[str, dict[str, Any]]
_CLUSTER_FILES = ("certificate-authority",)
_USER_FILES = ("client-certificate", "client-key", "tokenFile")
_EXEC_CLUSTER = (
    "server",
    "tls-server-name",
    "insecure-skip-tls-verify",
    "certificate-authority-data",
    "proxy-url",
)


class KubeconfigError(ValueError):
    """What is wrong with a kubeconfig, or with what it asks for, in one line."""


@dataclass(slots=True)
class Kubeconfig:
    """Everything that the files say together."""

    clusters: Named = field(default_factory=dict)
    users: Named = field(default_factory=dict)
    contexts: Named = field(default_factory=dict)
    current: str = ""

    def resolve(self, context: str | None) -> Resolved:
        """What a context (None: the current one, else the only one) leads to; raises KubeconfigError."""
        name = context or self.current or (next(iter(self.contexts)) if len(self.contexts) == 1 else "")
        if not name:
            raise KubeconfigError(f"no current context; choose one with --context{self._known()}")
        found = self.contexts.get(name)
        if found is None:
            raise KubeconfigError(f"there is no context {name!r}{self._known()}")
        cluster = self.clusters.get(str(found.get("cluster") or ""))
        if cluster is None or not cluster.get("server"):
            raise KubeconfigError(f"context {name!r} has no cluster with a server")
        user_name = str(found.get("user") or "")
        if user_name and user_name not in self.users:
            raise KubeconfigError(f"context {name!r} names user {user_name!r}, which is not there")
        return Resolved(name, found, cluster, self.users.get(user_name) or {})

    def _known(self) -> str:
        return f" (there are {', '.join(sorted(self.contexts)[:12])})" if self.contexts else ""


@dataclass(frozen=True, slots=True)
class Resolved:
    """One context with its cluster and its user."""

    name: str
    context: dict[str, Any]
    cluster: dict[str, Any]
    user: dict[str, Any]

    def document(self) -> dict[str, Any]:
        """A kubeconfig of this context alone, with what a credential plugin and a token file need filled in."""
        user = dict(self.user)
        if token_file := user.pop("tokenFile", None):
            try:
                user["token"] = Path(token_file).read_text("utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                raise KubeconfigError(f"tokenFile {token_file}: {_reason(error)}") from error
        if isinstance(user.get("exec"), dict):
            user["exec"] = {**user["exec"], "env": [*(user["exec"].get("env") or ()), self._exec_info()]}
        for key in ("client-certificate", "client-key"):
            _must_exist(key, user)
        _must_exist("certificate-authority", self.cluster)
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "cluster", "cluster": dict(self.cluster)}],
            "users": [{"name": "user", "user": user}],
            "contexts": [
                {"name": self.name, "context": {**self.context, "cluster": "cluster", "user": "user"}}
            ],
            "current-context": self.name,
        }

    def _exec_info(self) -> dict[str, str]:
        plugin = self.user["exec"]
        spec: dict[str, Any] = {"interactive": False}  # the terminal is ours
        if plugin.get("provideClusterInfo"):
            spec["cluster"] = {k: self.cluster[k] for k in _EXEC_CLUSTER if k in self.cluster}
            for extension in self.cluster.get("extensions") or ():
                if extension.get("name") == "client.authentication.k8s.io/exec":
                    spec["cluster"]["config"] = extension.get("extension")
        info = {"kind": "ExecCredential", "apiVersion": plugin.get("apiVersion"), "spec": spec}
        return {"name": "KUBERNETES_EXEC_INFO", "value": json.dumps(info)}

    @property
    def impersonation(self) -> tuple[tuple[str, str], ...]:
        """The headers of ``as``, ``as-uid``, ``as-groups`` and ``as-user-extra``."""
        user = self.user
        headers = [("Impersonate-User", str(user["as"]))] if user.get("as") else []
        headers += [("Impersonate-Uid", str(user["as-uid"]))] if user.get("as-uid") else []
        headers += [("Impersonate-Group", str(group)) for group in user.get("as-groups") or ()]
        for key, values in (user.get("as-user-extra") or {}).items():
            headers += [(f"Impersonate-Extra-{key}", str(value)) for value in values or ()]
        return tuple(headers)


def _must_exist(key: str, holder: dict[str, Any]) -> None:
    if holder.get(key) and f"{key}-data" not in holder and not Path(holder[key]).exists():
        raise KubeconfigError(f"{key} {holder[key]}: no such file")


def _reason(error: Exception) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__


def kubeconfig_files(path: str | None) -> list[Path]:
    """The files to read: ``path``, else those of ``$KUBECONFIG`` that exist, else ``~/.kube/config``.

    Raises KubeconfigError where a file that was asked for is not there.
    """
    asked = path or os.environ.get("KUBECONFIG") or ""
    if path and Path(path).expanduser().exists():
        return [Path(path).expanduser()]
    names = [Path(part).expanduser() for part in asked.split(os.pathsep) if part]
    found = [name for name in names or [Path("~/.kube/config").expanduser()] if name.exists()]
    if names and not found:
        raise KubeconfigError(f"{asked}: no such file")
    return found


def read_kubeconfig(path: str | None) -> Kubeconfig:
    """Read and merge the files; none at all is an empty one. Raises KubeconfigError naming file and reason."""
    import yaml

    merged = Kubeconfig()
    for file in kubeconfig_files(path):
        try:
            raw = yaml.safe_load(file.read_text("utf-8-sig"))
        except (OSError, UnicodeDecodeError) as error:
            raise KubeconfigError(f"{file}: {_reason(error)}") from error
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 1
            raise KubeconfigError(f"{file}:{line}: {error.problem or 'not YAML'}") from error
        except yaml.YAMLError as error:
            raise KubeconfigError(f"{file}: not YAML") from error
        if raw is None:
            continue
        if not isinstance(raw, dict):
            raise KubeconfigError(f"{file} is not a kubeconfig")
        merged.current = merged.current or str(raw.get("current-context") or "")
        for key, inner, into, paths in (
            ("clusters", "cluster", merged.clusters, _CLUSTER_FILES),
            ("users", "user", merged.users, _USER_FILES),
            ("contexts", "context", merged.contexts, ()),
        ):
            items = raw.get(key) or []
            if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
                raise KubeconfigError(f"{file}: {key} is not a list of names")
            for item in items:
                value = item.get(inner) or {}
                if isinstance(value, dict):
                    into.setdefault(str(item.get("name") or ""), _absolute(value, paths, file.parent))
    return merged


def _absolute(value: dict[str, Any], keys: tuple[str, ...], folder: Path) -> dict[str, Any]:
    found = {**value, **{key: str(folder / value[key]) for key in keys if value.get(key)}}
    plugin = found.get("exec")
    if isinstance(plugin, dict) and os.sep in str(plugin.get("command") or ""):
        found["exec"] = {**plugin, "command": str(folder / plugin["command"])}
    return found


def list_contexts(path: str | None) -> list[tuple[str, str]]:
    """(name, server) of every context."""
    found = read_kubeconfig(path)
    return [
        (name, str((found.clusters.get(str(context.get("cluster"))) or {}).get("server") or ""))
        for name, context in found.contexts.items()
    ]


async def load_credentials(path: str | None, context: str | None) -> Credentials:
    """Authenticate as a context says, or as the service account of the pod that we run in.

    ``path`` is a file, or None for ``$KUBECONFIG`` and ``~/.kube/config``. Raises KubeconfigError naming what is
    missing; the credentials' ``renew`` does all of this again.
    """
    from kr8s._auth import KubeAuth

    from kubetui.live.client import Credentials

    config = read_kubeconfig(path)
    resolved = config.resolve(context) if config.contexts or config.current or context else None
    auth = KubeAuth(kubeconfig=resolved.document() if resolved is not None else None)
    if resolved is None and not os.environ.get("KUBERNETES_SERVICE_HOST"):
        raise KubeconfigError(f"{path or '~/.kube/config'} has no context with a cluster and a user")
    try:
        await auth.reauthenticate()
        tls = await auth.ssl_context()
    except Exception as error:
        raise KubeconfigError(_what_failed(resolved, error)) from error
    finally:
        _forget_files(auth)
    if isinstance(tls, ssl.SSLContext) and not auth.server_ca_file and tls.verify_mode != ssl.CERT_NONE:
        tls.load_default_certs()

    async def renew() -> Credentials:
        return await load_credentials(path, context)

    return Credentials(
        server=auth.server,
        namespace=str((resolved.context if resolved else {}).get("namespace") or auth.namespace or "default"),
        context=auth.active_context,
        token=auth.token,
        tls=tls,
        tls_server_name=auth.tls_server_name,
        proxy=auth.proxy,
        impersonation=resolved.impersonation if resolved is not None else (),
        renew=renew,
    )


def _forget_files(auth: Any) -> None:
    """kr8s leaves inline certificates in temporary files; a private key must not stay there."""
    for key, file in (
        ("client-key-data", auth.client_key_file),
        ("client-certificate-data", auth.client_cert_file),
        ("certificate-authority-data", auth.server_ca_file),
    ):
        if file and (key in auth._user or key in auth._cluster):
            with contextlib.suppress(OSError):
                Path(str(file)).unlink()


def _what_failed(resolved: Resolved | None, error: Exception) -> str:
    """Why nobody could be authenticated, in words; kr8s passes Python's own errors on."""
    plugin = resolved.user.get("exec") if resolved is not None else None
    if not isinstance(plugin, dict):
        return _reason(error)
    name = f"the credential plugin {plugin.get('command')}"
    if isinstance(error, FileNotFoundError):
        hint = " ".join(str(plugin.get("installHint") or "").split())
        return f"{name} is not installed" + (f": {hint}" if hint else "")
    if isinstance(error, RuntimeError):
        words = [line.strip() for line in str(error).splitlines() if line.strip()]
        return f"{name} failed: {words[-1] if words else 'no reason given'}"
    if isinstance(error, KeyError | TypeError | json.JSONDecodeError):
        return f"{name} printed no credentials"
    return f"{name}: {_reason(error)}"
