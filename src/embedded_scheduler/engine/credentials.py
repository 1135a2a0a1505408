"""The tokens that count, in memory: a request is judged without the database."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass

from embedded_scheduler.security.secrets import is_kept, kept_of
from embedded_scheduler.store.tokens import Token

PREFIX = "nct"
IMPORTED = "platform.token"
"""Id and name of the token that an older version kept in a file of that name; it has no id in itself."""
ALL = "all"
SCOPES = ("jobs:read", "jobs:write", "components:write", "logs:read", ALL)


@dataclass(frozen=True, slots=True)
class Fresh:
    """A new token: `text` is shown to its owner once, `hash` is kept."""

    token_id: str
    text: str
    hash: str


def fresh() -> Fresh:
    """`nct_<id>_<256 random bits>`; the id alone opens nothing."""
    token_id = secrets.token_hex(6)
    text = f"{PREFIX}_{token_id}_{secrets.token_urlsafe(32)}"
    return Fresh(token_id, text, kept_of(text))


class Credentials:
    """Which shown token is whose. Fed by `replace`; belongs to the event loop."""

    def __init__(self, tokens: Iterable[Token] = ()) -> None:
        self._tokens: dict[str, Token] = {}
        self._used: dict[str, int] = {}
        self.replace(tokens)

    def replace(self, tokens: Iterable[Token]) -> None:
        """From now on these alone count."""
        self._tokens = {token.token_id: token for token in tokens if token.revoked_ms is None}

    def holder(self, shown: str, now_ms: int) -> Token | None:
        """The valid token that was shown; None for an unknown, revoked or expired one. Notes its use."""
        token = self._tokens.get(_token_id(shown))
        # An unknown id costs the same comparison as a wrong secret behind a known one.
        known = token.hash if token is not None else "0" * 64
        same = is_kept(shown, known)
        if token is None or not same or (token.expires_ms is not None and token.expires_ms <= now_ms):
            return None
        self._used[token.token_id] = now_ms
        return token

    @property
    def uses(self) -> dict[str, int]:
        """Token id → when it was last used (epoch ms), as far as that was not yet `stored`."""
        return dict(self._used)

    def stored(self, uses: dict[str, int]) -> None:
        """These uses are in the database; a later use of the same token is still to be stored."""
        for token_id, at_ms in uses.items():
            if self._used.get(token_id) == at_ms:
                del self._used[token_id]


def allows(token: Token, scope: str) -> bool:
    return ALL in token.scopes or scope in token.scopes


def _token_id(shown: str) -> str:
    prefix, _, rest = shown.partition("_")
    if prefix != PREFIX:
        return IMPORTED
    return rest.partition("_")[0]
