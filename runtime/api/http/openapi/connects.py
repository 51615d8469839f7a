"""The operations that are no reads and writes of objects: streams into pods, proxies, and logs.

What can be asked of each is no part of any schema, so it stands here (core ``v1`` ``PodExecOptions``,
``PodAttachOptions``, ``PodPortForwardOptions``, ``PodLogOptions``, ``{Pod,Node,Service}ProxyOptions``).
"""

from __future__ import annotations

from collections.abc import Iterator

from runtime.objects.errors import Obj
from runtime.objects.registry import Resource, Subresource

from ..negotiation import JSON, PROTOBUF, YAML
from .operations import ANYTHING, PRETTY, TEXT, Operation, query

_STANDARD_STREAMS = (
    query("stderr", "boolean", "Whether to send the container's standard error. Defaults to true."),
    query("stdin", "boolean", "Whether to take standard input. Defaults to false."),
    query("stdout", "boolean", "Whether to send the container's standard output. Defaults to true."),
    query("tty", "boolean", "Whether it runs in a terminal. Defaults to false."),
)
_CONTAINER = query("container", "string", "Which container; may be left out where the pod has only one.")
_OPTIONS: dict[str, tuple[Obj, ...]] = {
    "PodExecOptions": (
        query("command", "string", "What to run, a parameter for each word; no shell reads it."),
        _CONTAINER,
        *_STANDARD_STREAMS,
    ),
    "PodAttachOptions": (_CONTAINER, *_STANDARD_STREAMS),
    "PodPortForwardOptions": (query("ports", "integer", "The ports to forward; WebSockets need them."),),
}
_PROXY = (query("path", "string", "The path, with its query, of the request that is passed on."),)
_PROXY_METHODS = ("delete", "get", "head", "options", "patch", "post", "put")

_LOG = (
    _CONTAINER,
    query("follow", "boolean", "Whether to go on with what is written from now on. Defaults to false."),
    query(
        "insecureSkipTLSVerifyBackend",
        "boolean",
        "Whether the node's certificate may be any. Without effect here.",
    ),
    query("limitBytes", "integer", "The most bytes to send; the last line may be cut."),
    PRETTY,
    query("previous", "boolean", "Whether to send the log of the container before this one."),
    query("sinceSeconds", "integer", "How far back to begin, in seconds. Not together with sinceTime."),
    query("stream", "string", "Which stream: All, Stdout or Stderr. Defaults to All."),
    query("tailLines", "integer", "How many of the last lines to send. Defaults to all of them."),
    query("timestamps", "boolean", "Whether each line begins with its time. Defaults to false."),
)


def connects(
    resource: Resource, sub: Subresource, prefix: str, scope: str, tag: str, path: str, named: Obj
) -> Iterator[tuple[str, Obj, list[Operation]]]:
    """The paths of a subresource that connects: template, path parameters, operations."""
    word = resource.kind + sub.name[:1].upper() + sub.name[1:]
    own = {**named, "name": f"name of the {sub.kind}"}
    options = _OPTIONS.get(sub.kind)
    methods = _PROXY_METHODS if options is None else ("get", "post")

    def operations(suffix: str) -> list[Operation]:
        return [
            Operation(
                method,
                "connect",
                f"connect{prefix}{method.capitalize()}{scope}{word}{suffix}",
                f"connect {method.upper()} requests to {sub.name} of {resource.kind}",
                (sub.group, sub.version, sub.kind),
                tag,
                _PROXY if options is None else options,
                produces=ANYTHING,
                answer=TEXT,
            )
            for method in methods
        ]

    yield path, own, operations("")
    if options is None:
        yield f"{path}/{{path}}", {**own, "path": "path to the resource"}, operations("WithPath")


def log_operation(resource: Resource, prefix: str, scope: str, tag: str) -> Operation:
    """Reading a container's log."""
    return Operation(
        "get",
        "get",
        f"read{prefix}{scope}{resource.kind}Log",
        f"read log of the specified {resource.kind}",
        resource.gvk,
        tag,
        _LOG,
        produces=("text/plain", JSON, YAML, PROTOBUF),
        answer=TEXT,
    )
