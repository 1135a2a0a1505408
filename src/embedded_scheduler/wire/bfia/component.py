"""Registering a component (control layer §5.8, §6.1)."""

from __future__ import annotations

from typing import Annotated

from pydantic import StringConstraints

from embedded_scheduler.wire.bfia.message import Message, Open


class ComponentInfo(Open):
    """§6.1: the identity is checked here; the rest, which even official samples get wrong, by the registry."""

    componentName: Annotated[str, StringConstraints(min_length=1, max_length=128)]
    provider: Annotated[str, StringConstraints(min_length=1, max_length=128)]
    version: Annotated[str, StringConstraints(min_length=1, max_length=64)]


class RegisterComponent(Message):
    """§5.8"""

    imageUrl: Annotated[str, StringConstraints(min_length=1, max_length=2048, strip_whitespace=True)]
    component_info: ComponentInfo
