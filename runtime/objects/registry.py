"""The resource registry: everything that is known of a kind stands in one entry.

The API server, discovery, OpenAPI, tables, garbage collection and namespace clean-up all read from here, so
adding a kind is adding an entry. A registry is a value, not a module global: custom resources are added to
and removed from the one a cluster holds while it runs.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from .errors import FieldError, Obj, qualified
from .schema.facts import TypeInfo, type_of
from .versions import kind_aware

ALL_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")

CLOSED_VERBS = ("delete", "deletecollection", "get", "list", "watch")


class Strategy:
    """How objects of one kind are made ready, checked and changed (upstream's ``rest`` strategies).

    All hooks are pure functions of their arguments. ``obj`` and ``new`` are private copies and may be changed;
    ``old`` is a stored object and may not. The base class is right for a kind with no rules beyond its schema.
    """

    has_generation = True
    """metadata.generation is 1 on create and rises with every change outside metadata and status."""
    generation_counts_status = False
    """metadata.generation rises with changes of the status too (custom resources without ``/status``)."""
    allow_create_on_update = False
    """PUT to a name that does not exist creates it."""
    allow_unconditional_update = True
    """PUT without a resourceVersion overwrites; False demands one (422 otherwise)."""
    graceful_deletion = False
    """DELETE sets deletionTimestamp and waits for the grace period (Pods)."""
    default_propagation = "Background"
    """What DELETE without a propagationPolicy does with dependents ("Background" or "Orphan")."""

    def default(self, obj: Obj) -> None:
        """Fill in what was left out, as ``apis/*/v1/defaults.go`` does."""

    def prepare_for_create(self, obj: Obj) -> None:
        """Clear what a client may not set on create (usually status)."""
        if "status" in obj:
            obj["status"] = {}

    def prepare_for_update(self, new: Obj, old: Obj) -> None:
        """Clear what a client may not change through the main resource (usually status)."""
        if "status" in old:
            new["status"] = old["status"]
        else:
            new.pop("status", None)

    def prepare_for_status_update(self, new: Obj, old: Obj) -> None:
        """For PUT or PATCH of /status: everything but status and annotations/managedFields stays as it was."""

    def validate(self, obj: Obj) -> list[FieldError]:
        """Rules on a new object, beyond its schema (types and unknown fields are checked before)."""
        return []

    def validate_update(self, new: Obj, old: Obj) -> list[FieldError]:
        """All rules on a changed object: what must not change, and what must hold of the new one.

        :meth:`validate` is not asked as well: some rules bind only what is new (upstream's ratcheting).
        """
        return []

    def validate_status_update(self, new: Obj, old: Obj) -> list[FieldError]:
        """Rules on a change of status."""
        return []

    def prepare_for_subresource(self, subresource: str, new: Obj, old: Obj) -> None:
        """For PUT or PATCH of a subresource that takes the whole object (status, finalize, approval, resize, …)."""
        if subresource == "status":
            self.prepare_for_status_update(new, old)

    def validate_subresource(self, subresource: str, new: Obj, old: Obj) -> list[FieldError]:
        """Rules on a change through such a subresource."""
        return self.validate_status_update(new, old) if subresource == "status" else []

    def warnings(self, obj: Obj, old: Obj | None) -> list[str]:
        """Sentences for the Warning header: deprecated, ignored or doubtful fields."""
        return []


@dataclass(frozen=True, slots=True)
class Subresource:
    """A path below an object: ``status``, ``scale``, ``log``, …"""

    name: str
    kind: str
    """The kind that is sent and returned (discovery's responseKind)."""
    group: str = ""
    version: str = "v1"
    verbs: tuple[str, ...] = ("get", "patch", "update")


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a server-side table (metav1.TableColumnDefinition)."""

    name: str
    type: str = "string"
    format: str = ""
    description: str = ""
    priority: int = 0


Convert = Callable[[Sequence[Obj], str], Awaitable[list[Obj]]]
"""Objects in another apiVersion, in the same order; somebody else is asked for them."""
Row = Callable[[Obj, datetime], list[Any]]
"""The cells of one object, in the order of the columns; the moment is "now", for ages."""


@dataclass(frozen=True, slots=True)
class Printer:
    """How a kind looks as a table."""

    columns: tuple[Column, ...]
    row: Row


@dataclass(frozen=True, slots=True)
class ScalePaths:
    """Where the scale subresource finds its numbers."""

    spec_replicas: tuple[str, ...] = ("spec", "replicas")
    status_replicas: tuple[str, ...] = ("status", "replicas")
    selector: tuple[str, ...] = ("spec", "selector")
    demanded: bool = False
    """Without a number at :attr:`spec_replicas` there is no scale to show (custom resources)."""


class CustomKind(Protocol):
    """What stands in an entry for a kind that no built-in definition describes."""

    uid: str
    """Of the CustomResourceDefinition."""
    type_info: TypeInfo
    model: str
    """The schema's name in the OpenAPI definitions."""
    list_model: str
    storage_version: str
    """The version that objects are stored in."""
    digest: str
    """Of the schema: it changes when the published documents do."""

    @property
    def list_kind(self) -> str:
        """The kind of lists."""
        ...

    def read(self, obj: Obj) -> tuple[Obj, list[str]]:
        """A body as its schema has it, and the unknown fields it had."""
        ...

    def settled(self, obj: Obj) -> Obj:
        """A stored object as the schema of its own version has it now."""
        ...

    def shown(self, obj: Obj) -> Obj:
        """An object that was turned into this version, without what this version's schema does not know."""
        ...

    def definitions(self, refer: Callable[[str], Obj], *, v3: bool) -> dict[str, Callable[[], Obj]]:
        """The OpenAPI definitions of the kind and its list, by name."""
        ...


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind at one version."""

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool = True
    singular: str = ""
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ALL_VERBS
    definition: str = ""
    """The schema's name in the OpenAPI definitions, such as ``io.k8s.api.apps.v1.Deployment``."""
    subresources: tuple[Subresource, ...] = ()
    strategy: Strategy = field(default_factory=Strategy)
    printer: Printer | None = None
    selectable: Callable[[Obj], Mapping[str, str]] | None = None
    """The fields that field selectors may name, beside metadata.name and metadata.namespace."""
    selectable_names: frozenset[str] = frozenset()
    """The names :attr:`selectable` gives: any other is refused with 400."""
    scale: ScalePaths | None = None
    stored: bool = True
    """False for what is only ever asked (reviews): create answers and nothing is kept."""
    storage: str = ""
    """The ``group_resource`` under which objects are kept, when another entry owns the store."""
    to_storage: Callable[[Obj], Obj] | None = None
    """Turns an object of this version into the one that is stored; may share parts with its argument."""
    from_storage: Callable[[Obj], Obj] | None = None
    """Turns a stored object into this version; may share parts with its argument."""
    convert: Convert | None = None
    """Turns objects from one version into another where only a webhook can; before :attr:`from_storage`."""
    deprecated: str = ""
    """The warning that every answer to a client carries, for kinds on their way out."""
    custom: CustomKind | None = None
    """What makes it a custom resource."""
    closed: str = ""
    """Why nothing new may be created; empty where it may."""
    listed: bool = True
    """Whether discovery and OpenAPI tell of it: of a custom resource once its definition is established."""
    api_version: str = field(init=False)
    """``v1`` or ``apps/v1``."""
    group_resource: str = field(init=False)
    """``pods`` or ``deployments.apps``: the key of the store and the name clients in this process use."""
    storage_resource: str = field(init=False)
    """The resource part of the store's key: :attr:`storage` where set, else :attr:`group_resource`."""

    def __post_init__(self) -> None:
        named = qualified(self.plural, self.group)
        for name, value in (
            ("api_version", f"{self.group}/{self.version}" if self.group else self.version),
            ("group_resource", named),
            ("storage_resource", self.storage or named),
        ):
            object.__setattr__(self, name, value)

    @property
    def type_info(self) -> TypeInfo:
        """The kind's type, as patches and server-side apply walk it."""
        return self.custom.type_info if self.custom is not None else type_of(self.definition)

    @property
    def list_kind(self) -> str:
        """The kind of lists."""
        return self.custom.list_kind if self.custom is not None else f"{self.kind}List"

    @property
    def offered(self) -> tuple[str, ...]:
        """The verbs that discovery tells of: fewer than are served while a definition is going away."""
        return CLOSED_VERBS if self.closed else self.verbs

    @property
    def gvk(self) -> tuple[str, str, str]:
        """Group, version and kind."""
        return (self.group, self.version, self.kind)

    def subresource(self, name: str) -> Subresource | None:
        """The subresource of this name, if the kind has it."""
        for entry in self.subresources:
            if entry.name == name:
                return entry
        return None


class Registry:
    """All kinds a server knows, found by path, by kind and by name."""

    def __init__(self, resources: Iterable[Resource] = ()) -> None:
        self._by_path: dict[tuple[str, str, str], Resource] = {}
        self._by_kind: dict[tuple[str, str, str], Resource] = {}
        self._by_group_resource: dict[str, Resource] = {}
        self._groups: dict[str, list[str]] = {}
        self.listeners: list[Callable[[], None]] = []
        """Called when custom resources came or went."""
        for resource in resources:
            self.add(resource)

    def add(self, resource: Resource) -> None:
        """Add a kind; the first version of a group that is added is the preferred one."""
        self._by_path[(resource.group, resource.version, resource.plural)] = resource
        self._by_kind[resource.gvk] = resource
        self._by_group_resource.setdefault(resource.group_resource, resource)
        versions = self._groups.setdefault(resource.group, [])
        if resource.version not in versions:
            versions.append(resource.version)

    def remove(self, resource: Resource) -> None:
        """Forget a kind."""
        self._by_path.pop((resource.group, resource.version, resource.plural), None)
        self._by_kind.pop(resource.gvk, None)
        self._by_group_resource.pop(resource.group_resource, None)
        left = [entry for entry in self._by_path.values() if entry.group == resource.group]
        for entry in left:
            self._by_group_resource.setdefault(entry.group_resource, entry)
        versions = [v for v in self._groups.get(resource.group, []) if any(e.version == v for e in left)]
        if versions:
            self._groups[resource.group] = versions
        else:
            self._groups.pop(resource.group, None)

    def serve_custom(self, uid: str, resources: Iterable[Resource]) -> None:
        """Make ``resources`` all that is served of the definition with this uid; none, and it is served no more.

        Custom groups come after the built-in ones, by name, and their versions as Kubernetes prefers them.
        """
        for entry in list(self._by_path.values()):
            if entry.custom is not None and entry.custom.uid == uid:
                self.remove(entry)
        for resource in resources:
            self.add(resource)
        custom = sorted(
            group
            for group in self._groups
            if all(one.custom is not None for one in self._by_path.values() if one.group == group)
        )
        for group in custom:
            self._groups[group] = kind_aware(self._groups.pop(group))
        for listener in self.listeners:
            listener()

    def by_path(self, group: str, version: str, plural: str) -> Resource | None:
        """The kind served at ``/apis/GROUP/VERSION/PLURAL``."""
        return self._by_path.get((group, version, plural))

    def by_kind(self, api_version: str, kind: str) -> Resource | None:
        """The kind named by an object's ``apiVersion`` and ``kind``."""
        group, slash, version = api_version.rpartition("/")
        return self._by_kind.get((group, version, kind) if slash else ("", api_version, kind))

    def find(self, group_resource: str) -> Resource | None:
        """The preferred version of ``pods`` or ``deployments.apps``."""
        return self._by_group_resource.get(group_resource)

    def groups(self) -> dict[str, list[str]]:
        """Group → its versions, preferred first, in the order of discovery."""
        return {group: list(versions) for group, versions in self._groups.items()}

    def in_version(self, group: str, version: str) -> list[Resource]:
        """All kinds of one group version."""
        return [e for e in self._by_path.values() if e.group == group and e.version == version]

    def __iter__(self) -> Iterator[Resource]:
        return iter(list(self._by_path.values()))
