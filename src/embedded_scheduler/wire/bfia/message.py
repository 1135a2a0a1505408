"""Base of the BFIA messages and the field types they share (control layer §3 to §5)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, StringConstraints, ValidationError

from embedded_scheduler.domain.identifiers import shorten
from embedded_scheduler.errors import InvalidRequest


class Message(BaseModel):
    """Unknown members are ignored; numbers where a string is due are taken as their text."""

    model_config = ConfigDict(
        extra="ignore", frozen=True, coerce_numbers_to_str=True, hide_input_in_errors=True, defer_build=True
    )


class Open(Message):
    """A message part whose unknown members are kept: it only checks shapes, the raw member travels on."""

    model_config = ConfigDict(extra="allow")


def _no_dots(value: str) -> str:
    if value in (".", ".."):
        raise ValueError("must not be . or ..")
    return value


def _empty_for_null(value: object) -> object:
    return "" if value is None else value


def upper(value: object) -> object:
    """For `BeforeValidator`: a word in the specification's spelling, whatever case it was sent in."""
    return value.strip().upper() if isinstance(value, str) else value


Identifier = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.:-]{1,128}$"), AfterValidator(_no_dots)]
"""job_id, task_id: what every known implementation generates (digits, uuid4, `job-…`, `task_…`)."""
InstanceName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,128}$")]
"""task_name: a component's `name` in the DAG."""
OptionalInstanceName = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{0,128}$"), BeforeValidator(_empty_for_null)
]
OptionalText = Annotated[str, StringConstraints(max_length=256), BeforeValidator(_empty_for_null)]
Role = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.]{0,64}$"), BeforeValidator(_empty_for_null)]
"""`guest`, `guest.0`, any case; empty or null = every role of the node."""
Word = Annotated[str, StringConstraints(min_length=1, max_length=32, strip_whitespace=True, to_upper=True)]
"""A status word, upper-cased."""

M = TypeVar("M", bound=BaseModel)


def validate(model: type[M], members: Mapping[str, Any]) -> M:
    """`members` as a message; `InvalidRequest` names the first faulty field in one line."""
    try:
        return model.model_validate(members)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        raise InvalidRequest(f"{_path(first['loc'])}: {first['msg']}") from None


def _path(location: tuple[int | str, ...]) -> str:
    text = ""
    for part in location:
        if isinstance(part, int):
            text += f"[{part}]"
        elif part.isascii() and part.isprintable() and len(part) <= 64:
            text += f".{part}" if text else part
        else:
            text += f".{shorten(part)}" if text else shorten(part)
    return text or "the body"
