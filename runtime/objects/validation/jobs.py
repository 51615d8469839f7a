"""The rules of Jobs and CronJobs (pkg/apis/batch/validation/validation.go)."""

from __future__ import annotations

import re
import zoneinfo

from ..errors import Obj, duplicate, invalid, required
from ..selectors import SelectorError, label_key_errors, label_selector
from .meta import (
    Errors,
    add,
    check_meta,
    check_meta_update,
    check_selector,
    immutable,
    non_negative,
    one_of,
    unsupported,
)
from .podspec import check_template
from .workloads import MISMATCH

UID_LABELS = ("batch.kubernetes.io/controller-uid", "controller-uid")
MAX_CRON_NAME = 52
MAX_INDEXES = 100000
_DESCRIPTORS = frozenset({"@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"})
_MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec"
_DAYS = "sun mon tue wed thu fri sat"
_FIELDS: tuple[tuple[int, int, dict[str, int]], ...] = (
    (0, 59, {}),
    (0, 23, {}),
    (1, 31, {}),
    (1, 12, {name: number for number, name in enumerate(_MONTHS.split(), 1)}),
    (0, 6, {name: number for number, name in enumerate(_DAYS.split())}),
)


def _cron_number(text: str, names: dict[str, int]) -> int | str:
    if text.lower() in names:
        return names[text.lower()]
    if not re.fullmatch(r"\d+", text):
        return f'failed to parse int from {text}: strconv.Atoi: parsing "{text}": invalid syntax'
    return int(text)


def _cron_part(part: str, low: int, high: int, names: dict[str, int]) -> str:
    """What is wrong with one part of one field, in the words of upstream's cron library."""
    span, *steps = part.split("/")
    bounds = span.split("-")
    if len(steps) > 1:
        return f"too many slashes: {part}"
    if len(bounds) > 2:
        return f"too many hyphens: {part}"
    start, end = low, high
    if bounds[0] not in ("*", "?"):
        numbers = [_cron_number(bound, names) for bound in bounds]
        for number in numbers:
            if isinstance(number, str):
                return number
        whole = [number for number in numbers if isinstance(number, int)]
        start = whole[0]
        end = whole[-1] if len(whole) > 1 or not steps else high
    if steps:
        step = _cron_number(steps[0], {})
        if isinstance(step, str):
            return step
        if step == 0:
            return f"step of range should be a positive number: {part}"
    if start < low:
        return f"beginning of range ({start}) below minimum ({low}): {part}"
    if end > high:
        return f"end of range ({end}) above maximum ({high}): {part}"
    if start > end:
        return f"beginning of range ({start}) beyond end of range ({end}): {part}"
    return ""


def cron_problem(schedule: str) -> str:
    """What is wrong with a schedule; empty when nothing is."""
    if schedule.startswith("@"):
        if schedule in _DESCRIPTORS:
            return ""
        if schedule.startswith("@every "):
            good = re.fullmatch(r"@every (\d+(\.\d+)?(ns|us|µs|ms|s|m|h))+", schedule)
            return "" if good else f"failed to parse duration {schedule}"
        return f"unrecognized descriptor: {schedule}"
    fields = schedule.split()
    if len(fields) != 5:
        shown = " ".join(fields)
        return f"expected exactly 5 fields, found {len(fields)}: [{shown}]"
    for field, (low, high, names) in zip(fields, _FIELDS, strict=True):
        for part in field.split(","):
            if problem := _cron_part(part, low, high, names):
                return problem
    return ""


def _failure_policy(policy: Obj, spec: Obj, path: str, errors: Errors) -> None:
    pod = (spec.get("template") or {}).get("spec") or {}
    if pod.get("restartPolicy") != "Never":
        sentence = 'only "Never" is supported when podFailurePolicy is specified'
        place = path.removesuffix(".podFailurePolicy") + ".template.spec.restartPolicy"
        errors.append(invalid(place, pod.get("restartPolicy") or "", sentence))
    actions = ("Count", "FailIndex", "FailJob", "Ignore")
    rules = policy.get("rules") or ()
    if len(rules) > 20:
        errors.append(invalid(f"{path}.rules", len(rules), "must have at most 20 items"))
    for index, rule in enumerate(rules):
        place = f"{path}.rules[{index}]"
        one_of(rule.get("action"), actions, f"{place}.action", errors)
        codes, conditions = rule.get("onExitCodes"), rule.get("onPodConditions") or ()
        if codes is not None and conditions:
            sentence = "specifying both OnExitCodes and OnPodConditions is not supported"
            errors.append(invalid(place, rule, sentence))
        elif codes is None and not conditions:
            sentence = "specifying one of OnExitCodes and OnPodConditions is required"
            errors.append(invalid(place, rule, sentence))
        if codes is not None:
            one_of(codes.get("operator"), ("In", "NotIn"), f"{place}.onExitCodes.operator", errors)
            values = codes.get("values") or []
            if not values:
                errors.append(
                    invalid(f"{place}.onExitCodes.values", values, "at least one value is required")
                )
            if codes.get("operator") == "In" and 0 in values:
                sentence = "must not be 0 for the In operator"
                position = values.index(0)
                errors.append(invalid(f"{place}.onExitCodes.values[{position}]", 0, sentence))
            for position, value in enumerate(values):
                if value in values[:position]:
                    errors.append(duplicate(f"{place}.onExitCodes.values[{position}]", value))
            if values != sorted(values):
                errors.append(invalid(f"{place}.onExitCodes.values", values, "must be ordered"))
        for number, pattern in enumerate(conditions):
            kind = pattern.get("type") or ""
            add(errors, f"{place}.onPodConditions[{number}].type", kind, label_key_errors(kind))
            statuses = ("False", "True", "Unknown")
            one_of(pattern.get("status"), statuses, f"{place}.onPodConditions[{number}].status", errors)


def _job_spec(spec: Obj, path: str, errors: Errors) -> None:
    """A job's spec, its own or a CronJob's template (``validateJobSpec``)."""
    for name in (
        "parallelism",
        "completions",
        "activeDeadlineSeconds",
        "backoffLimit",
        "ttlSecondsAfterFinished",
        "backoffLimitPerIndex",
        "maxFailedIndexes",
    ):
        non_negative(spec.get(name), f"{path}.{name}", errors)
    mode = spec.get("completionMode")
    one_of(mode, ("NonIndexed", "Indexed"), f"{path}.completionMode", errors, needed=False)
    if mode == "Indexed":
        if spec.get("completions") is None:
            sentence = "when completion mode is Indexed"
            errors.append(required(f"{path}.completions", sentence))
        if spec.get("parallelism", 0) > MAX_INDEXES:
            sentence = f"must be less than or equal to {MAX_INDEXES} when completion mode is Indexed"
            errors.append(invalid(f"{path}.parallelism", spec["parallelism"], sentence))
    elif spec.get("backoffLimitPerIndex") is not None:
        sentence = "requires indexed completion mode"
        errors.append(invalid(f"{path}.backoffLimitPerIndex", spec["backoffLimitPerIndex"], sentence))
    if spec.get("maxFailedIndexes") is not None and spec.get("backoffLimitPerIndex") is None:
        sentence = "when maxFailedIndexes is specified"
        errors.append(required(f"{path}.backoffLimitPerIndex", sentence))
    if spec.get("managedBy"):
        name = spec["managedBy"]
        add(errors, f"{path}.managedBy", name, label_key_errors(name))
    if "podFailurePolicy" in spec:
        _failure_policy(spec["podFailurePolicy"], spec, f"{path}.podFailurePolicy", errors)
    if "successPolicy" in spec:
        if mode != "Indexed":
            sentence = "requires indexed completion mode"
            errors.append(invalid(f"{path}.successPolicy", spec["successPolicy"], sentence))
        elif not spec["successPolicy"].get("rules"):
            sentence = "at least one rules must be specified when the successPolicy is specified"
            errors.append(required(f"{path}.successPolicy.rules", sentence))
    policy = spec.get("podReplacementPolicy")
    policies = ("Failed", "TerminatingOrFailed")
    one_of(policy, policies, f"{path}.podReplacementPolicy", errors, needed=False)
    template = spec.get("template") or {}
    check_template(template, f"{path}.template", errors)
    restart = (template.get("spec") or {}).get("restartPolicy")
    place = f"{path}.template.spec.restartPolicy"
    if restart in (None, "", "Always"):
        errors.append(required(place, 'valid values: "OnFailure", "Never"'))
    elif restart not in ("OnFailure", "Never"):
        errors.append(unsupported(place, restart, ("OnFailure", "Never")))


def _own_selector(obj: Obj, errors: Errors) -> None:
    """The selector that the server made, unless the manifest asked to bring its own."""
    spec = obj["spec"]
    selector = spec.get("selector")
    if selector is None:
        errors.append(required("spec.selector"))
        return
    check_selector(selector, "spec.selector", errors)
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels") or {}
    if not spec.get("manualSelector"):
        uid = obj["metadata"].get("uid") or ""
        key = next(
            (name for name in UID_LABELS if name in (selector.get("matchLabels") or {})), UID_LABELS[0]
        )
        if selector != {"matchLabels": {key: uid}}:
            errors.append(invalid("spec.selector", selector, "`selector` not auto-generated"))
            return
        if labels.get(key) != uid:
            place = "spec.template.metadata.labels"
            errors.append(invalid(place, labels, f"must be '{uid}'"))
            return
    try:
        matches = label_selector(selector).matches(labels)
    except SelectorError:
        return
    if not matches:
        errors.append(invalid("spec.template.metadata.labels", labels, MISMATCH))


def check_job(obj: Obj) -> Errors:
    """A new Job."""
    errors: Errors = []
    check_meta(obj, errors)
    _own_selector(obj, errors)
    _job_spec(obj.get("spec") or {}, "spec", errors)
    return errors


def check_job_update(new: Obj, old: Obj) -> Errors:
    """A changed Job: what counts and what runs stay, unless it is suspended and never ran."""
    errors: Errors = []
    check_meta_update(new, old, errors)
    spec, before = new["spec"], old["spec"]
    if spec == before:
        return errors
    _job_spec(spec, "spec", errors)
    if spec.get("completions") != before.get("completions"):
        elastic = before.get("completionMode") == "Indexed" and spec.get("completions") == spec.get(
            "parallelism"
        )
        if not elastic:
            sentence = "field is immutable"
            if before.get("completionMode") == "Indexed":
                sentence = "can only be modified in tandem with spec.parallelism"
            errors.append(invalid("spec.completions", spec.get("completions"), sentence))
    immutable(spec.get("selector"), before.get("selector"), "spec.selector", errors)
    _template_update(spec, before, old, errors)
    for name in (
        "completionMode",
        "podFailurePolicy",
        "backoffLimitPerIndex",
        "managedBy",
        "successPolicy",
    ):
        immutable(spec.get(name), before.get(name), f"spec.{name}", errors)
    return errors


def _template_update(spec: Obj, before: Obj, old: Obj, errors: Errors) -> None:
    """The template; a job suspended before its first pod may still be told where to run."""
    new_template, template = spec.get("template") or {}, before.get("template") or {}
    if before.get("suspend") and not (old.get("status") or {}).get("startTime"):
        names = ("nodeSelector", "affinity", "tolerations", "schedulingGates")
        pod, was = dict(new_template.get("spec") or {}), template.get("spec") or {}
        for name in names:
            if name in was:
                pod[name] = was[name]
            else:
                pod.pop(name, None)
        new_template = {**new_template, "spec": pod}
        for name in ("labels", "annotations"):
            meta = dict(new_template.get("metadata") or {})
            if name in (template.get("metadata") or {}):
                meta[name] = template["metadata"][name]
            else:
                meta.pop(name, None)
            new_template = {**new_template, "metadata": meta}
    immutable(new_template, template, "spec.template", errors)


def check_job_status(new: Obj, old: Obj) -> Errors:
    """A Job's counts are counts, and what is finished stays finished."""
    errors: Errors = []
    check_meta_update(new, old, errors)
    status, before = new.get("status") or {}, old.get("status") or {}
    for name in ("active", "succeeded", "failed", "ready", "terminating"):
        non_negative(status.get(name), f"status.{name}", errors)
    for kind in ("Complete", "Failed"):
        was = any(
            one.get("type") == kind and one.get("status") == "True" for one in before.get("conditions") or ()
        )
        now = any(
            one.get("type") == kind and one.get("status") == "True" for one in status.get("conditions") or ()
        )
        if was and not now:
            sentence = f"cannot disable the terminal {kind}=True condition"
            errors.append(invalid("status.conditions", status.get("conditions") or [], sentence))
    return errors


def _cron_spec(spec: Obj, errors: Errors, *, schedule_changed: bool = True) -> None:
    schedule = spec.get("schedule") or ""
    if not schedule:
        errors.append(required("spec.schedule"))
    elif schedule_changed:
        if "TZ" in schedule:
            sentence = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
            errors.append(invalid("spec.schedule", schedule, sentence))
        elif problem := cron_problem(schedule):
            errors.append(invalid("spec.schedule", schedule, problem))
    _time_zone(spec.get("timeZone"), errors)
    for name in ("startingDeadlineSeconds", "successfulJobsHistoryLimit", "failedJobsHistoryLimit"):
        non_negative(spec.get(name), f"spec.{name}", errors)
    one_of(spec.get("concurrencyPolicy"), ("Allow", "Forbid", "Replace"), "spec.concurrencyPolicy", errors)
    job = (spec.get("jobTemplate") or {}).get("spec") or {}
    if job.get("selector") is not None:
        place = "spec.jobTemplate.spec.selector"
        errors.append(invalid(place, job["selector"], "`selector` will be auto-generated"))
    if job.get("manualSelector"):
        place = "spec.jobTemplate.spec.manualSelector"
        errors.append(unsupported(place, True, ("nil", "false")))
    _job_spec(job, "spec.jobTemplate.spec", errors)


def _time_zone(zone: str | None, errors: Errors) -> None:
    if zone is None:
        return
    if not zone:
        sentence = "timeZone must be nil or non-empty string"
        errors.append(invalid("spec.timeZone", zone, sentence))
    elif zone.lower() == "local":
        sentence = "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"
        errors.append(invalid("spec.timeZone", zone, sentence))
    else:
        try:
            zoneinfo.ZoneInfo(zone)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            errors.append(invalid("spec.timeZone", zone, f"unknown time zone {zone}"))


def check_cron_job(obj: Obj) -> Errors:
    """A new CronJob; its name leaves room for the eleven characters its jobs add."""
    errors: Errors = []
    check_meta(obj, errors)
    name = (obj.get("metadata") or {}).get("name") or ""
    if len(name) > MAX_CRON_NAME:
        sentence = "must be no more than 52 characters"
        errors.append(invalid("metadata.name", name, sentence))
    _cron_spec(obj.get("spec") or {}, errors)
    return errors


def check_cron_job_update(new: Obj, old: Obj) -> Errors:
    """A changed CronJob."""
    errors: Errors = []
    check_meta_update(new, old, errors)
    changed = new["spec"].get("schedule") != old["spec"].get("schedule")
    _cron_spec(new["spec"], errors, schedule_changed=changed)
    return errors
