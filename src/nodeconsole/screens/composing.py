"""How one begins to compose a job."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from textual.app import App

from algorithm_components.sdk.forms.model import Choice
from nodeconsole.screens.base import ConsoleScreen
from nodeconsole.screens.choosing import ChoiceScreen
from nodeconsole.screens.compose import ComposeScreen
from nodeconsole.screens.compositions import fresh, kept_draft, read_composition
from nodeconsole.screens.session import Session
from nodeconsole.viewmodels.composer.composition import Composition
from nodeconsole.viewmodels.text import printable, short_id

if TYPE_CHECKING:
    from embedded_scheduler.wire.console import JobRow


def ask_new(screen: ConsoleScreen, session: Session, job: JobRow | None) -> None:
    """A new job: empty, like the one under the cursor, or what was not finished last time."""
    text = session.text
    draft = kept_draft(session)
    choices = [Choice("empty", text("compose.from_empty"))]
    if job is not None:
        name = f"{job.flow_id} {short_id(job.job_id)}".strip()
        choices.insert(0, Choice("job", text("compose.from_job", job=printable(name))))
    if draft is not None:
        choices.insert(0, Choice("draft", text("compose.from_draft")))

    async def like(job_id: str) -> None:
        detail = await session.ask(lambda client: client.job(job_id))
        if detail is not None:
            screen.app.push_screen(ComposeScreen(session, Composition(detail.spec)))

    def take(chosen: list[str] | None) -> None:
        if not chosen:
            return
        if chosen[0] == "job" and job is not None:
            screen.run_worker(like(job.job_id), group="compose", exclusive=True)
        elif chosen[0] == "draft":
            screen.run_worker(open_composer(screen.app, session), group="compose", exclusive=True)
        else:
            screen.app.push_screen(ComposeScreen(session, fresh(session)))

    if len(choices) == 1:
        take(["empty"])
    else:
        screen.app.push_screen(ChoiceScreen(session, text("compose.which_start"), choices, (), values=False), take)


async def open_composer(app: App[Any], session: Session, path: Path | None = None) -> None:
    """With a job file, else with what was not finished last time, else empty."""
    if path is not None:
        composition = await read_composition(session, path)
        if composition is not None:
            app.push_screen(ComposeScreen(session, composition, path))
        return
    draft = kept_draft(session)
    if draft is not None:
        session.say(session.text("compose.restored"), "dim")
    app.push_screen(ComposeScreen(session, draft if draft is not None else fresh(session)))
