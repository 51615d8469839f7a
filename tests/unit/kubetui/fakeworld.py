"""Objects for the terminal's tests: a namespace with every kind of weather, and churn for benchmarks."""

from __future__ import annotations

import json
import random
import time
import zlib
from typing import Any

from fakeapi import FakeAPI, now_text

Obj = dict[str, Any]


def container(image: str, name: str = "app", **more: Any) -> Obj:
    return {"name": name, "image": image, "ports": [{"containerPort": 8080}], **more}


def template(app: str, image: str, **more: Any) -> Obj:
    return {"metadata": {"labels": {"app": app}}, "spec": {"containers": [container(image, **more)]}}


class World:
    """Builds objects whose ages are fixed relative to ``now`` (seconds since 1970)."""

    def __init__(self, api: FakeAPI, now: float | None = None, namespace: str = "default") -> None:
        self.api = api
        self.now = now if now is not None else time.time()
        self.ns = namespace

    def ago(self, seconds: float) -> str:
        return now_text(self.now - seconds)

    def meta(self, name: str, age: float, owner: Obj | None = None, **more: Any) -> Obj:
        found: Obj = {
            "name": name,
            "namespace": self.ns,
            "creationTimestamp": self.ago(age),
            "generation": 1,
            **more,
        }
        if owner is not None:
            found["ownerReferences"] = [
                {
                    "apiVersion": owner["apiVersion"],
                    "kind": owner["kind"],
                    "name": owner["metadata"]["name"],
                    "uid": owner["metadata"]["uid"],
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ]
        return found

    def namespace(self, name: str) -> None:
        self.api.put(
            {
                "kind": "Namespace",
                "apiVersion": "v1",
                "metadata": {"name": name, "creationTimestamp": self.ago(86400)},
                "status": {"phase": "Active"},
            }
        )

    def deployment(
        self,
        name: str,
        image: str,
        replicas: int,
        age: float,
        revision: int = 1,
        *,
        ready: int | None = None,
        updated: int | None = None,
        total: int | None = None,
        conditions: list[Obj] | None = None,
        spec: Obj | None = None,
        **annotations: str,
    ) -> Obj:
        ready = replicas if ready is None else ready
        return self.api.put(
            {
                "kind": "Deployment",
                "apiVersion": "apps/v1",
                "metadata": self.meta(
                    name,
                    age,
                    labels={"app": name},
                    annotations={"deployment.kubernetes.io/revision": str(revision), **annotations},
                ),
                "spec": {
                    "replicas": replicas,
                    "selector": {"matchLabels": {"app": name}},
                    "template": template(name, image),
                    "strategy": {
                        "type": "RollingUpdate",
                        "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"},
                    },
                    "progressDeadlineSeconds": 600,
                    **(spec or {}),
                },
                "status": {
                    "observedGeneration": 1,
                    "replicas": total if total is not None else replicas,
                    "readyReplicas": ready,
                    "availableReplicas": ready,
                    "updatedReplicas": replicas if updated is None else updated,
                    "conditions": conditions
                    or [
                        {"type": "Available", "status": "True", "reason": "MinimumReplicasAvailable"},
                        {
                            "type": "Progressing",
                            "status": "True",
                            "reason": "NewReplicaSetAvailable",
                            "lastUpdateTime": self.ago(age),
                        },
                    ],
                },
            }
        )

    def replica_set(
        self,
        owner: Obj,
        hash_: str,
        image: str,
        revision: int,
        replicas: int,
        ready: int,
        age: float,
        **annotations: str,
    ) -> Obj:
        app = owner["metadata"]["name"]
        tpl = template(app, image)
        tpl["metadata"]["labels"]["pod-template-hash"] = hash_
        return self.api.put(
            {
                "kind": "ReplicaSet",
                "apiVersion": "apps/v1",
                "metadata": self.meta(
                    f"{app}-{hash_}",
                    age,
                    owner,
                    labels={"app": app, "pod-template-hash": hash_},
                    annotations={"deployment.kubernetes.io/revision": str(revision), **annotations},
                ),
                "spec": {
                    "replicas": replicas,
                    "selector": {"matchLabels": {"app": app, "pod-template-hash": hash_}},
                    "template": tpl,
                },
                "status": {"replicas": replicas, "readyReplicas": ready, "availableReplicas": ready},
            }
        )

    def pod(
        self,
        name: str,
        owner: Obj | None,
        image: str,
        age: float,
        *,
        state: str = "Running",
        restarts: int = 0,
        node: str = "kubetui",
        ip: str = "",
        message: str = "",
        extra: Obj | None = None,
        put: bool = True,
    ) -> Obj:
        ready = state == "Running"
        started = {"running": {"startedAt": self.ago(age - 1)}}
        status: Obj = {
            "phase": "Running",
            "podIP": ip or f"10.244.0.{zlib.crc32(name.encode()) % 250 + 2}",
            "hostIP": "10.0.0.1",
        }
        box: Obj = {
            "name": "app",
            "image": image,
            "imageID": image,
            "ready": ready,
            "restartCount": restarts,
            "state": started,
            "containerID": "podman://0123456789abcdef",
        }
        if state in ("ImagePullBackOff", "ErrImagePull", "ContainerCreating"):
            status["phase"] = "Pending"
            box["state"] = {"waiting": {"reason": state, **({"message": message} if message else {})}}
            box.pop("containerID")
        elif state == "CrashLoopBackOff":
            box["state"] = {
                "waiting": {"reason": state, "message": message or "back-off 40s restarting failed container"}
            }
            box["lastState"] = {"terminated": {"exitCode": 1, "reason": "Error", "finishedAt": self.ago(35)}}
        elif state == "Completed":
            status["phase"] = "Succeeded"
            box["state"] = {"terminated": {"exitCode": 0, "reason": "Completed", "finishedAt": self.ago(30)}}
        elif state == "Pending":
            status = {"phase": "Pending"}
        conditions = [
            {"type": "PodScheduled", "status": "True"},
            {"type": "Initialized", "status": "True"},
            {"type": "ContainersReady", "status": str(ready)},
            {
                "type": "Ready",
                "status": str(ready),
                "lastTransitionTime": self.ago(age - 2),
                **(
                    {}
                    if ready
                    else {"reason": "ContainersNotReady", "message": "containers with unready status: [app]"}
                ),
            },
        ]
        if state == "Pending":
            conditions = [
                {
                    "type": "PodScheduled",
                    "status": "False",
                    "reason": "Unschedulable",
                    "message": message or "0/1 nodes are available: 1 Insufficient cpu.",
                }
            ]
        else:
            status["containerStatuses"] = [box]
        status["conditions"] = conditions
        labels = dict((owner or {}).get("spec", {}).get("selector", {}).get("matchLabels", {"app": name}))
        obj = {
            "kind": "Pod",
            "apiVersion": "v1",
            "metadata": self.meta(name, age, owner, labels=labels, **(extra or {})),
            "spec": {
                "containers": [container(image)],
                "nodeName": node if state != "Pending" else "",
                "restartPolicy": "Always",
            },
            "status": status,
        }
        return self.api.put(obj) if put else obj

    def event(
        self, about: Obj, reason: str, message: str, age: float, type_: str = "Normal", count: int = 1
    ) -> None:
        name = f"{about['metadata']['name']}.{zlib.crc32((reason + message).encode()):x}"
        self.api.put(
            {
                "kind": "Event",
                "apiVersion": "v1",
                "metadata": {"name": name, "namespace": self.ns, "creationTimestamp": self.ago(age)},
                "involvedObject": {
                    "kind": about["kind"],
                    "name": about["metadata"]["name"],
                    "namespace": self.ns,
                    "uid": about["metadata"]["uid"],
                    "apiVersion": about["apiVersion"],
                },
                "reason": reason,
                "message": message,
                "type": type_,
                "count": count,
                "firstTimestamp": self.ago(age + 60),
                "lastTimestamp": self.ago(age),
                "source": {"component": "kubelet"},
            }
        )

    def measured(self, pod: str, seconds: float, **containers: tuple[str, str]) -> Obj:
        """PodMetrics as metrics-server has them, ``seconds`` old; (cpu, memory) of each container."""
        return {
            "kind": "PodMetrics",
            "apiVersion": "metrics.k8s.io/v1beta1",
            "metadata": {"name": pod, "namespace": self.ns, "creationTimestamp": self.ago(seconds)},
            "timestamp": self.ago(seconds),
            "window": "15s",
            "containers": [
                {"name": name, "usage": {"cpu": cpu, "memory": memory}}
                for name, (cpu, memory) in containers.items()
            ],
        }

    def measured_node(self, name: str, seconds: float, cpu: str, memory: str) -> Obj:
        """NodeMetrics."""
        return {
            "kind": "NodeMetrics",
            "apiVersion": "metrics.k8s.io/v1beta1",
            "metadata": {"name": name, "creationTimestamp": self.ago(seconds)},
            "timestamp": self.ago(seconds),
            "window": "15s",
            "usage": {"cpu": cpu, "memory": memory},
        }

    def metrics(self, seconds: float = 5.0, step: int = 0) -> list[Obj]:
        """What everything that runs uses, as it was at ``step``."""
        wave = (3, 5, 4, 7, 9, 6, 8, 5)[step % 8]
        found = [
            self.measured(
                f"web-6b7c4d9f8-{suffix}", seconds, app=(f"{wave * 9 + i * 12}m", f"{60 + wave + i * 8}Mi")
            )
            for i, suffix in enumerate(("4kx2p", "9jw7q", "tz8vn"))
        ]
        found += [
            self.measured(
                f"api-59f8d7c45-{suffix}",
                seconds,
                app=(f"{wave * 40 + i * 100}m", f"{300 + wave * 4}Mi"),
            )
            for i, suffix in enumerate(("2mb8k", "f6c9z", "qk4wt"))
        ]
        found += [
            self.measured(
                f"db-{i}",
                seconds,
                app=(f"{200 + wave * 20}m", f"{700 + i * 270}Mi"),
                exporter=("12m", "24Mi"),
            )
            for i in range(2)
        ]
        return [
            *found,
            self.measured_node("kubetui", seconds, f"{1500 + wave * 90}m", f"{6000 + wave * 40}Mi"),
        ]

    def manifest(self, name: str, status: Obj) -> None:
        self.api.put(
            {
                "kind": "ConfigMap",
                "apiVersion": "v1",
                "metadata": {
                    "name": name,
                    "namespace": "kube-system",
                    "labels": {"kubetui.io/manifest-source": "file"},
                    "creationTimestamp": self.ago(600),
                },
                "data": {"status.json": json.dumps(status)},
            }
        )

    def weather(self, manifests: bool = True) -> None:
        """A namespace in which something of everything happens."""
        for name in ("default", "kube-system", "monitoring"):
            self.namespace(name)
        self.api.put(
            {
                "kind": "Node",
                "apiVersion": "v1",
                "metadata": {"name": "kubetui", "creationTimestamp": self.ago(90000)},
                "spec": {},
                "status": {
                    "conditions": [{"type": "Ready", "status": "True"}],
                    "capacity": {"cpu": "8", "memory": "16Gi", "pods": "110"},
                    "allocatable": {"cpu": "8", "memory": "16Gi", "pods": "110"},
                    "nodeInfo": {"kubeletVersion": "v1.36.2"},
                },
            }
        )
        self._web()
        self._others()
        for found in self.metrics():
            self.api.put(found)
        if manifests:
            self._manifests()

    def _web(self) -> None:
        web = self.deployment(
            "web",
            "docker.io/library/nginx:1.27",
            4,
            7200,
            7,
            ready=3,
            updated=2,
            total=5,
            conditions=[
                {"type": "Available", "status": "True"},
                {
                    "type": "Progressing",
                    "status": "True",
                    "reason": "ReplicaSetUpdated",
                    "lastUpdateTime": self.ago(75),
                },
            ],
            spec={"minReadySeconds": 10},
        )
        self.replica_set(web, "5d78c9f6b", "docker.io/library/nginx:1.25", 5, 0, 0, 7200)
        old = self.replica_set(
            web,
            "6b7c4d9f8",
            "docker.io/library/nginx:1.26",
            6,
            3,
            3,
            3600,
            **{"kubernetes.io/change-cause": "release 1.26"},
        )
        new = self.replica_set(
            web,
            "7c9d5bb6f",
            "docker.io/library/nginx:1.27",
            7,
            2,
            0,
            80,
            **{"kubernetes.io/change-cause": "release 1.27"},
        )
        for i, suffix in enumerate(("4kx2p", "9jw7q", "tz8vn")):
            pod = self.pod(f"web-6b7c4d9f8-{suffix}", old, "nginx:1.26", 3500 - i, ip=f"10.244.0.{11 + i}")
            for line in range(12):
                self.api.log(
                    pod["metadata"]["name"],
                    "app",
                    f'10.244.0.1 - - "GET /{line} HTTP/1.1" 200 {line * 37}',
                    self.now - 120 + line * 5 + i,
                )
        stuck = self.pod(
            "web-7c9d5bb6f-hd5lm",
            new,
            "nginx:1.27",
            75,
            state="ImagePullBackOff",
            ip="10.244.0.14",
            message='Back-off pulling image "nginx:1.27": not found',
        )
        self.pod("web-7c9d5bb6f-x2r9c", new, "nginx:1.27", 74, state="ContainerCreating", ip="10.244.0.15")
        self.event(stuck, "Failed", 'Failed to pull image "nginx:1.27": manifest unknown', 12, "Warning", 4)
        self.event(stuck, "Pulling", 'Pulling image "nginx:1.27"', 14)
        self.event(web, "ScalingReplicaSet", "Scaled up replica set web-7c9d5bb6f from 0 to 2", 80)

    def _others(self) -> None:
        api = self.deployment("api", "ghcr.io/acme/api:2.4.1", 3, 86400 * 3)
        rs = self.replica_set(api, "59f8d7c45", "ghcr.io/acme/api:2.4.1", 1, 3, 3, 86400 * 3)
        for i, suffix in enumerate(("2mb8k", "f6c9z", "qk4wt")):
            pod = self.pod(
                f"api-59f8d7c45-{suffix}",
                rs,
                "ghcr.io/acme/api:2.4.1",
                86400 * 3 - i,
                ip=f"10.244.0.{21 + i}",
            )
            self.api.log(
                pod["metadata"]["name"],
                "app",
                '{"level":"info","ts":1,"msg":"listening","port":8080}',
                self.now - 90 + i,
            )
            self.api.log(
                pod["metadata"]["name"],
                "app",
                '{"level":"error","msg":"database away","attempt":3}',
                self.now - 60 + i,
            )
        self.deployment("worker", "ghcr.io/acme/worker:9", 2, 3600, spec={"paused": True})
        crash = self.deployment(
            "mailer",
            "ghcr.io/acme/mailer:1.0",
            1,
            900,
            ready=0,
            conditions=[
                {
                    "type": "Progressing",
                    "status": "False",
                    "reason": "ProgressDeadlineExceeded",
                    "message": 'ReplicaSet "mailer-66d" has timed out progressing.',
                }
            ],
        )
        crs = self.replica_set(crash, "66d", "ghcr.io/acme/mailer:1.0", 1, 1, 0, 900)
        pod = self.pod(
            "mailer-66d-pp2vd",
            crs,
            "ghcr.io/acme/mailer:1.0",
            880,
            state="CrashLoopBackOff",
            restarts=7,
            ip="10.244.0.31",
        )
        self.api.log("mailer-66d-pp2vd", "app", "\x1b[31mpanic: SMTP_HOST is not set\x1b[0m", self.now - 36)
        self.api.log(
            "mailer-66d-pp2vd#previous", "app", "panic: SMTP_HOST was not set then either", self.now - 136
        )
        self.event(
            pod,
            "BackOff",
            "Back-off restarting failed container app in pod mailer-66d-pp2vd",
            5,
            "Warning",
            31,
        )
        sts = self.api.put(
            {
                "kind": "StatefulSet",
                "apiVersion": "apps/v1",
                "metadata": self.meta("db", 86400 * 10, labels={"app": "db"}),
                "spec": {
                    "replicas": 2,
                    "serviceName": "db",
                    "selector": {"matchLabels": {"app": "db"}},
                    "template": template("db", "postgres:16"),
                },
                "status": {
                    "replicas": 2,
                    "readyReplicas": 2,
                    "updatedReplicas": 2,
                    "availableReplicas": 2,
                    "observedGeneration": 1,
                    "currentRevision": "db-1",
                    "updateRevision": "db-2",
                },
            }
        )
        for number, image in ((1, "postgres:15"), (2, "postgres:16")):
            self.api.put(
                {
                    "kind": "ControllerRevision",
                    "apiVersion": "apps/v1",
                    "revision": number,
                    "metadata": self.meta(
                        f"db-{number}",
                        86400 * (11 - number * 5),
                        sts,
                        labels={"controller-revision-hash": f"db-{number}"},
                    ),
                    "data": {"spec": {"template": {**template("db", image), "$patch": "replace"}}},
                }
            )
        for i in range(2):
            pod = self.pod(f"db-{i}", sts, "postgres:16", 86400 * 4, ip=f"10.244.0.{41 + i}")
            self.api.change("Pod", f"db-{i}", with_exporter)
        self.api.put(
            {
                "kind": "DaemonSet",
                "apiVersion": "apps/v1",
                "metadata": self.meta("agent", 86400 * 20, labels={"app": "agent"}),
                "spec": {
                    "selector": {"matchLabels": {"app": "agent"}},
                    "template": template("agent", "agent:1"),
                },
                "status": {
                    "desiredNumberScheduled": 1,
                    "numberReady": 1,
                    "updatedNumberScheduled": 1,
                    "numberAvailable": 1,
                    "observedGeneration": 1,
                },
            }
        )
        self.api.put(
            {
                "kind": "CronJob",
                "apiVersion": "batch/v1",
                "metadata": self.meta("nightly", 86400 * 20),
                "spec": {
                    "schedule": "0 3 * * *",
                    "suspend": False,
                    "jobTemplate": {"spec": {"template": template("nightly", "backup:3")}},
                },
                "status": {},
            }
        )
        self.api.put(
            {
                "kind": "Service",
                "apiVersion": "v1",
                "metadata": self.meta("web", 7200),
                "spec": {
                    "type": "ClusterIP",
                    "clusterIP": "10.96.12.7",
                    "selector": {"app": "web"},
                    "ports": [{"port": 80, "targetPort": 8080, "protocol": "TCP"}],
                },
            }
        )
        self.api.put(
            {
                "kind": "Secret",
                "apiVersion": "v1",
                "metadata": self.meta("smtp", 7200),
                "type": "Opaque",
                "data": {"password": "aHVudGVyMg=="},
            }
        )
        self.api.put(
            {
                "kind": "ConfigMap",
                "apiVersion": "v1",
                "metadata": self.meta("settings", 7200),
                "data": {"mode": "fast", "text": "a\nb\n"},
            }
        )

    def _manifests(self) -> None:
        doc = {
            "index": 0,
            "line": 1,
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "namespace": "default",
            "message": "",
            "drift": [],
        }
        self.manifest(
            "manifest-web",
            {
                "path": "/home/ada/shop/web.yaml",
                "state": "applied",
                "error": None,
                "mode": "auto",
                "lastApplied": self.ago(80),
                "documents": [
                    {**doc, "name": "web", "state": "in-sync"},
                    {
                        **doc,
                        "index": 1,
                        "line": 31,
                        "apiVersion": "v1",
                        "kind": "Service",
                        "name": "web",
                        "state": "in-sync",
                    },
                ],
            },
        )
        self.manifest(
            "manifest-api",
            {
                "path": "/home/ada/shop/api.yaml",
                "state": "applied",
                "error": None,
                "mode": "auto",
                "lastApplied": self.ago(4000),
                "documents": [
                    {
                        **doc,
                        "name": "api",
                        "state": "drifted",
                        "drift": [{"path": "spec.replicas", "file": 2, "live": 3}],
                    }
                ],
            },
        )
        self.manifest(
            "manifest-mailer",
            {
                "path": "/home/ada/shop/mailer.yaml",
                "state": "invalid",
                "mode": "auto",
                "lastApplied": self.ago(900),
                "error": {
                    "line": 14,
                    "message": "spec.template.spec.containers[0].ports: expected list, got map",
                    "document": 0,
                },
                "documents": [
                    {**doc, "name": "mailer", "state": "error", "message": "last good state keeps running"}
                ],
            },
        )


def waiting_file(world: World) -> None:
    """A file in manual mode that changes one object, makes one and removes one."""
    doc = {"namespace": "default", "state": "pending", "message": "waits to be applied", "drift": []}
    settings = {**doc, "index": 0, "line": 1, "apiVersion": "v1", "kind": "ConfigMap", "name": "settings"}
    settings["drift"] = [{"path": "data.mode", "file": "slow", "live": "fast"}]
    fresh = {**doc, "index": 1, "line": 8, "apiVersion": "v1", "kind": "ConfigMap", "name": "fresh"}
    fresh["message"] = "would be created"
    gone = {**doc, "index": 2, "line": 0, "apiVersion": "apps", "kind": "Deployment", "name": "worker"}
    gone |= {"message": "removed from the file; will be deleted", "prune": True}
    world.manifest(
        "manifest-settings",
        {
            "path": "/home/ada/shop/settings.yaml",
            "state": "pending",
            "error": None,
            "mode": "manual",
            "lastApplied": world.ago(300),
            "documents": [settings, fresh, gone],
        },
    )


def with_exporter(pod: Obj) -> None:
    """A database pod with limits and a second container."""
    pod["metadata"]["labels"]["controller-revision-hash"] = "db-2"
    spec, status = pod["spec"], pod["status"]
    spec["containers"][0]["resources"] = {
        "requests": {"cpu": "250m", "memory": "512Mi"},
        "limits": {"cpu": "500m", "memory": "1Gi"},
    }
    spec["containers"].append(
        container("exporter:1", "exporter", resources={"limits": {"cpu": "50m", "memory": "64Mi"}})
    )
    status["containerStatuses"].append(
        {**status["containerStatuses"][0], "name": "exporter", "image": "exporter:1"}
    )


def many_pods(world: World, count: int, deployments: int = 50) -> list[str]:
    """Fill the namespace with ``count`` running pods under ``deployments`` Deployments; return the pods' names."""
    names = []
    owners = []
    for d in range(deployments):
        replicas = count // deployments
        owner = world.deployment(
            f"app-{d:03}", f"registry.example.com/team/app-{d:03}:1.{d}", replicas, 3600 + d
        )
        owners.append(
            world.replica_set(
                owner, f"{d:08x}", f"registry.example.com/team/app-{d:03}:1.{d}", 1, replicas, replicas, 3600
            )
        )
    for i in range(count):
        rs = owners[i % deployments]
        name = f"{rs['metadata']['name']}-{i:05x}"
        world.pod(
            name, rs, "app:1", 3000 + i % 500, ip=f"10.244.{i // 250 % 250}.{i % 250}", node=f"node-{i % 20}"
        )
        names.append(name)
    return names


def churn(world: World, names: list[str], rng: random.Random) -> None:
    """Change one pod."""

    def change(pod: Obj) -> None:
        box = pod["status"]["containerStatuses"][0]
        box["ready"] = not box["ready"]
        box["restartCount"] += 1

    world.api.change("Pod", rng.choice(names), change, world.ns)
