"""Registering a dataset: the kind of source, then a form made from its options."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from algorithm_components.sdk.forms.form import Form
from algorithm_components.sdk.forms.model import Choice
from nodeconsole.screens.base import ConsoleScreen
from nodeconsole.screens.choosing import ChoiceScreen
from nodeconsole.screens.form import FormScreen, Purpose
from nodeconsole.screens.session import Session
from nodeconsole.viewmodels.changes import Changes
from nodeconsole.viewmodels.forms.schema import form_of_schema

if TYPE_CHECKING:
    from embedded_scheduler.wire.console import ConnectorRow

_OWN = ("name", "namespace", "description")
"""Members of the registration; all other fields are the connector's options."""


def _field_of(option: str) -> str:
    """The field of an option; one that is called like a member of the registration keeps apart from it."""
    return f"option.{option}" if option in _OWN else option


def choose_connector(screen: ConsoleScreen, session: Session, connectors: Sequence[ConnectorRow]) -> None:
    described = {row.name: row for row in connectors if row.options}
    if not described:
        session.say(session.text("connectors.none"), "warn")
        return

    def take(names: list[str] | None) -> None:
        if names:
            open_form(screen, session, described[names[0]])

    choices = [Choice(name, str(row.options.get("title", name))) for name, row in described.items()]
    if len(choices) == 1:
        take([choices[0].value])
    else:
        title = session.text("data.which_connector")
        screen.app.push_screen(ChoiceScreen(session, title, choices, [], several=False), take)


def open_form(screen: ConsoleScreen, session: Session, connector: ConnectorRow) -> None:
    text = session.text
    form = Form(form_of_schema(registration_schema(session, connector)))

    async def submit(values: dict[str, Any]) -> bool:
        from embedded_scheduler.wire.console import DatasetRequest  # noqa: PLC0415 - not before it is asked for

        options = {name: values.get(_field_of(name)) for name in connector.options.get("properties", {})}
        request = DatasetRequest(
            name=str(values.get("name", "")),
            namespace=str(values.get("namespace") or ""),
            description=str(values.get("description") or ""),
            connector=connector.name,
            options={key: value for key, value in options.items() if value not in ("", None)},
        )
        row = await session.ask(lambda client: client.add_dataset(request))
        if row is None:
            return False
        session.say(text("data.registered", name=row.dataset_id, rows=row.rows), "ok")
        session.publish(Changes(subjects=frozenset({"dataset"})))
        return True

    purpose = Purpose(
        title=text("data.register_title", connector=connector.name),
        word=text("action.data.register"),
        submit=submit,
        question=text("data.register_question"),
        draft=f"dataset.{connector.name}",
    )
    screen.app.push_screen(FormScreen(session, form, purpose))


def registration_schema(session: Session, connector: ConnectorRow) -> dict[str, Any]:
    """The connector's options, with name, namespace and description around them."""
    text = session.text
    own: dict[str, Any] = {
        name: {
            "type": "string",
            "title": text(f"data.field_{name}"),
            "default": "default" if name == "namespace" else "",
        }
        for name in _OWN
    }
    options = {_field_of(name): part for name, part in connector.options.get("properties", {}).items()}
    required = [_field_of(name) for name in connector.options.get("required", ())]
    return {
        "title": str(connector.options.get("title", connector.name)),
        "type": "object",
        "required": ["name", *required],
        "properties": {
            "name": own["name"],
            **options,
            "namespace": own["namespace"],
            "description": own["description"],
        },
    }
