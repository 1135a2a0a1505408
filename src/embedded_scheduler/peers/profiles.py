"""How partners differ, as a table of traits: one profile per known kind of node, any trait overridable per partner."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, get_args, get_origin, get_type_hints

from embedded_scheduler.domain.identifiers import shorten
from embedded_scheduler.domain.snapshot import PeerTraits
from embedded_scheduler.errors import InvalidRequest
from embedded_scheduler.sentences import say
from embedded_scheduler.wire.bfia.envelope import AnswerStyle
from embedded_scheduler.wire.bfia.headers import TimestampUnit
from embedded_scheduler.wire.bfia.job import Dialect, JobStyle

StatusAllStyle = Literal["get_query", "post", "get_body"]
SessionStyle = Literal["job", "session_job", "session_task"]


@dataclass(frozen=True, slots=True)
class Profile:
    """Traits of one kind of partner. Every field but `name` is an option of `peer add`."""

    name: str
    success_code: Literal[0, 200] = 200
    """What we answer it on success; 0 and 200 are always accepted from it."""
    dialect: Dialect = "union"
    party_entries: bool = False
    """See `JobStyle`."""
    dataset_reference: Literal["as_is", "all"] = "as_is"
    scalar_parameters: bool = False
    old_job_id: bool = False
    status_all_style: StatusAllStyle = "get_query"
    """How it is asked first; on a refusal of the form the others are tried and what works is remembered."""
    omit_job_status: bool = False
    ready_as_pending: bool = False
    failure_class: bool = True
    """It is told beside FAILED why, as a class (our addition); others may refuse members that they do not know."""
    patient_poll: bool = True
    approval_channel: bool = True
    """It sends and understands `audit_confirm`; otherwise decisions are made at create."""
    callback: bool = True
    """It takes `task/callback`."""
    end_signal: bool = True
    """`job/stop` tells it that a job succeeded; else it asks status_all, and `job/stop` stops what it still runs."""
    coordinates: bool = True
    """It takes `create_all` and `stop_all`."""
    role_style: Literal["bare", "indexed"] = "bare"
    """`guest` or `guest.0` in polls and callbacks."""
    timestamp_unit: TimestampUnit = "ms"
    id_style: Literal["any", "k8s"] = "any"
    """k8s = job and task ids are lower-case DNS names of at most 63 characters."""
    session_style: SessionStyle = "session_job"
    channel_parts: bool = False
    """It takes channel messages in parts; see docs/channel.md."""
    host_header: str = ""
    """Host header of requests to it, `{node_id}` filled in; empty = the host of its address."""
    created_before: str = ""
    """Regular expression: messages of a refused create that mean the same create had arrived before."""
    unknown_job: str = ""
    """Regular expression: messages that mean it knows no such job or task; its code 404 always does."""

    @property
    def peer_traits(self) -> PeerTraits:
        return PeerTraits(approval_channel=self.approval_channel, callback=self.callback, end_signal=self.end_signal)

    @property
    def answer_style(self) -> AnswerStyle:
        return AnswerStyle(
            success_code=self.success_code,
            omit_job_status=self.omit_job_status,
            ready_as_pending=self.ready_as_pending,
            patient_poll=self.patient_poll,
            failure_class=self.failure_class,
        )

    @property
    def job_style(self) -> JobStyle:
        return JobStyle(
            dialect=self.dialect,
            party_entries=self.party_entries,
            dataset_reference=self.dataset_reference,
            scalar_parameters=self.scalar_parameters,
            old_job_id=self.old_job_id,
        )


_EXISTS = r"already exists|duplicate"
"""No text says how a repeated create is answered. Job ids are random: who knows one has been told before."""

PROFILES: Mapping[str, Profile] = {
    profile.name: profile
    for profile in (
        # The control layer v1.0.0 as written, and nodes like this one.
        Profile(name="seed", channel_parts=True),
        # v1.2.0: success 0, status_all by POST, approval moved to the management layer.
        Profile(
            name="official-1.2",
            success_code=0,
            dialect="s0",
            party_entries=True,
            dataset_reference="all",
            status_all_style="post",
            approval_channel=False,
            created_before=_EXISTS,
        ),
        # The older export of v1.0.0: components by code and module_name.
        Profile(name="legacy", dialect="s1", session_style="job", created_before=_EXISTS),
        # FATE-Flow 2.2: reads GETs from a JSON body, has no approval of its own jobs, reports a repeated create as an
        # error of its database.
        Profile(
            name="fate",
            success_code=0,
            party_entries=True,
            dataset_reference="all",
            old_job_id=True,
            status_all_style="get_body",
            approval_channel=False,
            created_before=r"duplicate entry|unique constraint",
        ),
        # Kuscia: poll only, no approval, Kubernetes names, reads nothing but strings in status maps.
        Profile(
            name="kuscia",
            party_entries=True,
            dataset_reference="all",
            scalar_parameters=True,
            omit_job_status=True,
            ready_as_pending=True,
            patient_poll=False,
            failure_class=False,
            approval_channel=False,
            callback=False,
            end_signal=False,
            coordinates=False,
            timestamp_unit="s",
            id_style="k8s",
            session_style="session_task",
            host_header="interconn-scheduler.{node_id}.svc",
            created_before=r"already exists",
            unknown_job=r"does not exist|failed to find the (job|task)",
        ),
    )
}
DEFAULT = PROFILES["seed"]

_HINTS = {name: hint for name, hint in get_type_hints(Profile).items() if name != "name"}
_PATTERNS = ("created_before", "unknown_job")
_HOST = re.compile(r"[A-Za-z0-9.:_-]{0,255}")


def resolve(name: str, options: Mapping[str, Any]) -> Profile:
    """The profile `name` with `options` in place of its traits; `InvalidRequest` says what is not valid and what is."""
    profile = PROFILES.get(name)
    if profile is None:
        raise InvalidRequest(say("no_profile", name=shorten(name), known=", ".join(PROFILES)))
    for option, value in options.items():
        _check(option, value)
    return replace(profile, **options)


def check_profile(name: str, options: Mapping[str, Any]) -> None:
    """`InvalidRequest` when the profile or one of the options is not valid."""
    resolve(name, options)


def option_names() -> tuple[str, ...]:
    return tuple(field.name for field in fields(Profile) if field.name != "name")


def _check(option: str, value: object) -> None:
    hint = _HINTS.get(option)
    if hint is None:
        raise InvalidRequest(say("profile_option", option=shorten(option), known=", ".join(option_names())))
    if get_origin(hint) is Literal:
        choices = get_args(hint)
        # Not `in`: True equals 1 and False equals 0.
        if not any(type(value) is type(choice) and value == choice for choice in choices):
            raise InvalidRequest(
                say("profile_option_one_of", option=option, known=", ".join(map(str, choices)), value=shorten(value))
            )
    elif not isinstance(value, hint):
        raise InvalidRequest(say("profile_option_form", option=option, wanted=_WORDS[hint], value=shorten(value)))
    elif option in _PATTERNS:
        _check_pattern(option, str(value))
    elif option == "host_header":
        _check_host(str(value))


_WORDS = {bool: "true or false", str: "a string"}


def _check_pattern(option: str, value: str) -> None:
    try:
        re.compile(value)
    except re.error as error:
        raise InvalidRequest(say("profile_option_pattern", option=option, error=str(error))) from None


def _check_host(value: str) -> None:
    if not _HOST.fullmatch(value.replace("{node_id}", "")):
        raise InvalidRequest(say("profile_host_header", value=shorten(value)))
