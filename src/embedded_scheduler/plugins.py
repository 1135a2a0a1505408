"""Finds runners, storages, connectors and the built-in components' self-descriptions.

A plug-in of another package registers an entry point in the group `embedded_scheduler.runners`,
`embedded_scheduler.connectors` or `embedded_scheduler.storages`: a callable that takes the node's `Home` and `Settings`
and returns an object that fulfils the contract in `embedded_scheduler.spi`. What comes with the node needs no installed
metadata, so it is there in a source checkout and in the standalone executable too.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar, cast

from embedded_scheduler.config import Settings
from embedded_scheduler.connectors.csv import CsvConnector
from embedded_scheduler.connectors.json import JsonConnector
from embedded_scheduler.connectors.parquet import ParquetConnector
from embedded_scheduler.connectors.sqlite import SqliteConnector
from embedded_scheduler.domain.identifiers import shorten
from embedded_scheduler.errors import InvalidRequest
from embedded_scheduler.home import Home
from embedded_scheduler.runners.container import ContainerRunner
from embedded_scheduler.runners.kubernetes import KubernetesRunner
from embedded_scheduler.runners.kubernetes_api import KubernetesApi
from embedded_scheduler.runners.kubernetes_manifest import PodSettings
from embedded_scheduler.runners.process import ProcessRunner
from embedded_scheduler.runners.ray import RayCluster, RayRunner
from embedded_scheduler.runners.ray_api import RayApi
from embedded_scheduler.runners.sandbox import choose
from embedded_scheduler.spi.connector import Connector
from embedded_scheduler.spi.runner import Outlook, Runner
from embedded_scheduler.spi.storage import Storage
from embedded_scheduler.storage.local import LocalStorage
from embedded_scheduler.storage.s3 import Place, S3Storage

_LOG = logging.getLogger(__name__)

_OWN = "embedded_scheduler."
_COMPONENTS = "algorithm_components"

P = TypeVar("P", Runner, Connector)


def runners(home: Home, settings: Settings) -> dict[str, Runner]:
    """By name, the node's own first."""
    own: dict[str, Runner] = {}
    contained = choose(settings.components.sandbox, home.path, settings.components.readable)
    process = ProcessRunner(
        home.runs, allow_exec=settings.components.allow_exec, containment=contained, packs=home.packs
    )
    own[process.name] = process
    container = ContainerRunner(
        home.runs, settings.container, node_id=settings.node_id, home=home.path, images=home.images
    )
    own[container.name] = container
    if settings.ray.address:
        own[RayRunner.name] = _ray(home, settings)
    if settings.kubernetes.kubeconfig:
        own[KubernetesRunner.name] = _kubernetes(home, settings)
    return _with_installed("embedded_scheduler.runners", own, home, settings)


def _ray(home: Home, settings: Settings) -> Runner:
    ray = settings.ray
    cluster = RayCluster(
        RayApi(ray.address, token_file=_path(ray.token_file), ca_file=_path(ray.ca_file)),
        settings.node_id,
        python=ray.python,
        resources=ray.resources,
        files=_path(ray.files),
        grace_s=settings.timing.stop_grace,
    )
    return RayRunner(
        home.runs,
        cluster,
        allow_exec=settings.components.allow_exec,
        patience_s=ray.patience,
        outlook=Outlook(ray.node_address or settings.platform.reached_at, ray.storage),
    )


def _kubernetes(home: Home, settings: Settings) -> Runner:
    given = settings.kubernetes
    pods = PodSettings(
        settings.node_id,
        grace_s=settings.timing.stop_grace,
        claim=given.claim,
        mount=given.storage.removeprefix("file://"),
        service_account=given.service_account,
        pull_secrets=given.pull_secrets,
        node_selector=given.node_selector,
    )
    return KubernetesRunner(
        home.runs,
        KubernetesApi(given.kubeconfig, given.context, given.namespace),
        pods,
        allow=given.allow,
        patience_s=given.patience,
        start_patience_s=given.start_patience,
        outlook=Outlook(given.node_address or settings.platform.reached_at, given.storage),
    )


def _path(text: str) -> Path | None:
    return Path(text).expanduser() if text else None


def connectors(home: Home, settings: Settings) -> dict[str, Connector]:
    own: dict[str, Connector] = {
        each.name: each for each in (CsvConnector(), ParquetConnector(), JsonConnector(), SqliteConnector())
    }
    return _with_installed("embedded_scheduler.connectors", own, home, settings)


def storage(home: Home, settings: Settings, reveal: Callable[[str], Awaitable[str]]) -> Storage:
    """The storage that the settings choose; `reveal` opens a secret of the node. `InvalidRequest` if there is none."""
    chosen = settings.storage
    if chosen.driver == "local":
        return LocalStorage(home.storage)
    if chosen.driver == "s3":
        place = Place(
            chosen.endpoint,
            bucket=chosen.bucket,
            region=chosen.region,
            virtual_host=chosen.style == "virtual",
            layout=chosen.layout,
        )
        return S3Storage(place, chosen.secret, partial(reveal, chosen.secret))
    for entry in entry_points(group="embedded_scheduler.storages", name=chosen.driver):
        factory = cast("Callable[[Home, Settings], Storage]", entry.load())
        return factory(home, settings)
    raise InvalidRequest(f"{home.settings_file}: storage.driver: there is no storage {shorten(chosen.driver)} here")


def builtin_manifests() -> list[Mapping[str, Any]]:
    """Self-descriptions of the components that come with the program, found without importing them."""
    spec = find_spec(_COMPONENTS)
    folders = [Path(entry) for entry in (spec.submodule_search_locations or ())] if spec is not None else []
    files = sorted(file for folder in folders for file in folder.glob("*/manifest.json"))
    return [json.loads(file.read_text("utf-8")) for file in files]


def _with_installed(group: str, own: dict[str, P], home: Home, settings: Settings) -> dict[str, P]:
    """`own`, then what other packages bring; one that cannot be loaded is left out and said so in the log."""
    found = dict(own)
    for entry in entry_points(group=group):
        if entry.name in found or entry.value.startswith(_OWN):
            continue
        try:
            factory = cast("Callable[[Home, Settings], P]", entry.load())
            plugin = factory(home, settings)
            found[plugin.name] = plugin
        except Exception:  # noqa: BLE001 - a plug-in may fail in any way; the node works without it
            _LOG.exception("plug-in %s of %s cannot be used", entry.name, entry.value)
    return found
