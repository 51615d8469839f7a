"""Which kubelet and which container a log, exec, attach or port-forward is about.

``pkg/registry/core/pod/strategy.go`` (LogLocation, streamLocation, validateContainer) and
``pkg/apis/core/validation`` (ValidatePodLogOptions), with their sentences.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from runtime.objects.clock import parse_time
from runtime.objects.errors import (
    FieldError,
    Obj,
    StatusError,
    bad_request,
    forbidden_field,
    invalid,
    invalid_object,
    not_supported,
    unavailable,
)

from .node import LogOptions, NodeConnection, Nodes

_STREAMS = ("All", "Stdout", "Stderr")


def node_connection(nodes: Nodes, pod: Obj) -> NodeConnection:
    """The kubelet that runs a pod.

    Raises:
        StatusError: 400 for a pod without a node, 503 when its kubelet is not there.
    """
    name = (pod.get("spec") or {}).get("nodeName") or ""
    if not name:
        raise bad_request(f"pod {pod['metadata']['name']} does not have a host assigned")
    connection = nodes.get(name)
    if connection is None:
        raise unavailable(f'the kubelet of node "{name}" is not reachable')
    return connection


def choose_container(pod: Obj, asked: str) -> str:
    """The container that a request means: the one it names (``""``: none), or the pod's only one.

    Raises:
        StatusError: 400, more than one container to choose from or none of that name.
    """
    spec = pod.get("spec") or {}
    name = pod["metadata"]["name"]
    containers = [c.get("name", "") for c in spec.get("containers") or ()]
    inits = [c.get("name", "") for c in spec.get("initContainers") or ()]
    ephemeral = [c.get("name", "") for c in spec.get("ephemeralContainers") or ()]
    if asked:
        if asked in containers or asked in inits or asked in ephemeral:
            return asked
        raise bad_request(f"container {asked} is not valid for pod {name}")
    if len(containers) == 1:
        return str(containers[0])
    if not containers:
        raise bad_request(f"a container name must be specified for pod {name}")
    listed = f"a container name must be specified for pod {name}, choose one of: [{' '.join(containers)}]"
    if inits:
        listed += f" or one of the init containers: [{' '.join(inits)}]"
    raise bad_request(listed)


def parse_log_options(query: Mapping[str, Sequence[str]] | Mapping[str, str]) -> LogOptions:
    """v1.PodLogOptions from a URL's query.

    Raises:
        StatusError: 400 for values that can't be read, 422 for ones that are not allowed.
    """
    get = _Query(query)
    errors: list[FieldError] = []
    tail = get.integer("tailLines")
    limit = get.integer("limitBytes")
    since_seconds = get.integer("sinceSeconds")
    since_text = get.text("sinceTime")
    stream = get.text("stream") or "All"
    since_time = None
    if since_text:
        try:
            since_time = parse_time(since_text)
        except ValueError:
            raise bad_request(
                f'parsing time "{since_text}" as "2006-01-02T15:04:05Z07:00": cannot parse'
            ) from None
    if tail is not None and tail < 0:
        errors.append(invalid("tailLines", tail, "must be greater than or equal to 0"))
    if limit is not None and limit < 1:
        errors.append(invalid("limitBytes", limit, "must be greater than 0"))
    if since_seconds is not None and since_time is not None:
        errors.append(forbidden_field("", "at most one of `sinceTime` or `sinceSeconds` may be specified"))
    elif since_seconds is not None and since_seconds < 1:
        errors.append(invalid("sinceSeconds", since_seconds, "must be greater than 0"))
    if stream not in _STREAMS:
        errors.append(not_supported("stream", stream, _STREAMS))
    elif stream != "All" and tail is not None:
        errors.append(forbidden_field("", "`tailLines` and specific `stream` are mutually exclusive for now"))
    if errors:
        raise invalid_object("PodLogOptions", "", "", errors)
    return LogOptions(
        container=get.text("container"),
        follow=get.boolean("follow"),
        previous=get.boolean("previous"),
        since_seconds=since_seconds,
        since_time=since_time,
        timestamps=get.boolean("timestamps"),
        tail_lines=tail,
        limit_bytes=limit,
        stream=stream,
    )


class _Query:
    """Query parameters read as Go's codec reads them: the last of several, an empty one as absent."""

    def __init__(self, query: Mapping[str, Sequence[str]] | Mapping[str, str]) -> None:
        self._query = query

    def text(self, name: str) -> str:
        value = self._query.get(name)
        if value is None:
            return ""
        return value if isinstance(value, str) else (value[-1] if value else "")

    def integer(self, name: str) -> int | None:
        text = self.text(name)
        if not text:
            return None
        try:
            return int(text)
        except ValueError:
            raise _unreadable(text, "ParseInt") from None

    def boolean(self, name: str) -> bool:
        """Anything that is not plainly false is true (``Convert_Slice_string_To_bool``)."""
        if name not in self._query:
            return False
        return self.text(name).lower() not in ("false", "0")


def _unreadable(text: str, function: str) -> StatusError:
    return bad_request(f'strconv.{function}: parsing "{text}": invalid syntax')
