"""A component's self-description (component layer), read as liberally as the published ones need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from embedded_scheduler.domain.identifiers import shorten
from embedded_scheduler.domain.job import default_code
from embedded_scheduler.domain.limits import KINDS, amount
from embedded_scheduler.errors import InvalidRequest
from embedded_scheduler.sentences import say

MAX_NAME = 128
MAX_MEMBERS = 1000

_TRUE = frozenset({"true", "1", "yes", "y"})
_FALSE = frozenset({"false", "0", "no", "n", ""})


class BoolStyle(StrEnum):
    """How a boolean parameter is written: `true` (Kuscia, ours) or `True` (the guide's code, FATE)."""

    LOWER = "true"
    TITLE = "True"


@dataclass(frozen=True, slots=True)
class InputParam:
    """One declared hyper-parameter. `default` is JSON data as sent; None = none stated."""

    name: str
    title: str
    type: str
    optional: bool
    default: Any = None
    description: str = ""
    validator: str = ""
    depends_on: tuple[str, ...] = ()
    ui_pattern: str = ""
    """`editable`, `readOnly` or `hidden`, misspellings mended."""
    group_tag: tuple[str, ...] = ()
    ui_type: str = ""

    @property
    def required(self) -> bool:
        """Whether a job has to give a value: not optional, and nothing to fall back on."""
        return not self.optional and self.default is None


@dataclass(frozen=True, slots=True)
class DataPort:
    """One declared input or output; `name` is its formal name, `category` its kind of data.

    `required`: the component cannot do without it. Only our extension member `optional: false` says so; the
    specification has no word for it.
    """

    name: str
    category: str
    description: str = ""
    required: bool = False


@dataclass(frozen=True, slots=True)
class ResultCode:
    """What one of the component's result codes means."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Disclosure:
    """In the author's words: `what` is learnt by `to` (a role, or a phrase; empty = not said)."""

    to: str
    what: str

    @property
    def text(self) -> str:
        return f"{self.to}: {self.what}" if self.to else self.what


@dataclass(frozen=True, slots=True)
class ComponentManifest:
    """A self-description as the node uses it. `raw` is what was sent, unknown members included."""

    name: str
    provider: str
    version: str
    code: str
    """The legacy dialect's package key: extension member `code`, else derived from provider and name."""
    title: str
    description: str
    roles: tuple[str, ...]
    """Lower case; empty = the author did not say, any role may run it."""
    storage_engines: tuple[str, ...]
    params: tuple[InputParam, ...]
    inputs: tuple[DataPort, ...]
    outputs: tuple[DataPort, ...]
    results: tuple[ResultCode, ...]
    disclosure: tuple[Disclosure, ...]
    """Extension member `disclosure`: what leaves the node and who learns it."""
    adversary: str
    """Extension member `adversary`: against whom the author claims protection."""
    bool_style: BoolStyle
    """Extension member `boolStyle`: how the program wants booleans written."""
    resources: Mapping[str, float]
    """Extension member `resources`: what it may use (`domain.limits.KINDS`) when the job does not say."""
    raw: Mapping[str, Any] = field(compare=False)
    warnings: tuple[str, ...] = field(default=(), compare=False)
    """Deviations that were read over, as sentences."""

    @property
    def identity(self) -> tuple[str, str, str]:
        """(provider, name, version): what a registration is unique by."""
        return self.provider, self.name, self.version

    def runs_as(self, role: str) -> bool:
        return not self.roles or role.lower() in self.roles


def parse_manifest(raw: Mapping[str, Any]) -> ComponentManifest:
    """Read a self-description.

    Only the identity (`componentName`, `provider`, `version`) is indispensable: `InvalidRequest` names what is missing
    or unusable. Everything else that deviates from the specification is mended where its meaning is clear, left out
    where it is not, and noted in `warnings`.
    """
    return _Reading(raw).manifest()


class _Reading:
    """One pass over a self-description that collects the warnings."""

    def __init__(self, raw: Mapping[str, Any]) -> None:
        if not isinstance(raw, Mapping):
            raise InvalidRequest(say("manifest_not_object"))
        self.raw = raw
        self.warnings: list[str] = []

    def manifest(self) -> ComponentManifest:
        name = self._identity("componentName", "module_name")
        provider = self._identity("provider")
        version = self._identity("version")
        code = self._text(self.raw, "code")
        if code and (len(code) > MAX_NAME or not code.isprintable()):
            raise InvalidRequest(say("manifest_code", longest=MAX_NAME))
        return ComponentManifest(
            name=name,
            provider=provider,
            version=version,
            code=code or default_code(provider, name),
            title=self._text(self.raw, "title") or name,
            description=self._text(self.raw, "description"),
            roles=tuple(role.strip().lower() for role in self._texts(self.raw, "roleList") if role.strip()),
            storage_engines=self._texts(self.raw, "storageEngine"),
            params=tuple(self._param(item, where) for where, item in self._members("inputParam")),
            inputs=tuple(self._port(item, where) for where, item in self._members("inputData")),
            outputs=tuple(self._port(item, where) for where, item in self._members("outputData")),
            results=tuple(self._result(item, where) for where, item in self._members("result", named="resultCode")),
            disclosure=tuple(self._disclosures()),
            adversary=self._text(self.raw, "adversary"),
            bool_style=self._bool_style(),
            resources=self._resources(),
            raw=self.raw,
            warnings=tuple(dict.fromkeys(self.warnings)),
        )

    def _identity(self, *keys: str) -> str:
        value: object = next((self.raw[key] for key in keys if self.raw.get(key) not in (None, "")), None)
        if isinstance(value, int | float) and not isinstance(value, bool):
            self.warnings.append(f"{keys[0]} is a number, read as text")
            value = str(value)
        if not isinstance(value, str) or not value.strip():
            raise InvalidRequest(say("manifest_lacks", name=keys[0]))
        if len(value) > MAX_NAME or not value.isprintable() or "/" in value:
            raise InvalidRequest(say("manifest_name", name=keys[0], longest=MAX_NAME, value=shorten(value)))
        return value.strip()

    def _members(self, key: str, *, named: str = "name") -> list[tuple[str, Mapping[str, Any]]]:
        value = self.raw.get(key)
        if value in (None, ""):
            return []
        if isinstance(value, Mapping):
            self.warnings.append(f"{key} is an object, read as a list of one")
            value = [value]
        if not isinstance(value, list | tuple):
            self.warnings.append(f"{key} is not a list, left out")
            return []
        if len(value) > MAX_MEMBERS:
            raise InvalidRequest(say("manifest_members", name=key, count=len(value), most=MAX_MEMBERS))
        found: list[tuple[str, Mapping[str, Any]]] = []
        seen: set[str] = set()
        for position, item in enumerate(value):
            where = f"{key}[{position}]"
            if not isinstance(item, Mapping) or self._text(item, named, where) == "":
                self.warnings.append(f"{where} has no {named}, left out")
                continue
            name = self._text(item, named, where)
            if "\0" in name or "=" in name:
                self.warnings.append(f"{where}: {named} {shorten(name)} cannot be the name of a variable, left out")
                continue
            if name in seen:
                self.warnings.append(f"{where} repeats {named} {shorten(name)}, left out")
                continue
            seen.add(name)
            found.append((where, item))
        return found

    def _param(self, item: Mapping[str, Any], where: str) -> InputParam:
        name = self._text(item, "name", where)
        return InputParam(
            name=name,
            title=self._text(item, "title", where) or name,
            type=(self._text(item, "type", where) or "string").lower(),
            optional=self._boolean(item, "optional", where, default=True),
            default=item.get("defaultValue"),
            description=self._text(item, "description", where),
            validator=self._text(item, "validator", where),
            depends_on=self._texts(item, "dependsOn", where),
            ui_pattern=self._mended(item, "UIPattern", where, {"editeable": "editable"}),
            group_tag=self._texts(item, "groupTag", where),
            ui_type=self._mended(item, "UIType", where, {"redio": "radio"}),
        )

    def _port(self, item: Mapping[str, Any], where: str) -> DataPort:
        return DataPort(
            name=self._text(item, "name", where),
            category=self._text(item, "category", where),
            description=self._text(item, "description", where),
            required=not self._boolean(item, "optional", where, default=True),
        )

    def _result(self, item: Mapping[str, Any], where: str) -> ResultCode:
        return ResultCode(self._text(item, "resultCode", where), self._text(item, "resultMessage", where))

    def _disclosures(self) -> list[Disclosure]:
        value = self.raw.get("disclosure")
        if value in (None, ""):
            return []
        found = []
        for position, item in enumerate(value if isinstance(value, list | tuple) else [value]):
            where = f"disclosure[{position}]"
            if isinstance(item, Mapping) and self._text(item, "what", where):
                found.append(Disclosure(to=self._text(item, "to", where), what=self._text(item, "what", where)))
            elif isinstance(item, str) and item.strip():
                found.append(Disclosure(to="", what=item.strip()))
            else:
                self.warnings.append(f"{where} says nothing, left out")
        return found

    def _resources(self) -> dict[str, float]:
        value = self.raw.get("resources")
        if value in (None, ""):
            return {}
        if not isinstance(value, Mapping):
            self.warnings.append("resources is not an object, left out")
            return {}
        found = {kind: amount(value.get(kind)) for kind in KINDS}
        unread = sorted(str(kind) for kind in value if found.get(str(kind)) is None)
        if unread:
            known = ", ".join(KINDS)
            self.warnings.append(f"resources: {shorten(', '.join(unread))} left out; {known} are known, as numbers")
        return {kind: number for kind, number in found.items() if number is not None}

    def _bool_style(self) -> BoolStyle:
        value = self.raw.get("boolStyle")
        if value in (None, ""):
            return BoolStyle.LOWER
        if isinstance(value, str) and value.strip() in set(BoolStyle):
            return BoolStyle(value.strip())
        self.warnings.append(f"boolStyle is {shorten(value)}, neither true nor True as text: read as true")
        return BoolStyle.LOWER

    def _text(self, item: Mapping[str, Any], key: str, where: str = "") -> str:
        value = item.get(key)
        if value is None:
            return ""
        if isinstance(value, str):
            return value.strip()
        place = f"{where}.{key}" if where else key
        if isinstance(value, int | float) and not isinstance(value, bool):
            self.warnings.append(f"{place} is a number, read as text")
            return str(value)
        self.warnings.append(f"{place} is not a string, left out")
        return ""

    def _texts(self, item: Mapping[str, Any], key: str, where: str = "") -> tuple[str, ...]:
        value = item.get(key)
        if value in (None, "", [], ()):
            return ()
        place = f"{where}.{key}" if where else key
        if isinstance(value, str):
            self.warnings.append(f"{place} is a string, read as a list of one")
            return (value.strip(),)
        if not isinstance(value, list | tuple):
            self.warnings.append(f"{place} is not a list, left out")
            return ()
        return tuple(str(member).strip() for member in value if isinstance(member, str | int | float) and member != "")

    def _boolean(self, item: Mapping[str, Any], key: str, where: str, *, default: bool) -> bool:
        value = item.get(key)
        if value is None:
            return default
        if isinstance(value, bool):
            return value
        word = str(value).strip().lower()
        if word in _TRUE | _FALSE:
            self.warnings.append(f"{where}.{key} is not a boolean, read as {str(word in _TRUE).lower()}")
            return word in _TRUE
        self.warnings.append(f"{where}.{key} is {shorten(value)}, read as {str(default).lower()}")
        return default

    def _mended(self, item: Mapping[str, Any], key: str, where: str, misspelt: Mapping[str, str]) -> str:
        value = self._text(item, key, where)
        # The specification itself spells these wrong, so it is no deviation worth a warning.
        return misspelt.get(value, value)
