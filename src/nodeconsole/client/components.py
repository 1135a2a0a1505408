"""Components, and what forms offer to choose from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from embedded_scheduler.wire.console import (
    ChoiceList,
    ChoiceRow,
    ComponentCheck,
    ComponentRequest,
    ComponentRow,
    ComponentState,
    PartnerComponentRow,
)
from nodeconsole.client.calls import Calls, body_of, path_of


class ComponentCalls(Calls):
    async def components(self) -> list[ComponentRow]:
        return await self._list(ComponentRow, "/components", "components")

    async def component(self, provider: str, name: str, version: str) -> ComponentRow:
        return await self._get(ComponentRow, path_of("components", provider, name, version))

    async def register_component(
        self, image_url: str, manifest: Mapping[str, Any], runner: str | None = None
    ) -> ComponentRow:
        """`runner`: the one that is to run it; "" = the node's rules decide, None = as it was registered before."""
        request = ComponentRequest(imageUrl=image_url, component_info=dict(manifest), runner=runner)
        return await self._send(ComponentRow, "POST", "/components", request.model_dump())

    async def check_component(
        self, image_url: str, manifest: Mapping[str, Any], runner: str | None = None
    ) -> ComponentCheck:
        """What registering it would be; an empty address is not looked at."""
        request = ComponentRequest(imageUrl=image_url, component_info=dict(manifest), runner=runner)
        return await self._send(ComponentCheck, "POST", "/components/check", request.model_dump())

    async def set_component_enabled(
        self, provider: str, name: str, version: str, *, enabled: bool, reason: str = ""
    ) -> ComponentRow:
        """A disabled component stays registered; jobs that need it are refused."""
        path = path_of("components", provider, name, version, "enable" if enabled else "disable")
        return await self._send(ComponentRow, "POST", path, body_of(ComponentState, reason=reason))

    async def partner_components(self, node_id: str) -> list[PartnerComponentRow]:
        """What a partner says it has, asked now."""
        return await self._list(PartnerComponentRow, path_of("peers", node_id, "components"), "components")

    async def choices(self, provider: str, filled: Mapping[str, str]) -> list[ChoiceRow]:
        """What a provider of the node offers, given what stands in the form."""
        return (await self._get(ChoiceList, path_of("providers", provider), filled)).choices

    async def remove_component(self, provider: str, name: str, version: str) -> None:
        await self._delete(path_of("components", provider, name, version))
