"""Starting things: a pod's volumes, its sandbox, one container.

Follows SyncPod and startContainer in ``pkg/kubelet/kuberuntime``: the order of steps, the events and the waiting
reason of each failure.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from runtime.kubelet.backoff import go_duration
from runtime.kubelet.container_status import Waiting
from runtime.kubelet.env import ConfigFailure, EnvContext, make_environment
from runtime.kubelet.pods.context import PodContext
from runtime.kubelet.pods.hosts import ETC_HOSTS, RESOLV_CONF, hosts_file, resolver_file, wants_file
from runtime.kubelet.pods.images import Say, StartFailure
from runtime.kubelet.pods.policy import Attempts, latest
from runtime.kubelet.pods.spec import (
    HASH_LABEL,
    ContainerPlace,
    container_hash,
    container_spec,
    identity_of,
    not_honoured,
    sandbox_spec,
)
from runtime.kubelet.pods.state import PodState
from runtime.kubelet.pods.stopper import Stopper
from runtime.kubelet.probes.prober import HookFailure, Target
from runtime.kubelet.resources import qos_class
from runtime.kubelet.volumes.content import ContentContext, VolumeFailure
from runtime.objects.errors import Obj, StatusError
from runtime.podman.interface import (
    Container,
    Image,
    NoSuchItem,
    RuntimeFailure,
    RuntimeUnavailable,
    Sandbox,
)

log = logging.getLogger(__name__)

T = TypeVar("T")

_MOUNT_DELAY = 0.5
_MOUNT_DELAY_MAX = 122.0
_HOOK_LIMIT = 3600.0 * 24


class NotYet(Exception):
    """The pod can't go on now; ``retry`` in seconds, None for the usual period."""

    def __init__(self, retry: float | None = None) -> None:
        super().__init__("not yet")
        self.retry = retry


class Starter:
    """Starts what the planner says."""

    def __init__(self, context: PodContext, stopper: Stopper) -> None:
        self._context = context
        self._services = context.services
        self._runtime = context.services.runtime
        self._cache = context.services.cache
        self._clock = context.services.clock
        self._stopper = stopper

    # -- the pod

    def content_context(self, state: PodState) -> ContentContext:
        """What volume contents may refer to."""
        sandbox = self._cache.get(state.uid)
        return ContentContext(
            self._context.node_name,
            self._context.host_ips,
            sandbox.ips if sandbox else (),
            self._context.allocatable,
        )

    async def set_up_volumes(self, state: PodState) -> None:
        """Make the pod's volumes, once.

        Raises:
            NotYet: one of them is not to be had; an event says why.
        """
        try:
            state.volumes = await self._services.volumes.set_up(state.pod, self.content_context(state))
        except VolumeFailure as failure:
            self._context.say(state, "Warning", "FailedMount", str(failure))
            state.waits_for_objects = True
            state.mount_delay = min(max(_MOUNT_DELAY, state.mount_delay * 2), _MOUNT_DELAY_MAX)
            raise NotYet(state.mount_delay) from None
        state.mount_delay = 0.0

    async def make_sandbox(self, state: PodState) -> Sandbox:
        """Make the pod's sandbox.

        Raises:
            NotYet: the runtime refused; an event says why.
            RuntimeUnavailable: nobody answers.
        """
        if not state.said:
            state.said = True
            for sentence in not_honoured(state.pod):
                self._context.say(state, "Warning", "NotHonoured", sentence)
        await self._check_handler(state)
        try:
            spec = sandbox_spec(
                state.pod, self._context.node_name, self._context.options, self._services.host_dns
            )
            sandbox = await self._runtime.create_sandbox(spec)
        except RuntimeUnavailable:
            raise
        except (RuntimeFailure, ConfigFailure) as failure:
            self._context.say(
                state, "Warning", "FailedCreatePodSandBox", f"Failed to create pod sandbox: {failure}"
            )
            raise NotYet from None
        self._cache.put(state.uid, sandbox)
        return sandbox

    async def _check_handler(self, state: PodState) -> None:
        """A RuntimeClass chooses how containers are run; there is the one way that this Podman has."""
        name = state.pod["spec"].get("runtimeClassName")
        handlers = self._services.info.handlers if self._services.info else ()
        if not name or not handlers:
            return
        try:
            found = await self._context.client.get("runtimeclasses.node.k8s.io", name)
        except StatusError as error:
            words = error.message
        else:
            handler = found.get("handler") or ""
            if handler in handlers:
                return
            words = f'no runtime for "{handler}" is configured; this node has {", ".join(handlers)}'
        self._context.say(
            state, "Warning", "FailedCreatePodSandBox", f"Failed to create pod sandbox: {words}"
        )
        raise NotYet

    # -- a container

    async def start(self, state: PodState, field: str, spec: Obj, attempts: Attempts) -> bool:
        """Start one container; False when it has to wait, with the reason in the state.

        Raises:
            RuntimeUnavailable: nobody answers.
        """
        name = spec["name"]
        say = self._context.speaker(state, field, name)
        try:
            self._check_crash_loop(state, field, spec, attempts, say)
            if name in state.allocated:
                spec = {**spec, "resources": state.allocated[name]}
            await self._start(state, field, spec, say)
        except StartFailure as failure:
            state.waiting[name] = Waiting(failure.reason, failure.message)
            self.retry_soon(state, failure.retry)
            return False
        state.waiting.pop(name, None)
        return True

    def may_restart_all(
        self, state: PodState, sources: Sequence[tuple[str, Obj]], attempts: Attempts
    ) -> bool:
        """Whether the containers that ask for it have waited their back-off; if not, the state says so."""
        for field, spec in sources:
            try:
                self._check_crash_loop(
                    state, field, spec, attempts, self._context.speaker(state, field, spec["name"])
                )
            except StartFailure as failure:
                state.waiting[spec["name"]] = Waiting(failure.reason, failure.message)
                self.retry_soon(state, failure.retry)
                return False
        return True

    def retry_soon(self, state: PodState, seconds: float | None = None) -> None:
        """Look at the pod again after ``seconds`` (None: the usual period) if nothing makes us do so before."""
        delay = self._context.options.retry_period if seconds is None else seconds
        when = self._clock.monotonic() + delay
        if state.retry is not None and state.retry.callback is not None and state.retry.when <= when:
            return
        self.retry(state, delay)

    def retry(self, state: PodState, delay: float) -> None:
        """Look at the pod again after ``delay`` seconds."""
        if state.retry is not None:
            state.retry.cancel()
        state.retry = self._services.timers.call_later(delay, lambda: self.wake(state))

    def wake(self, state: PodState) -> None:
        """Replaced by the workers: look at this pod again."""

    def _check_crash_loop(self, state: PodState, field: str, spec: Obj, attempts: Attempts, say: Say) -> None:
        name = spec["name"]
        current = latest(attempts, name)
        if current is None or current.state != "exited":
            return
        finished = current.finished_at or self._clock.now()
        crashes = self._context.crashes
        item = f"{name}_{container_hash(spec)}"  # another image is another chance
        remaining = crashes.remaining_since(state.uid, item, finished)
        if remaining > 0:
            say("Warning", "BackOff", f"Back-off restarting failed container {name} in pod {state.full_name}")
            words = go_duration(crashes.get(state.uid, item))
            raise StartFailure(
                "CrashLoopBackOff",
                f"back-off {words} restarting failed container={name} pod={state.full_name}",
                remaining,
            )
        crashes.next(state.uid, item, finished)

    async def _start(self, state: PodState, field: str, spec: Obj, say: Say) -> None:
        sandbox = self._cache.get(state.uid)
        assert sandbox is not None
        image = await self._image(state, spec, say)
        attempt = state.next_attempt(spec["name"])
        container_id = await self._create(state, spec, sandbox, image, attempt, say)
        who = identity_of(state.pod, spec, image)
        if who is not None:
            groups = sorted({who.gid, *who.groups})
            state.users[container_id] = {
                "linux": {"uid": who.uid, "gid": who.gid, "supplementalGroups": groups}
            }
        say("Normal", "Created", "Container created")
        now = self._clock.now()
        made = Container(
            id=container_id,
            name=spec["name"],
            attempt=attempt,
            state="created",
            image=spec["image"],
            image_id=image.id,
            sandbox_id=sandbox.id,
            created_at=now,
            labels={HASH_LABEL: container_hash(spec)},
        )
        try:
            await self._runtime.start_container(container_id)
        except RuntimeUnavailable:
            raise
        except RuntimeFailure as failure:
            if isinstance(failure, NoSuchItem) or failure.reason == "FailedCreatePodSandBox":
                # The sandbox went away under it: look again, and make it anew.
                self._context.say(
                    state,
                    "Warning",
                    "FailedCreatePodSandBox",
                    f"Failed to create pod sandbox: {failure.message}",
                )
                self._cache.mark_stale(state.uid)
                soon = isinstance(failure, NoSuchItem) or "already allocated" in failure.message
                raise StartFailure("ContainerCreating", "", 1.0 if soon else None) from None
            say("Warning", "Failed", f"Error: {failure.message}")
            state.broken[container_id] = (self._clock.now(), failure.message)
            self._add(state, made)
            raise StartFailure("RunContainerError", failure.message, 1.0) from None
        say("Normal", "Started", "Container started")
        running = replace(made, state="running", started_at=self._clock.now())
        self._add(state, running, ready=True)
        state.last_attempt[spec["name"]] = attempt
        self.watch(state, field, spec, running)
        hook = (spec.get("lifecycle") or {}).get("postStart")
        if hook:
            await self._post_start(state, field, spec, running, hook, say)

    def _add(self, state: PodState, container: Container, *, ready: bool = False) -> None:
        sandbox = self._cache.get(state.uid)
        if sandbox is None:
            return
        others = tuple([entry for entry in sandbox.containers if entry.id != container.id])
        self._cache.put(
            state.uid,
            replace(sandbox, containers=(*others, container), state="ready" if ready else sandbox.state),
        )

    def watch(self, state: PodState, field: str, spec: Obj, container: Container) -> None:
        """Probe a container that runs, from where an earlier kubelet left off."""
        sandbox = self._cache.get(state.uid)
        ip = sandbox.ip if sandbox else ""
        if state.pod["spec"].get("hostNetwork"):
            ip = self._context.host_ips[0]
        self._context.probes.watch(
            state.pod,
            spec,
            container,
            field=field,
            pod_ip=ip,
            sandbox_id=sandbox.id if sandbox else "",
            before=state.before.get(spec["name"]),
        )

    async def _unless_deleted(self, state: PodState, work: Coroutine[Any, Any, T]) -> T:
        """Wait for what may take long; the pod's deletion ends the waiting."""
        task = asyncio.ensure_future(work)
        state.interruptible = task
        try:
            await asyncio.wait({task})
            if task.cancelled():
                raise StartFailure("ContainerCreating", "", 0.0)
            return task.result()
        finally:
            task.cancel()
            state.interruptible = None

    async def _image(self, state: PodState, spec: Obj, say: Say) -> Image:
        images = self._services.images
        image = images.at_hand(spec, say)
        if image is not None:
            return image
        try:
            return await self._unless_deleted(
                state, images.ensure(state.pod, spec, self._services.objects, say)
            )
        except StartFailure as failure:
            if not state.pod["metadata"].get("deletionTimestamp"):
                say("Warning", "Failed", f"Error: {failure.reason}")
            raise

    async def _volume_images(self, state: PodState, spec: Obj, say: Say) -> dict[str, str]:
        """Volume name → image id, of the images that the container mounts."""
        used = {mount["name"] for mount in spec.get("volumeMounts") or ()}
        found: dict[str, str] = {}
        for volume in state.pod["spec"].get("volumes") or ():
            source = volume.get("image")
            if source and volume["name"] in used:
                wanted = {"image": source.get("reference"), "imagePullPolicy": source.get("pullPolicy")}
                found[volume["name"]] = (await self._image(state, wanted, say)).id
        return found

    async def _create(
        self, state: PodState, spec: Obj, sandbox: Sandbox, image: Image, attempt: int, say: Say
    ) -> str:
        services, context = self._services, self._context
        pod, name = state.pod, spec["name"]
        links = pod["spec"].get("enableServiceLinks", True) is not False
        pod_ips = sandbox.ips or ((sandbox.ip,) if sandbox.ip else ())
        if pod["spec"].get("hostNetwork"):
            pod_ips = context.host_ips
        volumes = state.volumes
        assert volumes is not None
        try:
            env, skipped = await make_environment(
                pod,
                spec,
                services.objects,
                EnvContext(
                    context.node_name,
                    context.host_ips,
                    pod_ips,
                    context.allocatable,
                    await services.objects.service_env(state.namespace, links=links),
                    volumes.paths,
                ),
            )
            if skipped:
                say(
                    "Warning",
                    "InvalidEnvironmentVariableNames",
                    f"Keys [{', '.join(skipped)}] from the EnvFrom sources were skipped since they are "
                    "considered invalid environment variable names.",
                )
            images = await self._volume_images(state, spec, say)
            mounts = services.volumes.mounts(pod, spec, volumes, env, images)
            log_path, more = services.volumes.prepare_container(state.uid, spec, attempt)
            for place, text in (
                (ETC_HOSTS, hosts_file(pod, pod_ips, context.options)),
                (RESOLV_CONF, resolver_file(pod, context.options, services.host_dns)),
            ):
                if text is not None and wants_file(spec, place):
                    more = (*more, *services.volumes.file_mount(state.uid, place, text))
            status = pod.get("status") or {}
            wanted = container_spec(
                pod,
                spec,
                ContainerPlace(
                    attempt=attempt,
                    image=image,
                    env=env,
                    mounts=(*mounts, *more),
                    log_path=log_path,
                    quality=status.get("qosClass") or qos_class(pod),
                    memory_capacity=context.memory_capacity,
                    rootless=context.rootless,
                    seccomp_root=services.state_dir / "seccomp",
                    target=_target(spec, sandbox),
                ),
            )
        except (ConfigFailure, VolumeFailure, OSError) as failure:
            say("Warning", "Failed", f"Error: {failure}")
            state.waits_for_objects = True
            raise StartFailure("CreateContainerConfigError", str(failure)) from None
        try:
            return await self._runtime.create_container(sandbox.id, wanted)
        except RuntimeUnavailable:
            raise
        except NoSuchItem as failure:
            # The image (or the sandbox) was removed behind our back: look again at once.
            services.images.forget_image(spec["image"])
            self._cache.mark_stale(state.uid)
            raise StartFailure("CreateContainerError", failure.message, 1.0) from None
        except RuntimeFailure as failure:
            if failure.code == 409:  # a container of this attempt exists that we did not see
                state.last_attempt[name] = attempt
                self._cache.mark_stale(state.uid)
                raise StartFailure("CreateContainerError", failure.message, 1.0) from None
            say("Warning", "Failed", f"Error: {failure.message}")
            raise StartFailure("CreateContainerError", failure.message) from None

    async def _post_start(
        self, state: PodState, field: str, spec: Obj, container: Container, hook: Obj, say: Say
    ) -> None:
        sandbox = self._cache.get(state.uid)
        target = Target(
            container.id,
            sandbox.id if sandbox else "",
            sandbox.ip if sandbox else "",
            spec,
            host_network=bool(state.pod["spec"].get("hostNetwork")),
        )
        try:
            await self._unless_deleted(state, self._services.prober.run_hook(hook, target, _HOOK_LIMIT))
        except HookFailure as failure:
            say("Warning", "FailedPostStartHook", "PostStartHook failed")
            await self._stopper.stop_one(state, container, message="FailedPostStartHook")
            self._cache.mark_stale(state.uid)
            raise StartFailure("PostStartHookError", str(failure), 0.0) from None


def _target(spec: Obj, sandbox: Sandbox) -> str:
    """The id of the container that an ephemeral container is aimed at; empty when it is aimed at none.

    Raises:
        ConfigFailure: it does not run.
    """
    name = spec.get("targetContainerName")
    if not name:
        return ""
    for container in sandbox.containers:
        if container.name == name and container.state == "running":
            return container.id
    raise ConfigFailure(f"unable to find target container {name}")
