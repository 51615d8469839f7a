"""All controllers in one place: which there are, who they are at the API, and starting and stopping them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from runtime.client.controller import Controller
from runtime.client.informer import InformerFactory
from runtime.client.recorder import EventRecorder
from runtime.objects.clock import Clock
from runtime.objects.registry import Registry

from .certificates import CertificateController, Sign
from .context import Context
from .cronjob import CronJobController
from .daemonset import DaemonSetController
from .definitions import CustomResourceDefinitionController
from .deployment import DeploymentController
from .disruption import DisruptionController, StaleDisruptionController
from .endpointmirror import EndpointSliceMirroringController
from .endpoints import EndpointsController
from .garbage import GarbageCollector
from .housekeeping import ClusterRoleAggregationController, TTLAfterFinishedController, TTLController
from .hpa import HorizontalController, Metrics
from .job import JobController
from .namespaces import NamespaceController, RootCAPublisher, ServiceAccountController
from .nodes import NodeLifecycleController, TaintEvictionController
from .podgc import PodGCController
from .policies import ValidatingAdmissionPolicyStatusController
from .quota import ResourceQuotaController
from .replicaset import ReplicaSetController, ReplicationControllerController
from .servicecidrs import ServiceCIDRController, ServiceIPAddressController
from .statefulset import StatefulSetController
from .token_secrets import SignToken, TokenSecretController

if TYPE_CHECKING:
    from runtime.client.client import Client

log = logging.getLogger(__name__)

ClientFactory = Callable[[str], "Client"]
"""Gives the client of one controller, by its ServiceAccount's name such as ``deployment-controller``."""


class ControllerManager:
    """kube-controller-manager: every controller of the cluster on one event loop.

    Args:
        client_factory: called once per controller with the name of its ServiceAccount in ``kube-system``.
        informers: shared with the scheduler and whoever else reads the same kinds.
        clock: time for everything in here.
        registry: the kinds there are; garbage collection and namespace deletion walk it.
        root_ca: the cluster's CA certificate in PEM, published in every namespace; empty publishes nothing.
        metrics: what pods use; without it nothing is autoscaled.
        sign: signs certificate requests with the cluster's authority; without it they stay unsigned.
        sign_token: makes the token in a Secret that asks for one; without it such Secrets stay empty.
    """

    def __init__(
        self,
        client_factory: ClientFactory,
        informers: InformerFactory,
        clock: Clock,
        registry: Registry,
        *,
        root_ca: str = "",
        metrics: Metrics | None = None,
        sign: Sign | None = None,
        sign_token: SignToken | None = None,
    ) -> None:
        self._client_factory = client_factory
        self._informers = informers
        self._clock = clock
        self._registry = registry
        self._recorders: list[EventRecorder] = []
        self.controllers: list[Controller] = self._build(root_ca, metrics, sign, sign_token)

    def _context(self, account: str, component: str = "") -> Context:
        client = self._client_factory(account)
        recorder = EventRecorder(client, component or account, clock=self._clock)
        self._recorders.append(recorder)
        return Context(client, self._informers, self._clock, recorder, self._registry)

    def _build(
        self, root_ca: str, metrics: Metrics | None, sign: Sign | None, sign_token: SignToken | None
    ) -> list[Controller]:
        context = self._context
        controllers: list[Controller] = [
            DeploymentController(context("deployment-controller")),
            ReplicaSetController(context("replicaset-controller")),
            ReplicationControllerController(context("replication-controller")),
            StatefulSetController(context("statefulset-controller")),
            DaemonSetController(context("daemon-set-controller", "daemonset-controller")),
            JobController(context("job-controller")),
            CronJobController(context("cronjob-controller")),
            TTLAfterFinishedController(context("ttl-after-finished-controller")),
            EndpointsController(context("endpointslice-controller", "endpoint-slice-controller")),
            EndpointSliceMirroringController(
                context("endpointslicemirroring-controller", "endpoint-slice-mirroring-controller")
            ),
            DisruptionController(context("disruption-controller", "controllermanager")),
            StaleDisruptionController(context("disruption-controller", "controllermanager")),
            ResourceQuotaController(context("resourcequota-controller")),
            ClusterRoleAggregationController(context("clusterrole-aggregation-controller")),
            NamespaceController(context("namespace-controller")),
            ServiceAccountController(context("service-account-controller")),
            NodeLifecycleController(context("node-controller")),
            TaintEvictionController(context("node-controller", "taint-eviction-controller")),
            TTLController(context("ttl-controller")),
            PodGCController(context("pod-garbage-collector")),
            CustomResourceDefinitionController(context("custom-resource-definition-controller")),
            ValidatingAdmissionPolicyStatusController(context("validatingadmissionpolicy-status-controller")),
            ServiceCIDRController(context("service-cidrs-controller")),
            ServiceIPAddressController(context("service-cidrs-controller")),
            GarbageCollector(context("generic-garbage-collector", "garbage-collector-controller")),
        ]
        if root_ca:
            controllers.append(RootCAPublisher(context("root-ca-cert-publisher"), root_ca))
        if sign_token is not None:
            controllers.append(
                TokenSecretController(context("service-account-controller"), sign_token, root_ca)
            )
        if sign is not None:
            controllers.append(CertificateController(context("certificate-controller"), sign))
        if metrics is not None:
            controllers.append(HorizontalController(context("horizontal-pod-autoscaler"), metrics))
        return controllers

    async def start(self) -> None:
        """Start informers, wait for their first lists, then start every controller."""
        self._informers.start()
        for controller in self.controllers:
            if isinstance(controller, GarbageCollector):
                controller.monitor()  # its informers list along with the others
        await self._informers.wait_for_sync()
        for controller in self.controllers:
            await controller.start()
        log.debug("%d controllers started", len(self.controllers))

    async def stop(self) -> None:
        """Stop the controllers, then let the events they said be written. Informers belong to the caller."""
        for controller in reversed(self.controllers):
            await controller.stop()
        await asyncio.gather(*(recorder.stop() for recorder in self._recorders))
