"""The report as one HTML page that needs nothing beside it."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from common.report.pictures import SLICE_MM_PER_INCH, Picture, png, projections, slices
from common.report.study import Study

THUMBNAIL_MM_PER_INCH = 520.0


@dataclass(frozen=True)
class Row:
    """One case of an overview."""

    name: str
    link: str | None = None
    """The case's page, relative to the overview's."""
    facts: Mapping[str, float] | None = None
    thumbnail: str = ""
    """A data URI."""
    failure: str = ""
    """Why there is no report, in one line."""


def page(study: Study) -> str:
    """The page of one case."""
    return _render(
        "report.html",
        study=study,
        projections=[(picture, _uri(png(picture))) for picture in projections(study)],
        slices=[(picture, _uri(png(picture, SLICE_MM_PER_INCH))) for picture in slices(study)],
    )


def overview(rows: Sequence[Row]) -> str:
    """The page of many cases."""
    names = list(dict.fromkeys(name for row in rows for name in row.facts or {}))
    return _render("overview.html", rows=rows, names=names)


def thumbnail(study: Study) -> str:
    """The coronal projection, small, as a data URI."""
    picture: Picture = projections(study)[0]
    return _uri(png(picture, THUMBNAIL_MM_PER_INCH))


def _render(template: str, **values: Any) -> str:
    environment = Environment(
        loader=PackageLoader("common.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(**values)


def _uri(content: bytes) -> str:
    return f"data:image/png;base64,{b64encode(content).decode()}"
