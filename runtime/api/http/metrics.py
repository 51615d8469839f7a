"""Counts of what the server does, in Prometheus' text form, under upstream's own metric names."""

from __future__ import annotations

import resource as process
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Upper bounds of the latency histogram, in seconds."""

RequestLabels = tuple[str, str, str, str, str]
"""verb, group, version, resource, subresource."""


def _escape(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _labels(pairs: Mapping[str, str]) -> str:
    return "{" + ",".join(f'{name}="{_escape(value)}"' for name, value in pairs.items()) + "}"


class _Histogram:
    __slots__ = ("count", "counts", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS) + 1)
        self.total = 0.0
        self.count = 0

    def observe(self, seconds: float) -> None:
        self.counts[bisect_left(BUCKETS, seconds)] += 1
        self.total += seconds
        self.count += 1


class Metrics:
    """The server's counters. Only what exists can be counted: names come from the registry, not from URLs."""

    def __init__(self, objects: Callable[[], Iterable[tuple[str, int]]]) -> None:
        """``objects`` gives how many of each group resource are stored."""
        self._objects = objects
        self._requests: dict[tuple[RequestLabels, int], int] = {}
        self._latencies: dict[RequestLabels, _Histogram] = {}
        self.in_flight = {"readOnly": 0, "mutating": 0}
        self.long_running = 0
        self.watch_events = 0
        self.cut_off = 0
        self._started = time.time()

    def observe(self, labels: RequestLabels, code: int, seconds: float, *, latency: bool) -> None:
        """One request was answered; ``latency`` False for streams, whose length says nothing."""
        key = (labels, code)
        self._requests[key] = self._requests.get(key, 0) + 1
        if latency:
            histogram = self._latencies.get(labels)
            if histogram is None:
                histogram = self._latencies[labels] = _Histogram()
            histogram.observe(seconds)

    def render(self) -> str:
        """The whole page."""
        lines: list[str] = []

        def begin(name: str, kind: str, text: str) -> None:
            lines.append(f"# HELP {name} {text}")
            lines.append(f"# TYPE {name} {kind}")

        names = ("verb", "group", "version", "resource", "subresource")
        begin("apiserver_request_total", "counter", "Requests answered, by verb, resource and code.")
        for (labels, code), count in sorted(self._requests.items()):
            pairs = {**dict(zip(names, labels, strict=True)), "code": str(code)}
            lines.append(f"apiserver_request_total{_labels(pairs)} {count}")
        name = "apiserver_request_duration_seconds"
        begin(name, "histogram", "Time from a request's head to the end of its answer.")
        for labels, histogram in sorted(self._latencies.items()):
            pairs = dict(zip(names, labels, strict=True))
            running = 0
            for bound, count in zip((*map(str, BUCKETS), "+Inf"), histogram.counts, strict=True):
                running += count
                lines.append(f"{name}_bucket{_labels({**pairs, 'le': bound})} {running}")
            lines.append(f"{name}_sum{_labels(pairs)} {histogram.total:.6f}")
            lines.append(f"{name}_count{_labels(pairs)} {histogram.count}")
        begin("apiserver_current_inflight_requests", "gauge", "Requests being answered now.")
        for kind, count in self.in_flight.items():
            lines.append(f"apiserver_current_inflight_requests{_labels({'request_kind': kind})} {count}")
        begin("apiserver_longrunning_requests", "gauge", "Watches and streams open now.")
        lines.append(f"apiserver_longrunning_requests {self.long_running}")
        begin("apiserver_watch_events_total", "counter", "Events sent to watches.")
        lines.append(f"apiserver_watch_events_total {self.watch_events}")
        begin("apiserver_terminated_watchers_total", "counter", "Watches cut off because nobody read them.")
        lines.append(f"apiserver_terminated_watchers_total {self.cut_off}")
        begin("apiserver_storage_objects", "gauge", "Objects stored, by resource.")
        for found, count in self._objects():
            lines.append(f"apiserver_storage_objects{_labels({'resource': found})} {count}")
        usage = process.getrusage(process.RUSAGE_SELF)
        begin("process_cpu_seconds_total", "counter", "User and system CPU time of the process.")
        lines.append(f"process_cpu_seconds_total {usage.ru_utime + usage.ru_stime:.3f}")
        begin("process_max_resident_memory_bytes", "gauge", "The most memory the process ever held.")
        lines.append(f"process_max_resident_memory_bytes {usage.ru_maxrss * 1024}")
        begin("process_start_time_seconds", "gauge", "When the server started, in seconds since the epoch.")
        lines.append(f"process_start_time_seconds {self._started:.3f}")
        return "\n".join(lines) + "\n"
