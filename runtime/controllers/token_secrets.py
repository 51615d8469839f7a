"""Secrets of type ``kubernetes.io/service-account-token``: a token that lasts as long as the Secret does.

After ``serviceaccount/tokens_controller.go``. Nobody makes such Secrets any more but those who want a token that
does not expire; it is filled in here, and it goes when its ServiceAccount goes.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence

from runtime.client.informer import Delta
from runtime.objects import meta
from runtime.objects.errors import Obj, StatusError
from runtime.objects.meta import annotations_of, is_deleting, key_of, name_of, namespace_of, uid_of

from .context import BaseController, Context

TYPE = "kubernetes.io/service-account-token"
ACCOUNT_NAME = "kubernetes.io/service-account.name"
ACCOUNT_UID = "kubernetes.io/service-account.uid"

SignToken = Callable[[Obj, Obj], str]
"""(ServiceAccount, Secret) → the token that lives in the Secret."""


def account_key(secret: Obj) -> str:
    """The ServiceAccount that a token Secret is for; empty for any other Secret."""
    name = annotations_of(secret).get(ACCOUNT_NAME)
    return f"{namespace_of(secret)}/{name}" if secret.get("type") == TYPE and name else ""


def _by_account(secret: Obj) -> tuple[str, ...]:
    key = account_key(secret)
    return (key,) if key else ()


class TokenSecretController(BaseController):
    """Fills token Secrets and removes those of ServiceAccounts that are gone. Keys are Secrets."""

    name = "serviceaccount-token"
    workers = 2

    def __init__(self, context: Context, sign: SignToken, root_ca: str) -> None:
        super().__init__(context)
        self._sign = sign
        self._root_ca = root_ca
        self.accounts = context.informers.informer("serviceaccounts")
        self.secrets = context.informers.informer("secrets")
        self.secrets.add_index("account", _by_account)
        self.accounts.add_handler(self._on_accounts)
        self.secrets.add_handler(self._on_secrets)

    def _on_accounts(self, deltas: Sequence[Delta]) -> None:
        for delta in deltas:
            for secret in self.secrets.by_index("account", key_of(delta.obj)):
                self.queue.add(key_of(secret))

    def _on_secrets(self, deltas: Sequence[Delta]) -> None:
        for delta in deltas:
            if delta.new is not None and account_key(delta.new):
                self.queue.add(key_of(delta.new))

    async def sync(self, key: str) -> float | None:
        """Fill one Secret, or delete it when its ServiceAccount is another one now or gone."""
        secret = self.secrets.get(key)
        owner = account_key(secret) if secret is not None else ""
        if secret is None or not owner or is_deleting(secret):
            return None
        known = annotations_of(secret).get(ACCOUNT_UID)
        account = self.accounts.get(owner)
        if account is None or (known and known != uid_of(account)):
            await self._remove(secret, owner.partition("/")[2], known)
            return None
        data = secret.get("data") or {}
        wanted = {
            "ca.crt": base64.b64encode(self._root_ca.encode()).decode(),
            "namespace": base64.b64encode(namespace_of(secret).encode()).decode(),
        }
        if known and data.get("token") and wanted.items() <= data.items():
            return None
        changed = meta.copy(secret)
        changed["metadata"].setdefault("annotations", {})[ACCOUNT_UID] = uid_of(account)
        token = data.get("token") or base64.b64encode(self._sign(account, secret).encode()).decode()
        changed["data"] = {**data, **wanted, "token": token}
        await self.client.update(changed)
        return None

    async def _remove(self, secret: Obj, account: str, known: str | None) -> None:
        """Only after a look at the API itself: the cache may not show an account that is new."""
        try:
            live = await self.client.get("serviceaccounts", account, namespace_of(secret))
        except StatusError as error:
            if error.code != 404:
                raise
        else:
            if not known or uid_of(live) == known:
                return
        try:
            await self.client.delete("secrets", name_of(secret), namespace_of(secret), uid=uid_of(secret))
        except StatusError as error:
            if error.code not in (404, 409):
                raise
