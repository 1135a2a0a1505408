"""Rows of a list taken along: copied as one likes, or all of them saved as a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from nodeconsole.screens.saving import save
from nodeconsole.screens.strips import Strip
from nodeconsole.viewmodels.listing import as_csv, as_json, as_text
from nodeconsole.viewmodels.text import count

if TYPE_CHECKING:
    from nodeconsole.screens.listing import ListingScreen

T = TypeVar("T")


def offer_copies(screen: ListingScreen[T]) -> None:
    """The next key says what of the marked rows, or of the one under the cursor, is copied."""
    row = screen.main.item
    if row is None:
        return
    display, listing, text = screen.session.display(), screen.listing, screen.session.text
    rows = screen.marked or [row]
    copies = {
        "c": (text("copy.id"), lambda: "\n".join(listing.key(each) for each in rows)),
        "n": (text("copy.name"), lambda: "\n".join(listing.title(each) or listing.key(each) for each in rows)),
        "r": (text("copy.row"), lambda: "\n".join(as_text(each, listing, screen.view, display) for each in rows)),
        "j": (text("copy.json"), lambda: as_json(rows, listing, display)),
    }
    if listing.link(row) is not None:
        copies["l"] = (text("copy.link"), lambda: "\n".join(listing.link(each) for each in rows))

    def chosen(key: str) -> None:
        screen.console.copy(copies[key][1](), copies[key][0])

    screen.offer(Strip(text("copy.title"), {key: word for key, (word, _) in copies.items()}, chosen))


async def save_rows(screen: ListingScreen[T], path: Path) -> None:
    """All that fit the filter: as JSON where the name ends so, else as CSV."""
    display, listing = screen.session.display(), screen.listing
    rows = await screen.all_rows()
    if path.suffix.lower() == ".json":
        content = as_json(rows, listing, display)
    else:
        content = as_csv(rows, listing, screen.view, display)
    await save(screen.session, path, content, screen.session.text("saving.rows_done", n=count(len(rows)), path=path))
