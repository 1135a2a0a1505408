"""What is asked of an engine for a container, over the engines that there are."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

import pytest

from embedded_scheduler.errors import Refused
from embedded_scheduler.runners.confinement import HOST_NETWORK, Confinement, Route, container_name
from embedded_scheduler.runners.engine_api import EngineFacts
from embedded_scheduler.spi.runner import LaunchSpec, Limits

ROOTFUL = EngineFacts("Docker", "27.0", memory=True, cpu=True, cpuset=True, pids=True)
SPEC = LaunchSpec("job:1", "psi", {"config.token": "t", "a.b": "x=y"}, Path("/runs/job:1"), Path("/logs/j.log"))


def _host(confinement: Confinement, spec: LaunchSpec = SPEC) -> dict[str, object]:
    found = confinement.body(spec, confinement.routes(spec), {}, {})["HostConfig"]
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize(
    ("facts", "user", "namespace"),
    [
        (ROOTFUL, f"{os.geteuid()}:{os.getegid()}", ""),
        (replace(ROOTFUL, rootless=True), "0:0", ""),
        (replace(ROOTFUL, remapped=True), f"{os.geteuid()}:{os.getegid()}", "host"),
    ],
)
def test_the_user_inside_is_the_one_who_owns_the_results(facts: EngineFacts, user: str, namespace: str) -> None:
    body = Confinement(facts).body(SPEC, [], {}, {})
    assert (body["User"], body["HostConfig"]["UsernsMode"]) == (user, namespace)


def test_rootless_podman_keeps_the_number_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    body = Confinement(EngineFacts("Podman", "5.0", rootless=True)).body(SPEC, [], {}, {})
    assert (body["User"].partition(":")[0], body["HostConfig"]["UsernsMode"]) == ("1000", "keep-id")


def test_memory_is_limited_by_control_groups_or_else_by_address_space() -> None:
    spec = replace(SPEC, limits=Limits(memory_bytes=1 << 30))
    grouped, plain = _host(Confinement(ROOTFUL), spec), _host(Confinement(replace(ROOTFUL, memory=False)), spec)
    assert (grouped["Memory"], grouped["MemorySwap"]) == (1 << 30, 1 << 30)
    assert {"Name": "as", "Soft": 1 << 30, "Hard": 1 << 30} in plain["Ulimits"]  # type: ignore[operator]
    assert "Memory" not in plain


def test_names_are_found_at_loopback_addresses_of_their_own() -> None:
    spec = replace(SPEC, node_address="[::1]:9381", reaches=("storage.example:9000", "10.0.0.5:9000", "localhost:1"))
    confinement = Confinement(ROOTFUL)
    assert confinement.routes(spec) == [
        Route("::1", 9381, "[::1]:9381"),
        Route("127.77.0.2", 9000, "storage.example:9000"),
        Route("10.0.0.5", 9000, "10.0.0.5:9000"),
        Route("127.0.0.1", 1, "localhost:1"),
    ]
    assert _host(confinement, spec)["ExtraHosts"] == ["storage.example:127.77.0.2"]


def test_the_machines_network_needs_no_routes() -> None:
    confinement = Confinement(ROOTFUL, HOST_NETWORK)
    assert confinement.routes(replace(SPEC, node_address="127.0.0.1:9381")) == []
    assert _host(confinement)["NetworkMode"] == "host"


def test_an_address_that_cannot_be_given_to_a_container_is_refused() -> None:
    with pytest.raises(Refused, match="IPv6"):
        Confinement(ROOTFUL).routes(replace(SPEC, reaches=("[2001:db8::1]:9000",)))


def test_names_of_containers_are_those_of_the_engines_grammar_and_differ_by_node() -> None:
    names = {container_name(node, Path(home), "job:1/ä") for node in ("a", "b") for home in ("/x", "/y")}
    assert len(names) == 4
    assert all(re.fullmatch("[A-Za-z0-9][A-Za-z0-9_.-]+", name) for name in names)


PODMAN = replace(ROOTFUL, product="Podman")


@pytest.mark.parametrize("name", ["a,src=/etc,target=/x", "a,U=true", "a,rw", 'a"b', "customers, 2024"])
def test_a_name_with_a_comma_is_no_option_of_podmans_mount(name: str) -> None:
    inside, held = Path("/storage/own") / name, Path("/runs/job/inputs/0")
    spec = replace(SPEC, run_directory=Path("/runs/job"))
    host = Confinement(PODMAN).body(spec, [], {inside: held}, {})["HostConfig"]
    assert host["Binds"] == [f"{held}:{inside}:ro"]
    assert not any("," in mount["Source"] + mount["Target"] for mount in host["Mounts"])
    docker = Confinement(ROOTFUL).body(spec, [], {inside: held}, {})["HostConfig"]
    assert docker["Binds"] == []
    assert {"Type": "bind", "Source": str(held), "Target": str(inside), "ReadOnly": True} in docker["Mounts"]


def test_a_name_that_podman_cannot_be_told_is_refused() -> None:
    reads = {Path("/storage/job:1-guest-0/a,b"): Path("/runs/job/inputs/0")}
    with pytest.raises(Refused, match="colon or a comma"):
        Confinement(PODMAN).body(SPEC, [], reads, {})
    Confinement(ROOTFUL).body(SPEC, [], reads, {})
