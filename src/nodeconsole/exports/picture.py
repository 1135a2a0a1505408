"""A report as one picture: its figures on top, its curves beneath one another. Needs Pillow (`nodeconsole[png]`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from embedded_scheduler.extras import how_to_get
from nodeconsole.exports.axes import ticks
from nodeconsole.exports.colours import SERIES
from nodeconsole.exports.forms import About, ExportError
from nodeconsole.viewmodels.plots import Frame, Points, frame_of
from nodeconsole.viewmodels.report import named, number

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont, ImageFont

_WIDTH, _PLOT = 1280, 520
_MARGIN, _LEFT, _BOTTOM = 32, 110, 90
_LINE = 30
_INK, _DIM, _GRID = "#1a1a1a", "#666666", "#dddddd"
_MOST_CURVES = 12
_FONTS = (
    "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/truetype/wqy/wqy-zenhei.ttc",
    "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf",
)
"""Tried in this order, for titles that are not Latin; Pillow brings one for the rest."""


def draw(document: Mapping[str, Any], out: BinaryIO, about: About) -> None:
    """A PNG. `ExportError` when there is nothing to draw, or Pillow is not installed."""
    try:
        from PIL import Image, ImageDraw  # noqa: PLC0415 - an extra
    except ImportError:
        raise ExportError(f"pictures need Pillow ({how_to_get('png')}); html needs nothing") from None
    curves = [item for item in document["items"] if item["kind"] == "curve"][:_MOST_CURVES]
    scalars = [item for item in document["items"] if item["kind"] == "scalar"]
    if not curves and not scalars:
        raise ExportError("a report without figures and curves makes no picture: save it as csv, json or html")
    height = 2 * _MARGIN + 2 * _LINE + len(scalars) * _LINE + len(curves) * (_PLOT + _LINE)
    image = Image.new("RGB", (_WIDTH, height), "white")
    pen = _Pen(ImageDraw.Draw(image), _font(22))
    pen.text(_MARGIN, _MARGIN, str(document.get("title") or about.title), _INK)
    pen.text(_MARGIN, _MARGIN + _LINE, "   ".join(about.facts.values()), _DIM)
    top = _MARGIN + 2 * _LINE
    for item in scalars:
        value = " ".join(filter(None, (number(item["value"]), item.get("unit", ""))))
        pen.text(_MARGIN, top, f"{named(item)}: {value}", _INK)
        top += _LINE
    for item in curves:
        _curve(pen, item, top + _LINE)
        top += _PLOT + _LINE
    image.save(out, "PNG")


class _Pen:
    def __init__(self, on: ImageDraw, font: FreeTypeFont | ImageFont) -> None:
        self.on = on
        self._font = font

    def text(self, x: float, y: float, text: str, colour: str, anchor: str = "la") -> None:
        self.on.text((x, y), text, fill=colour, font=self._font, anchor=anchor)


def _font(size: int) -> FreeTypeFont | ImageFont:
    from PIL import ImageFont  # noqa: PLC0415

    for file in _FONTS:
        if Path(file).exists():
            return ImageFont.truetype(file, size)
    return ImageFont.load_default(size)


def _curve(pen: _Pen, item: Mapping[str, Any], top: int) -> None:
    pen.text(_MARGIN, top, named(item), _INK)
    lines: list[Points] = [one["points"] for one in item["series"]]
    frame = frame_of(lines)
    if frame is None:
        pen.text(_MARGIN, top + _LINE, "no points", _DIM)
        return
    box = _Box(frame, _LEFT, top + _LINE + 8, _WIDTH - _MARGIN, top + _PLOT - _BOTTOM)
    _axes(pen, item, box)
    for place, points in enumerate(lines):
        for stretch in _stretches(points):
            dots = [box.place(x, y) for x, y in stretch]
            pen.on.line(dots if len(dots) > 1 else [*dots, dots[0]], fill=SERIES[place % len(SERIES)], width=3)
    _legend(pen, item["series"], top + _PLOT - 34)


class _Box:
    """Where a frame is drawn, in pixels."""

    def __init__(self, frame: Frame, left: int, top: int, right: int, bottom: int) -> None:
        self.frame, self.left, self.top, self.right, self.bottom = frame, left, top, right, bottom

    def place(self, x: float, y: float) -> tuple[float, float]:
        frame = self.frame
        across = (x - frame.left) / (frame.right - frame.left) if frame.right > frame.left else 0.5
        up = (y - frame.bottom) / (frame.top - frame.bottom)
        return self.left + across * (self.right - self.left), self.bottom - up * (self.bottom - self.top)


def _axes(pen: _Pen, item: Mapping[str, Any], box: _Box) -> None:
    for value in ticks(box.frame.bottom, box.frame.top):
        y = box.place(box.frame.left, value)[1]
        pen.on.line([(box.left, y), (box.right, y)], fill=_GRID)
        pen.text(box.left - 8, y, number(float(value)), _DIM, "rm")
    for value in ticks(box.frame.left, box.frame.right, 9):
        x = box.place(value, box.frame.bottom)[0]
        pen.text(x, box.bottom + 6, number(float(value)), _DIM, "ma")
    titles = " / ".join(filter(None, (item["y"].get("title", ""), item["x"].get("title", ""))))
    pen.text(box.right, box.top - _LINE, titles, _DIM, "ra")


def _stretches(points: Points) -> list[list[tuple[float, float]]]:
    """What lies between gaps."""
    found: list[list[tuple[float, float]]] = [[]]
    for x, y in points:
        if y is None:
            found.append([])
        else:
            found[-1].append((x, y))
    return [stretch for stretch in found if stretch]


def _legend(pen: _Pen, series: Sequence[Mapping[str, Any]], y: int) -> None:
    x: float = _LEFT
    for place, one in enumerate(series):
        title = one.get("title") or (str(place + 1) if len(series) > 1 else "")
        if not title:
            continue
        pen.on.rectangle([x, y + 5, x + 18, y + 19], fill=SERIES[place % len(SERIES)])
        pen.text(x + 26, y, title, _INK)
        x += 60 + pen.on.textlength(title, font=_font(22))
