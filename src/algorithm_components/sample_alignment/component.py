"""Sample alignment: which rows do two parties have in common (private set intersection)?"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from algorithm_components.sample_alignment.masking import Masker, fresh_key
from algorithm_components.sample_alignment.protocol import MOST_ITEMS, RESULT_TO, SUITE, Exchange, Hello, greet
from algorithm_components.sample_alignment.workspace import Loaded, Workspace
from algorithm_components.sdk.channel import Channel
from algorithm_components.sdk.environment import ComponentError, Environment
from algorithm_components.sdk.log import say
from algorithm_components.sdk.report import Progress, write_report
from algorithm_components.sdk.report_form import Report
from algorithm_components.sdk.tables import Tables

_INLINE_ITEMS = 4096
"""Up to this many points in all, starting processes takes longer than computing."""

_OTHER_ROLE = {"guest": "host", "host": "guest"}


def main() -> int:
    """Exit code of the run: 0, or 1 with the reason as the last log line."""
    try:
        run(Environment())
    except ComponentError as error:
        say(f"error: {error}")
        return 1
    return 0


def run(environment: Environment) -> None:
    """Align; `ComponentError` says why that is not possible."""
    _Alignment(environment).run()


@dataclass(frozen=True, slots=True)
class _Settings:
    id_column: str
    result_to: str
    keep_duplicates: bool
    batch_size: int
    workers: int


def _settings(environment: Environment) -> _Settings:
    return _Settings(
        id_column=environment.text("id", "id"),
        result_to=environment.choice("result_to", RESULT_TO, "all"),
        keep_duplicates=environment.choice("duplicates", ("keep", "refuse"), "keep") == "keep",
        batch_size=environment.integer("batch_size", 4096, least=1, most=65536),
        workers=environment.integer("workers", 0, least=0, most=256) or environment.threads,
    )


def _other_party(environment: Environment) -> str:
    wanted = _OTHER_ROLE.get(environment.self_role)
    if wanted is None:
        raise ComponentError(
            f"sample alignment is between a guest and a host; {environment.self_party} has no part in it: "
            "name this task in the task_params of those two"
        )
    own = [party for party in environment.parties if party.startswith(f"{environment.self_role}.")]
    others = [party for party in environment.parties if party.startswith(f"{wanted}.")]
    if len(own) != 1 or len(others) != 1:
        raise ComponentError(f"sample alignment needs one guest and one host (got {len(own) + len(others)} parties)")
    return others[0]


class _Alignment:
    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._settings = _settings(environment)
        self._peer = _other_party(environment)
        self._tables = Tables.of(environment)
        self._learns = self._settings.result_to in ("all", environment.self_role)
        self._tells = self._settings.result_to in ("all", _OTHER_ROLE[environment.self_role])
        self._seconds: dict[str, float] = {}

    def run(self) -> None:
        settings = self._settings
        say(f"aligning {self._environment.self_party} with {self._peer} by {settings.id_column!r} ({SUITE})")
        with Workspace() as workspace:
            started = time.monotonic()
            header, loaded = self._load(workspace)
            started = self._lap("read", started)
            peer_items = self._exchange(workspace, loaded.items)
            started = self._lap("exchange", started)
            common = workspace.match() if self._learns else None
            started = self._lap("match", started)
            written = self._write(workspace, header)
            self._lap("write", started)
        if common is None:
            say("done; the result goes to the other party alone")
        else:
            say(f"done: {common} of {loaded.items} own identifiers are common, {written} rows")
        self._report(loaded, peer_items, common, written)

    def _load(self, workspace: Workspace) -> tuple[tuple[str, ...], Loaded]:
        with self._tables.read(self._environment.dataset()) as table:
            loaded = workspace.load(table, table.column(self._settings.id_column))
            header = table.header
        say(f"{loaded.rows} rows, {loaded.items} different identifiers")
        if loaded.empty:
            say(f"warning: {loaded.empty} rows have no identifier and are left out")
        if loaded.repeated:
            if not self._settings.keep_duplicates:
                raise ComponentError(f"{loaded.repeated} rows repeat an identifier and duplicates=refuse")
            say(f"warning: {loaded.repeated} rows repeat an identifier; all rows of a common one are kept")
        if loaded.items > MOST_ITEMS:
            raise ComponentError(f"{loaded.items} identifiers are more than the protocol's {MOST_ITEMS}")
        return header, loaded

    def _exchange(self, workspace: Workspace, items: int) -> int:
        own = Hello(items=items, result_to=self._settings.result_to)
        with Channel(self._environment) as channel:
            peer = greet(channel, self._peer, own)
            say(f"{self._peer} has {peer.items} different identifiers")
            workers = self._settings.workers if items + peer.items > _INLINE_ITEMS else 0
            with Masker(fresh_key(), workers) as masker:
                exchange = Exchange(
                    channel=channel,
                    peer=self._peer,
                    masker=masker,
                    workspace=workspace,
                    own_items=items,
                    peer_items=peer.items,
                    batch_size=self._settings.batch_size,
                    learns=self._learns,
                    tells=self._tells,
                )
                exchange.run(
                    Progress("own identifiers masked", items), Progress("the other party's masked", peer.items)
                )
        return peer.items

    def _write(self, workspace: Workspace, header: tuple[str, ...]) -> int:
        address = self._environment.outputs.get("intersection")
        if address is None:
            say("the flow declares no output for the intersection: it is not stored")
            return 0
        return self._tables.write(address, header, workspace.common_rows() if self._learns else ())

    def _report(self, loaded: Loaded, peer_items: int, common: int | None, written: int) -> None:
        address = self._environment.outputs.get("report")
        if address is None:
            return
        content: dict[str, Any] = {
            "component": "sample_alignment",
            "suite": SUITE,
            "party": self._environment.self_party,
            "other_party": self._peer,
            "result_to": self._settings.result_to,
            "own_rows": loaded.rows,
            "own_identifiers": loaded.items,
            "rows_without_identifier": loaded.empty,
            "rows_repeating_an_identifier": loaded.repeated,
            "other_party_identifiers": peer_items,
            "common_identifiers": common,
            "rows_written": written,
            "seconds": {name: round(value, 3) for name, value in self._seconds.items()},
        }
        shown = Report("Sample alignment", f"{self._environment.self_party} and {self._peer}, {SUITE}")
        shown.scalar("own_identifiers", loaded.items, title="Own identifiers")
        shown.scalar("other_party_identifiers", peer_items, title="Identifiers of the other party")
        shown.scalar("common_identifiers", common, title="Common identifiers")
        shown.scalar("rows_written", written, title="Rows of the result")
        shown.table("seconds", ["step", {"name": "seconds", "type": "number"}], list(content["seconds"].items()))
        write_report(self._tables, address, {**shown.document(), **content})

    def _lap(self, name: str, started: float) -> float:
        now = time.monotonic()
        self._seconds[name] = now - started
        return now
