"""What was typed into forms and not submitted yet."""

from __future__ import annotations

from collections.abc import Mapping


class Drafts:
    """By name, as long as the console runs."""

    def __init__(self) -> None:
        self._kept: dict[str, dict[str, str]] = {}

    def get(self, name: str) -> Mapping[str, str]:
        return self._kept.get(name, {})

    def put(self, name: str, draft: Mapping[str, str]) -> None:
        """An empty draft is none."""
        if draft:
            self._kept[name] = dict(draft)
        else:
            self.drop(name)

    def drop(self, name: str) -> None:
        self._kept.pop(name, None)
