"""CronJobs: a Job at every moment the schedule names.

After ``cronjob/{cronjob_controllerv2,utils}.go``. The schedule is read by ``croniter``, in the time zone of
``spec.timeZone`` or else UTC.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from runtime.client.informer import BY_CONTROLLER, Delta, controller_uids
from runtime.client.recorder import object_reference
from runtime.objects import meta
from runtime.objects.clock import format_time, parse_time
from runtime.objects.errors import Obj, StatusError
from runtime.objects.meta import (
    controller_of,
    controller_reference,
    is_deleting,
    key_of,
    name_of,
    namespace_of,
    uid_of,
)

from .context import BaseController, Context, namespace_terminating
from .lookup import owner_key

RESOURCE = "cronjobs.batch"
JOBS = "jobs.batch"
SCHEDULED_AT = "batch.kubernetes.io/cronjob-scheduled-timestamp"
MANY_MISSED = 100
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h)")
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
SLACK = 0.1
"""Seconds after the moment itself, so that the clock has passed it."""


class Unreadable(Exception):
    """The schedule or its time zone can't be read."""

    reason = "UnparseableSchedule"


class UnknownTimeZone(Unreadable):
    """There is no time zone of this name."""

    reason = "UnknownTimeZone"


def zone_of(cronjob: Obj) -> tzinfo:
    """The time zone of the schedule.

    Raises:
        UnknownTimeZone: no such zone.
    """
    name = cronjob["spec"].get("timeZone")
    if not name:
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise UnknownTimeZone(f'invalid timeZone: "{name}": unknown time zone {name}') from error


def _iterator(schedule: str, start: datetime) -> Any:
    text = schedule.strip()
    from croniter import croniter  # 13 ms that only clusters with a CronJob have to spend

    try:
        return croniter(text, start)
    except (ValueError, KeyError) as error:  # CroniterError is a ValueError
        raise Unreadable(f'unparseable schedule: "{schedule}" : {error}') from error


def interval_of(schedule: str) -> int | None:
    """The seconds of a schedule such as ``@every 1h30m``; None for any other.

    Raises:
        Unreadable: there is no duration after ``@every``.
    """
    text = schedule.strip()
    if not text.startswith("@every "):
        return None
    duration = text.removeprefix("@every ")
    parts = _DURATION.findall(duration)
    if not parts or "".join(number + unit for number, unit in parts) != duration.lstrip("+"):
        raise Unreadable(f'unparseable schedule: "{schedule}" : failed to parse duration {schedule}')
    return max(1, int(sum(float(number) * _UNITS[unit] for number, unit in parts)))


def next_after(schedule: str, moment: datetime, zone: tzinfo) -> datetime:
    """The first scheduled moment after ``moment``.

    Raises:
        Unreadable: the schedule can't be read.
    """
    interval = interval_of(schedule)
    if interval is not None:
        return moment.replace(microsecond=0) + timedelta(seconds=interval)
    try:
        found: datetime = _iterator(schedule, moment.astimezone(zone)).get_next(datetime)
    except ValueError as error:
        raise Unreadable(f'unparseable schedule: "{schedule}" : {error}') from error
    return found.astimezone(UTC)


def missed(cronjob: Obj, now: datetime) -> tuple[datetime | None, int]:
    """The most recent scheduled moment that was not acted on, and about how many there were.

    Raises:
        Unreadable: the schedule or time zone can't be read.
    """
    spec = cronjob["spec"]
    zone = zone_of(cronjob)
    last = (cronjob.get("status") or {}).get("lastScheduleTime")
    earliest = parse_time(last) if last else meta.created_at(cronjob) or now
    deadline = spec.get("startingDeadlineSeconds")
    if deadline is not None:
        earliest = max(earliest, now - timedelta(seconds=int(deadline)))
    if earliest > now:
        return None, 0
    first = next_after(spec["schedule"], earliest, zone)
    if first > now:
        return None, 0
    second = next_after(spec["schedule"], first, zone)
    if second > now:
        return first, 1
    # as upstream: the distance of the first two stands for all when counting
    step = max(1.0, (second - first).total_seconds())
    count = math.floor((now - first).total_seconds() / step) + 1
    text = spec["schedule"]
    if interval_of(text) is not None:
        return first + timedelta(seconds=(count - 1) * step), count
    try:
        recent: datetime = _iterator(text, (now + timedelta(seconds=1)).astimezone(zone)).get_prev(datetime)
    except ValueError as error:
        raise Unreadable(f'unparseable schedule: "{text}" : {error}') from error
    return recent.astimezone(UTC), count


def job_name(cronjob: Obj, moment: datetime) -> str:
    """The name of the Job for one scheduled moment: the CronJob's, and the moment in minutes."""
    return f"{name_of(cronjob)}-{int(moment.timestamp()) // 60}"


def job_for(cronjob: Obj, moment: datetime) -> Obj:
    """The Job of one scheduled moment."""
    template = meta.copy(cronjob["spec"]["jobTemplate"])
    source = template.get("metadata") or {}
    zone = cronjob["spec"].get("timeZone")
    stamp = format_time(moment)
    if zone:
        stamp = moment.astimezone(ZoneInfo(zone)).isoformat()
    metadata: Obj = {
        "name": job_name(cronjob, moment),
        "namespace": namespace_of(cronjob),
        "labels": source.get("labels") or {},
        "annotations": {**(source.get("annotations") or {}), SCHEDULED_AT: stamp},
        "ownerReferences": [controller_reference(cronjob)],
        "creationTimestamp": format_time(moment),
    }
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": template["spec"]}


def outcome(job: Obj) -> str:
    """``Complete``, ``Failed`` or nothing while it runs."""
    for kind in ("Complete", "Failed"):
        if meta.is_true(job, kind):
            return kind
    return ""


class CronJobController(BaseController):
    """Starts Jobs on time and keeps their history short."""

    name = "cronjob"
    workers = 2

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.cronjobs = context.informers.informer(RESOURCE)
        self.jobs = context.informers.informer(JOBS)
        self.jobs.add_index(BY_CONTROLLER, controller_uids)
        self.cronjobs.add_handler(self._on_cronjobs)
        self.jobs.add_handler(self._on_jobs)

    def _on_cronjobs(self, deltas: Sequence[Delta]) -> None:
        for delta in deltas:
            self.queue.add(key_of(delta.obj))

    def _on_jobs(self, deltas: Sequence[Delta]) -> None:
        for delta in deltas:
            key = owner_key(self.cronjobs, delta.obj, "CronJob")
            if key is not None:
                self.queue.add(key)

    async def sync(self, key: str) -> float | None:
        """Look after one CronJob: finished Jobs, history, and the next start."""
        cronjob = self.cronjobs.get(key)
        if cronjob is None:
            return None
        status = meta.copy(cronjob.get("status") or {})
        jobs = self.jobs.by_index(BY_CONTROLLER, uid_of(cronjob))
        self._active(cronjob, status, jobs)
        await self._history(cronjob, jobs)
        again: float | None = None
        failure: StatusError | None = None
        if not is_deleting(cronjob):
            try:
                again = await self._start(cronjob, status, jobs)
            except Unreadable as error:
                self.recorder.event(cronjob, "Warning", error.reason, str(error))
            except StatusError as error:
                failure = error
        if status != (cronjob.get("status") or {}):
            await self.client.update_status({**cronjob, "status": status})
        if failure is not None:
            raise failure
        return again

    def _active(self, cronjob: Obj, status: Obj, jobs: Sequence[Obj]) -> None:
        known = {entry.get("uid"): entry for entry in status.get("active") or ()}
        by_uid = {uid_of(job): job for job in jobs}
        for uid, job in by_uid.items():
            done = outcome(job)
            if uid not in known and not done:
                created = meta.created_at(job)
                last = status.get("lastScheduleTime")
                if last is None or created is None or created > parse_time(last):
                    self.recorder.event(
                        cronjob,
                        "Warning",
                        "UnexpectedJob",
                        f"Saw a job that the controller did not create or forgot: {name_of(job)}",
                    )
            elif uid in known and done:
                del known[uid]
                self.recorder.event(
                    cronjob,
                    "Normal",
                    "SawCompletedJob",
                    f"Saw completed job: {name_of(job)}, condition: {done}",
                )
            if done == "Complete":
                ended = (job.get("status") or {}).get("completionTime")
                if ended and ended > (status.get("lastSuccessfulTime") or ""):
                    status["lastSuccessfulTime"] = ended
        for uid, entry in list(known.items()):
            if uid not in by_uid and self.jobs.get(f"{namespace_of(cronjob)}/{entry.get('name')}") is None:
                created_now = entry.get("resourceVersion") and int(entry["resourceVersion"]) > int(
                    self.jobs.version or 0
                )
                if not created_now:
                    del known[uid]
                    self.recorder.event(
                        cronjob,
                        "Normal",
                        "MissingJob",
                        f"Active job went missing: {entry.get('name')}",
                    )
        if known:
            status["active"] = list(known.values())
        else:
            status.pop("active", None)

    async def _history(self, cronjob: Obj, jobs: Sequence[Obj]) -> None:
        spec = cronjob["spec"]
        for kind, field, default in (
            ("Complete", "successfulJobsHistoryLimit", 3),
            ("Failed", "failedJobsHistoryLimit", 1),
        ):
            limit = spec.get(field, default)
            if limit is None:
                continue
            ended = [job for job in jobs if outcome(job) == kind and not is_deleting(job)]
            ended.sort(key=lambda job: ((job.get("status") or {}).get("startTime") or "", name_of(job)))
            for job in ended[: max(0, len(ended) - int(limit))]:
                await self._delete(cronjob, job)

    async def _delete(self, cronjob: Obj, job: Obj) -> None:
        try:
            await self.client.delete(
                JOBS, name_of(job), namespace_of(job), uid=uid_of(job), propagation_policy="Background"
            )
        except StatusError as error:
            if error.code == 404:
                return
            self.recorder.event(cronjob, "Warning", "FailedDelete", f"Deleted job: {error.message}")
            raise
        self.recorder.event(cronjob, "Normal", "SuccessfulDelete", f"Deleted job {name_of(job)}")

    async def _start(self, cronjob: Obj, status: Obj, jobs: Sequence[Obj]) -> float | None:
        spec = cronjob["spec"]
        now = self.clock.now()
        if spec.get("suspend"):
            return None
        zone = zone_of(cronjob)
        moment, count = missed({**cronjob, "status": status}, now)
        again = (
            self._following({**cronjob, "status": status}, moment, now, zone) - now
        ).total_seconds() + SLACK
        if count > MANY_MISSED:
            self.recorder.event(
                cronjob,
                "Warning",
                "TooManyMissedTimes",
                "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew",
            )
        if moment is None:
            return again
        deadline = spec.get("startingDeadlineSeconds")
        if deadline is not None and moment + timedelta(seconds=int(deadline)) < now:
            text = f"Missed scheduled time to start a job: {moment:%a, %d %b %Y %H:%M:%S} +0000"
            self.recorder.event(cronjob, "Warning", "MissSchedule", text)
            return again
        name = job_name(cronjob, moment)
        if any(name_of(job) == name for job in jobs) or status.get("lastScheduleTime") == format_time(moment):
            status["lastScheduleTime"] = format_time(moment)
            return again
        policy = spec.get("concurrencyPolicy") or "Allow"
        active = status.get("active") or []
        if policy == "Forbid" and active:
            self.recorder.event(
                cronjob,
                "Normal",
                "JobAlreadyActive",
                "Not starting job because prior execution is running and concurrency policy is Forbid",
            )
            return again
        if policy == "Replace":
            for entry in active:
                job = self.jobs.get(f"{namespace_of(cronjob)}/{entry.get('name')}")
                if job is not None:
                    await self._delete(cronjob, job)
            status.pop("active", None)
        await self._create(cronjob, status, moment)
        return again

    @staticmethod
    def _following(cronjob: Obj, moment: datetime | None, now: datetime, zone: tzinfo) -> datetime:
        """The next scheduled moment; an interval counts from the last one, not from now."""
        schedule = cronjob["spec"]["schedule"]
        if interval_of(schedule) is None:
            return next_after(schedule, now, zone)
        last = (cronjob.get("status") or {}).get("lastScheduleTime")
        base = moment or (parse_time(last) if last else meta.created_at(cronjob)) or now
        found = next_after(schedule, base, zone)
        return found if found > now else next_after(schedule, now, zone)

    async def _create(self, cronjob: Obj, status: Obj, moment: datetime) -> None:
        wanted = job_for(cronjob, moment)
        wanted["metadata"].pop("creationTimestamp")
        try:
            made = await self.client.create(wanted, namespace_of(cronjob))
        except StatusError as error:
            if error.reason == "AlreadyExists":
                made = await self.client.get(JOBS, wanted["metadata"]["name"], namespace_of(cronjob))
                reference = controller_of(made)
                if reference is None or reference.get("uid") != uid_of(cronjob):
                    raise
                status["lastScheduleTime"] = format_time(moment)
                return
            if not namespace_terminating(error):
                self.recorder.event(
                    cronjob, "Warning", "FailedCreate", f"Error creating job: {error.message}"
                )
            raise
        self.recorder.event(cronjob, "Normal", "SuccessfulCreate", f"Created job {name_of(made)}")
        status["active"] = [*(status.get("active") or ()), object_reference(made)]
        status["lastScheduleTime"] = format_time(moment)
