"""One question to one container: exec, httpGet, tcpSocket or grpc, and what the answer means.

Follows ``pkg/kubelet/prober/prober.go``. Lifecycle hooks (``pkg/kubelet/lifecycle/handlers.go``) ask in the same
ways and live here too.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Literal

from runtime.kubelet.backoff import go_duration
from runtime.kubelet.probes import grpc, http
from runtime.kubelet.probes.transport import DialFailure, dial, secure
from runtime.objects.clock import Clock
from runtime.objects.errors import Obj
from runtime.podman.interface import ContainerRuntime, RuntimeFailure

Outcome = Literal["success", "warning", "failure", "unknown"]
"""A warning is a success that the user is told about."""
MAX_TRIES = 3
_MAX_OUTPUT = 10 * 1024


@dataclass(frozen=True, slots=True)
class Target:
    """The container that is asked."""

    container_id: str
    sandbox_id: str
    pod_ip: str
    spec: Obj
    host_network: bool = False


def resolve_port(port: Any, container: Obj) -> int:
    """A port by number or by name.

    Raises:
        ValueError: no such name, or no port number.
    """
    if isinstance(port, str):
        for entry in container.get("ports") or ():
            if entry.get("name") == port:
                port = entry["containerPort"]
                break
        else:
            if not port.isdigit():
                raise ValueError(f"port {port} not found")
            port = int(port)
    if not 0 < port < 65536:
        raise ValueError(f"invalid port number: {port}")
    return int(port)


def _text(output: bytes) -> str:
    return output[:_MAX_OUTPUT].decode("utf-8", "replace")


def _address(action: Obj, target: Target) -> http.Address:
    """Where an ``httpGet`` is sent.

    Raises:
        ValueError: no such port.
    """
    return http.Address(
        (action.get("scheme") or "HTTP").lower(),
        action.get("host") or target.pod_ip,
        resolve_port(action["port"], target.spec),
        action.get("path") or "/",
    )


class Prober:
    """Asks through the runtime."""

    def __init__(self, runtime: ContainerRuntime, clock: Clock) -> None:
        self._runtime = runtime
        self._clock = clock

    async def probe(self, probe: Obj, target: Target) -> tuple[Outcome, str]:
        """Ask, up to three times when there is no answer either way; returns (outcome, words)."""
        outcome: Outcome = "unknown"
        output = ""
        for _ in range(MAX_TRIES):
            outcome, output = await self._once(probe, target)
            if outcome != "unknown":
                break
        return outcome, output

    async def _once(self, probe: Obj, target: Target) -> tuple[Outcome, str]:
        timeout = float(probe.get("timeoutSeconds") or 1)
        try:
            if (action := probe.get("exec")) is not None:
                return await self._exec(action.get("command") or [], target, timeout)
            if (action := probe.get("httpGet")) is not None:
                return await self._http(action, target, timeout)
            if (action := probe.get("tcpSocket")) is not None:
                return await self._tcp(action, target, timeout)
            if (action := probe.get("grpc")) is not None:
                return await self._grpc(action, target, timeout)
        except ValueError as error:
            return "unknown", str(error)
        except RuntimeFailure as failure:
            return "unknown", failure.message
        return "unknown", "missing probe handler"

    async def _exec(self, command: list[str], target: Target, timeout: float) -> tuple[Outcome, str]:
        try:
            result = await self._runtime.exec_sync(target.container_id, command, timeout)
        except TimeoutError:
            return (
                "failure",
                f'command timed out: "{" ".join(command)}" timed out after {go_duration(timeout)}',
            )
        return ("success" if result.exit_code == 0 else "failure"), _text(result.output)

    async def _http(self, action: Obj, target: Target, timeout: float) -> tuple[Outcome, str]:
        address = _address(action, target)
        url = address.url
        try:
            async with asyncio.timeout(timeout):
                response = await self._get(action, target, address, timeout)
        except TimeoutError:
            words = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
            return "failure", f'Get "{url}": {words}'
        except (DialFailure, OSError) as error:
            return "failure", f'Get "{url}": {error}'
        except RuntimeFailure as failure:
            return "failure", f'Get "{url}": {failure.message}'
        if 200 <= response.status < 300:
            return "success", _text(response.body)
        if 300 <= response.status < 400:
            return "warning", f"Probe terminated redirects, Response body: {_text(response.body)}"
        return "failure", f"HTTP probe failed with statuscode: {response.status}"

    async def _get(
        self,
        action: Obj,
        target: Target,
        address: http.Address,
        timeout: float,
        agent: str = http.USER_AGENT,
    ) -> http.Response:
        """Ask, and ask again where the same host says so."""
        for _ in range(http.MAX_REQUESTS):
            response = await self._get_once(action, target, address, timeout, agent)
            following = address.redirected(response.location) if response.location else None
            if following is None:
                return response
            address = following
        raise DialFailure(f"stopped after {http.MAX_REQUESTS} redirects")

    async def _get_once(
        self, action: Obj, target: Target, address: http.Address, timeout: float, agent: str
    ) -> http.Response:
        host = address.host
        direct = target.host_network or host != target.pod_ip
        stream = await dial(self._runtime, target.sandbox_id, host, address.port, timeout, direct=direct)
        try:
            if address.scheme == "https":
                stream = await secure(stream, host if not host.replace(".", "").isdigit() else "")
            headers = action.get("httpHeaders") or ()
            request = http.request_bytes(address.path, host, address.port, headers, agent)
            return await http.get(stream, request)
        finally:
            await stream.close()

    async def _tcp(self, action: Obj, target: Target, timeout: float) -> tuple[Outcome, str]:
        port = resolve_port(action["port"], target.spec)
        host = action.get("host") or target.pod_ip
        direct = target.host_network or host != target.pod_ip
        try:
            async with asyncio.timeout(timeout):
                stream = await dial(self._runtime, target.sandbox_id, host, port, timeout, direct=direct)
            await stream.close()
        except TimeoutError:
            return "failure", f"dial tcp {host}:{port}: i/o timeout"
        except (DialFailure, OSError) as error:
            return "failure", str(error)
        except RuntimeFailure as failure:
            return "failure", failure.message
        return "success", ""

    async def _grpc(self, action: Obj, target: Target, timeout: float) -> tuple[Outcome, str]:
        port = resolve_port(action["port"], target.spec)
        where = f"{target.pod_ip}:{port}"
        try:
            async with asyncio.timeout(timeout):
                stream = await dial(
                    self._runtime, target.sandbox_id, target.pod_ip, port, timeout, direct=target.host_network
                )
                try:
                    healthy, words = await grpc.check(stream, action.get("service") or "", where)
                finally:
                    await stream.close()
        except TimeoutError:
            limit = go_duration(timeout)
            return (
                "failure",
                f'timeout: failed to connect service "{where}" within {limit}: context deadline exceeded',
            )
        except (DialFailure, OSError) as error:
            return "failure", f'error: failed to connect service at "{where}": {error}'
        except RuntimeFailure as failure:
            return "failure", f'error: failed to connect service at "{where}": {failure.message}'
        return ("success" if healthy else "failure"), words

    async def run_hook(self, handler: Obj, target: Target, timeout: float) -> None:
        """Run a postStart or preStop hook.

        Raises:
            HookFailure: it failed; the message is for the waiting state.
        """
        try:
            if (action := handler.get("sleep")) is not None:
                await self._clock.sleep(float(action.get("seconds") or 0))
                return
            if (action := handler.get("exec")) is not None:
                command = action.get("command") or []
                result = await self._runtime.exec_sync(target.container_id, command, timeout)
                if result.exit_code != 0:
                    raise HookFailure(
                        f"command '{' '.join(command)}' exited with {result.exit_code}: {_text(result.output)}"
                    )
                return
            if (action := handler.get("httpGet")) is not None:
                async with asyncio.timeout(timeout):
                    await self._get(action, target, _address(action, target), timeout, http.HOOK_AGENT)
                return
            if (action := handler.get("tcpSocket")) is not None:
                raise HookFailure("tcpSocket is not a supported lifecycle handler")
        except TimeoutError:
            raise HookFailure(f"the hook did not end within {go_duration(timeout)}") from None
        except (DialFailure, OSError, ValueError) as error:
            raise HookFailure(str(error)) from None
        except RuntimeFailure as failure:
            raise HookFailure(failure.message) from None


class HookFailure(Exception):
    """A lifecycle hook failed."""
