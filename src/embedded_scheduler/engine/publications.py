"""Use cases around published datasets: what partners may see of ours, and what they show us."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from embedded_scheduler.domain.identifiers import check_id, shorten
from embedded_scheduler.engine.agreements import contract_with
from embedded_scheduler.engine.context import Engine
from embedded_scheduler.engine.ports import Delivery, Outgoing
from embedded_scheduler.errors import InvalidRequest, NotFound, Unavailable
from embedded_scheduler.sentences import say
from embedded_scheduler.spi.connector import Column
from embedded_scheduler.store import datasets, ledger, publications
from embedded_scheduler.store.database import Reader, Tx
from embedded_scheduler.store.datasets import Dataset
from embedded_scheduler.store.publications import Publication

ACCESS = ("approval", "permit")
_LONGEST_DESCRIPTION = 2000
_LONGEST_CATEGORY = 128


@dataclass(frozen=True, slots=True)
class Shown:
    """A published dataset with what may be seen of it; `dataset` is None when it is not registered any more."""

    publication: Publication
    dataset: Dataset | None

    @property
    def columns(self) -> tuple[Column, ...]:
        if self.dataset is None:
            return ()
        wanted = self.publication.columns
        return tuple(column for column in self.dataset.columns if not wanted or column.name in wanted)

    @property
    def description(self) -> str:
        return self.publication.description or (self.dataset.description if self.dataset else "")


async def publish(
    engine: Engine,
    namespace: str,
    name: str,
    *,
    access: str,
    audience: Sequence[str],
    columns: Sequence[str],
    description: str,
    category: str,
    actor: str,
) -> Shown:
    """Let partners see a dataset; again replaces what was said before. `InvalidRequest` names the fault."""
    if access not in ACCESS:
        raise InvalidRequest(say("publication_access", known=" or ".join(ACCESS), value=shorten(access)))
    if len(description) > _LONGEST_DESCRIPTION or len(category) > _LONGEST_CATEGORY:
        raise InvalidRequest(say("publication_size", description=_LONGEST_DESCRIPTION, category=_LONGEST_CATEGORY))
    for node_id in audience:
        check_id("node id", node_id)
        if not engine.directory.knows(node_id):
            raise InvalidRequest(say("not_a_partner", node=shorten(node_id)))

    def work(tx: Tx) -> Shown:
        dataset = datasets.get(tx, namespace, name)
        if dataset is None:
            raise NotFound(say("dataset_not_registered", dataset=shorten(f"{namespace}#{name}")))
        known = {column.name for column in dataset.columns}
        if missing := [column for column in columns if column not in known]:
            raise InvalidRequest(say("no_column", dataset=dataset.dataset_id, column=shorten(missing[0])))
        stored = publications.put(
            tx,
            namespace=namespace,
            name=name,
            access=access,
            audience=tuple(dict.fromkeys(audience)),
            columns=tuple(dict.fromkeys(columns)),
            description=description,
            category=category,
            published_by=actor,
        )
        ledger.append(
            tx,
            subject="dataset",
            subject_id=stored.dataset_id,
            event="dataset.published",
            actor=actor,
            data={"access": access, "audience": list(stored.audience), "columns": list(stored.columns)},
        )
        return Shown(stored, dataset)

    return await engine.db.write(work)


async def unpublish(engine: Engine, namespace: str, name: str, *, actor: str) -> None:
    """Partners see the dataset no more; what was granted, and what a job needs, stay. `NotFound` if nobody sees it."""

    def work(tx: Tx) -> None:
        before = publications.get(tx, namespace, name)
        if before is None or not publications.hide(tx, namespace, name):
            raise NotFound(say("dataset_not_published", dataset=shorten(f"{namespace}#{name}")))
        ledger.append(tx, subject="dataset", subject_id=before.dataset_id, event="dataset.unpublished", actor=actor)

    await engine.db.write(work)


async def listing(engine: Engine) -> list[Shown]:
    """Everything published, for whomever."""
    return await engine.db.read(_all)


def _all(reader: Reader) -> list[Shown]:
    return [Shown(found, datasets.get(reader, found.namespace, found.name)) for found in publications.all(reader)]


async def visible(engine: Engine, node_id: str, contract_id: str) -> list[Shown]:
    """What a partner may see. `Forbidden` without an approved contract."""

    def look(reader: Reader) -> list[Shown]:
        contract_with(reader, node_id, contract_id)
        return [shown for shown in _all(reader) if shown.dataset is not None and shown.publication.is_for(node_id)]

    return await engine.db.read(look)


async def visible_one(engine: Engine, node_id: str, contract_id: str, dataset_id: str) -> Shown:
    """One dataset that a partner may see; `NotFound` for every other."""
    for shown in await visible(engine, node_id, contract_id):
        if shown.publication.dataset_id == dataset_id:
            return shown
    raise NotFound(say("dataset_not_shown", dataset=shorten(dataset_id)))


def is_visible(reader: Reader, node_id: str, dataset_id: str) -> bool:
    """Whether a partner may see, and so ask for, a dataset."""
    namespace, _, name = dataset_id.partition("#")
    found = publications.get(reader, namespace, name)
    return found is not None and found.is_for(node_id) and datasets.get(reader, namespace, name) is not None


async def of_partner(engine: Engine, node_id: str) -> Mapping[str, Any]:
    """What a partner shows this node now: the data of its answer (`records`, `total`). `Unavailable` says why not."""
    contract = await engine.db.read(lambda reader: contract_with(reader, node_id))
    call = Outgoing(
        node_id,
        "dataset/pub/list",
        {"contract_id": contract.contract_id, "page_num": 1, "page_size": -1},
        engine.mint.nonce(),
        engine.mint.nonce(),
    )
    reply = await engine.gateway.call(call)
    if reply.delivery is not Delivery.OK:
        raise Unavailable(reply.error)
    return reply.data
