"""Answers requests: the addresses of the review, and the forms that correct a decision.

/review/                    the sources, each with its last day
/review/source              a day or an hour of one source
/review/kept                kept frames, as a grid
/review/decisions           all decisions, by filters
/review/groups              kept frames with what repeats them
/review/what-if             what other settings would have kept
/review/corrections         what people said, to be undone
/review/decision/ID         one decision: the frame and the one it was compared with
/review/picture/ID/SIZE     a picture as JPEG; /review/heat/ID where two differ, as SVG
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

import anyio
from anyio import CapacityLimiter
from markupsafe import escape
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from ..config import Config
from ..decisions import Outcome, Reason
from ..embedding import Embedder, EmbedError, ModelError
from ..escapes import escaped
from ..frames import LATEST_NS
from ..ledger import Ledger, LedgerError, LedgerReader
from ..ledger.records import CorrectionKind, DecisionRecord
from ..problems import Problem
from ..store import Store, StoreError
from ..store.correction import Corrections, NotCorrected
from ..store.in_place import mode_of
from . import pages, sliders
from .access import MOST_FORM, Access, Guard
from .filters import BadAddress, Filter, id_of, time_of, whole_of
from .heat import Differences, Heat
from .pictures import SIZES, Busy, NoPicture, Pictures
from .reasons import Kind
from .rendering import environment
from .timeline import SECOND_NS
from .what_if import MOST_HELD, Held, was_covered

log = logging.getLogger(__name__)

_HERE = Path(__file__).parent
_PAGE_THREADS, _PICTURE_THREADS, _REPLAY_THREADS = 4, 2, 1
"""Threads that look pages up, that decode pictures, and that tell what if: a page must wait for
neither, and more would take the cores from the lines."""

Answered = TypeVar("Answered")


@dataclass(frozen=True, slots=True)
class Reviewed:
    """Describes what is looked at."""

    ledger: LedgerReader
    store: Store
    embedder: Callable[[], Embedder]
    """Opens the model that draws where two pictures differ."""
    max_pixels: int = 100_000_000
    covered: frozenset[str] = frozenset()
    """Names of the sources that cover now what they keep (anonymize)."""
    holds: bool = True
    """Whether the quarantine holds anything: what is taken out has to stay somewhere."""

    @classmethod
    def under(
        cls, config: Config, ledger: LedgerReader, store: Store, embedder: Callable[[], Embedder]
    ) -> Reviewed:
        """Returns what is looked at of a store that is used with a configuration."""
        quarantine = config.store.quarantine
        return cls(
            ledger,
            store,
            embedder,
            max_pixels=config.defaults.max_pixels,
            covered=frozenset(each.name for each in config.sources if each.anonymize),
            holds=quarantine.max_size > 0 and quarantine.max_age > 0,
        )


class Review:
    """Holds what the pages share, and answers for each address."""

    def __init__(self, reviewed: Reviewed, access: Access) -> None:
        self._reviewed = reviewed
        self._ledger = reviewed.ledger
        self._access = access
        self._pictures = Pictures(reviewed.ledger, reviewed.store.root, reviewed.max_pixels)
        self._differences = Differences(reviewed.embedder)
        self._held = Held()
        self._page_threads = CapacityLimiter(_PAGE_THREADS)
        self._picture_threads = CapacityLimiter(_PICTURE_THREADS)
        self._replay_threads = CapacityLimiter(_REPLAY_THREADS)
        self._one_writer = anyio.Lock()
        self._templates = environment(prefix=access.root, form_token=access.form_token)

    # -- pages -------------------------------------------------------------------------------------

    def overview(self, request: Request) -> Response:
        found = pages.overview(self._ledger, request.query_params.get("after"), None, None)
        return self._page("overview.html", here="overview", overview=found, only=None)

    def source(self, request: Request) -> Response:
        query = request.query_params
        name, at_ns = query.get("source", ""), time_of(query.get("at"))
        found = pages.overview(self._ledger, None, name, at_ns)
        if at_ns is None or "hour" not in query:
            return self._page("overview.html", here="overview", overview=found, only=name)
        drawn = pages.hour(self._ledger, name, at_ns)
        asked = Filter(source=name, since_ns=drawn.from_ns, until_ns=drawn.to_ns)
        kept = Filter(
            source=name, outcome=Outcome.KEPT, since_ns=drawn.from_ns, until_ns=drawn.to_ns
        )
        page = pages.listed(self._ledger, kept, None, None)
        return self._page(
            "hour.html",
            here="overview",
            drawn=drawn,
            asked=asked,
            kept=kept,
            listed=page,
            kinds=[kind for kind in Kind if kind in drawn.totals],
        )

    def kept(self, request: Request) -> Response:
        source = request.query_params.get("source") or None
        asked = Filter(source=source, outcome=Outcome.KEPT)
        return self._listed("kept.html", "kept", asked, request)

    def decisions(self, request: Request) -> Response:
        return self._listed("decisions.html", "decisions", Filter.of(request.query_params), request)

    def _listed(self, template: str, here: str, asked: Filter, request: Request) -> Response:
        behind = whole_of(request.query_params.get("behind"))
        ahead_of = whole_of(request.query_params.get("ahead"))
        page = pages.listed(self._ledger, asked, behind, ahead_of)
        sources = self._ledger.sources()
        return self._page(template, here=here, asked=asked, listed=page, sources=sources)

    def groups(self, request: Request) -> Response:
        source = request.query_params.get("source") or None
        behind = whole_of(request.query_params.get("behind"))
        found, more = pages.groups(self._ledger, source, behind)
        sources = self._ledger.sources()
        return self._page(
            "groups.html",
            here="groups",
            groups=found,
            more=more,
            source=source,
            sources=sources,
            most=pages.MOST_COUNTED,
        )

    def what_if(self, request: Request) -> Response:
        query = request.query_params
        sources = sorted(self._ledger.sources())
        source = query.get("source") or next(iter(sources), "")
        if sources and source not in sources:
            raise BadAddress(f"there is no source {source!r}")
        since_ns, until_ns = time_of(query.get("from") or None), time_of(query.get("to") or None)
        if until_ns is None:  # what is decided from now on is left out, so that answers agree
            ends = self._ledger.active_within(source, 0, LATEST_NS)
            until_ns = 0 if ends is None else (ends[1] // SECOND_NS + 1) * SECOND_NS
        shown: dict[str, Any] = {
            "here": "what-if",
            "sources": sources,
            "asked": Filter(source=source, since_ns=since_ns, until_ns=until_ns),
        }
        past = self._held.recorded(self._ledger, source, since_ns, until_ns)
        if past is None:
            return self._page("what_if.html", past=None, **shown)
        settings = sliders.asked(query, past.settings)
        found = past.at(settings)
        firsts = {name: whole_of(query.get(name)) or 0 for name in ("added", "lost")}
        return self._page(
            "what_if.html",
            past=past,
            found=found,
            doubts=[*past.doubts, *found.doubts],
            values=sliders.texts(settings),
            recorded=sliders.texts(past.settings),
            sliders=sliders.SLIDERS,
            sensitivities=sliders.SENSITIVITIES,
            lines=sliders.yaml_lines(source, past.settings, settings),
            added=pages.tiles(self._ledger, found.added, firsts["added"]),
            lost=pages.tiles(self._ledger, found.lost, firsts["lost"]),
            cut_off=len(past.measures) == MOST_HELD,
            **shown,
        )

    def corrections(self, request: Request) -> Response:
        before = whole_of(request.query_params.get("before"))
        found = self._ledger.corrections(before=before, most=pages.ON_A_PAGE + 1)
        shown = found[: pages.ON_A_PAGE]
        more = shown[-1].id if len(found) > pages.ON_A_PAGE else None
        return self._page("corrections.html", here="corrections", corrections=shown, more=more)

    def decision(self, request: Request) -> Response:
        return self._decision(request.path_params["id"], Filter.of(request.query_params))

    def _decision(self, id: str, asked: Filter, said: str = "", status: int = 200) -> Response:
        found = pages.pair(self._ledger, self._pictures, id_of(id), asked)
        if found is None:
            return self._error(404, "There is no such decision. Old ones are forgotten in time.")
        return self._page(
            "decision.html",
            status,
            here="decisions",
            pair=found,
            asked=asked,
            said=said,
            corrects=mode_of(self._reviewed.store.root) is None,
            most=pages.MOST_COUNTED,
        )

    def help(self, _: Request) -> Response:
        return self._page("help.html", here="help")

    def _page(self, template: str, status: int = 200, **shown: Any) -> Response:
        text = self._templates.get_template(template).render(**shown)
        return HTMLResponse(text.encode(errors="backslashreplace"), status)

    def _error(self, status: int, text: str) -> Response:
        return self._page("error.html", status, here="", text=text)

    # -- pictures ----------------------------------------------------------------------------------

    def picture(self, request: Request) -> Response:
        record = self._ledger.decision(id_of(request.path_params["id"]))
        size = request.path_params["size"]
        if record is None or size not in SIZES:
            return _in_its_place("There is no such picture.")
        try:
            data, _ = self._pictures.encoded(record.decision, size)
        except NoPicture as error:
            return _in_its_place(str(error), 503 if isinstance(error, Busy) else 404)
        return Response(data, 200, {"cache-control": "private, max-age=3600"}, "image/jpeg")

    def heat(self, request: Request) -> Response:
        """Answers with the cells in which a frame differs from the one it was compared with."""
        record = self._ledger.decision(id_of(request.path_params["id"]))
        named = None if record is None else record.decision.nearest_kept
        other = None if named is None else self._ledger.decision(named)
        if record is None or other is None:
            return _in_its_place("There is nothing to compare it with.")
        try:
            one, _ = self._pictures.pixels(record.decision)
            two, _ = self._pictures.pixels(other.decision)
            found = self._differences.between(one, two)
        except (NoPicture, EmbedError, ModelError) as error:
            return _in_its_place(str(error), 503 if isinstance(error, Busy) else 404)
        if found is None:
            return _in_its_place("The model has no cells.")
        return Response(_drawn(found), 200, {"cache-control": "private, max-age=3600"}, _SVG)

    # -- corrections -------------------------------------------------------------------------------

    def correct(self, id: str, what: str, form: dict[str, str]) -> Response:
        """Carries out what a form asks for, and shows the decision again."""
        asked = Filter.of(dict(_pairs(form.get("asked", ""))))
        record = self._ledger.decision(id_of(id))
        if record is None:
            return self._error(404, "There is no such decision.")
        try:
            self._corrected(record, what)
        except (NotCorrected, StoreError, LedgerError, NoPicture) as error:
            return self._decision(id, asked, said=str(error), status=409)
        finally:
            self._pictures.forget(id)
        place = f"{self._access.root}/decision/{id}{asked.query()}"
        return RedirectResponse(place, 303)

    def _corrected(self, record: DecisionRecord, what: str) -> None:
        reviewed, one = self._reviewed, record.decision
        if what in (CorrectionKind.SAME, CorrectionKind.DIFFERENT):
            if one.nearest_kept is None:
                raise NotCorrected("It was compared with no frame.")
            with Ledger(self._ledger.path) as ledger:
                ledger.label(CorrectionKind(what), one.id, one.nearest_kept)
            return
        if mode_of(reviewed.store.root) is not None:
            raise NotCorrected(
                "Here pictures lie where they were found; `stillsift restore` brings them back."
            )
        keeps = what == CorrectionKind.KEEP
        found = None
        if keeps and one.reason is not Reason.REJECTED:
            if one.source in reviewed.covered or was_covered(self._ledger, record):
                raise NotCorrected(
                    "What its source keeps is covered (anonymize), or it cannot be told that it is "
                    "not; and this picture is not covered."
                )
            found = self._pictures.whole(one)
        if not keeps:
            self._require_quarantine()
        with Ledger(self._ledger.path) as ledger:
            corrections = Corrections(reviewed.store, ledger)
            if not keeps:
                corrections.drop(one.id)
            else:
                corrections.keep(one.id, found)

    def _require_quarantine(self) -> None:
        if not self._reviewed.holds:
            raise NotCorrected(
                "The quarantine holds nothing (store.quarantine), so it would be lost."
            )

    def undo(self, text: str, form: dict[str, str]) -> Response:
        """Undoes a correction, and shows the page again that asked for it."""
        number = whole_of(text) or 0
        done = self._ledger.correction(number)
        if done is None:
            return self._error(404, "There is no such correction.")
        asked = Filter.of(dict(_pairs(form.get("asked", ""))))
        try:
            if done.kind is CorrectionKind.KEEP:
                self._require_quarantine()
            with Ledger(self._ledger.path) as ledger:
                Corrections(self._reviewed.store, ledger).undo(number)
        except (NotCorrected, StoreError, LedgerError) as error:
            return self._decision(done.decision_id, asked, said=str(error), status=409)
        finally:
            self._pictures.forget(done.decision_id)
        if form.get("back") == "corrections":
            return RedirectResponse(f"{self._access.root}/corrections", 303)
        shown = id_of(form["id"]) if "id" in form else done.decision_id
        return RedirectResponse(f"{self._access.root}/decision/{shown}{asked.query()}", 303)

    # -- the application ---------------------------------------------------------------------------

    def application(self) -> ASGIApp:
        """Returns the application that a server runs."""
        shows: dict[str, Callable[[Request], Response]] = {
            "/": self.overview,
            "/source": self.source,
            "/kept": self.kept,
            "/decisions": self.decisions,
            "/groups": self.groups,
            "/corrections": self.corrections,
            "/help": self.help,
            "/decision/{id}": self.decision,
        }
        draws: dict[str, Callable[[Request], Response]] = {
            "/picture/{id}/{size}": self.picture,
            "/heat/{id}": self.heat,
        }
        routes = [
            *(Route(path, self._shown(show, self._page_threads)) for path, show in shows.items()),
            *(
                Route(path, self._shown(draw, self._picture_threads))
                for path, draw in draws.items()
            ),
            Route("/what-if", self._shown(self.what_if, self._replay_threads)),
            Route("/decision/{id}/{what}", self._post, methods=["POST"]),
            Route("/corrections/{number}/undo", self._post, methods=["POST"]),
            Mount("/static", StaticFiles(directory=_HERE / "static"), name="static"),
        ]
        app = Starlette(routes=routes)
        # It would lead to the address that the server knows, which may not be the browser's.
        app.router.redirect_slashes = False
        return Guard(app, self._access)

    def _shown(
        self, show: Callable[[Request], Response], threads: CapacityLimiter
    ) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            return await self._answered(partial(show, request), threads)

        return answer

    async def _answered(self, show: Callable[[], Response], threads: CapacityLimiter) -> Response:
        """Answers in a thread; a problem becomes a page that tells of it."""
        try:
            return await anyio.to_thread.run_sync(show, limiter=threads)
        except BadAddress as error:
            return self._error(400, str(error))
        except Problem as error:
            log.warning("review: %s", error.shown())
            return self._error(500, str(error))

    async def _post(self, request: Request) -> Response:
        body = b""
        try:
            async for part in request.stream():
                body += part
                if len(body) > MOST_FORM:
                    return self._error(413, "The form is too large.")
        except ClientDisconnect:  # nobody reads an answer
            return Response(status_code=400)
        carry_out = partial(self._carried_out, request, body)
        async with self._one_writer:
            return await self._answered(carry_out, self._page_threads)

    def _carried_out(self, request: Request, body: bytes) -> Response:
        """Does what a form of ours asks for."""
        form = dict(_pairs(body.decode("latin-1")))
        if not self._access.accepts(request.headers, request.url.scheme, form):
            return self._error(
                403, "This did not come from a page of this server. Load the page again."
            )
        given = request.path_params
        if "number" in given:
            return self.undo(given["number"], form)
        if given["what"] in tuple(CorrectionKind):
            return self.correct(given["id"], given["what"], form)
        return self._error(404, "There is no such page.")


def _pairs(text: str) -> list[tuple[str, str]]:
    """Returns the names and values of a form or a query. Raises BadAddress."""
    try:
        found = parse_qs(urlsplit(text).query if text.startswith("?") else text, max_num_fields=20)
    except ValueError:
        raise BadAddress("it has too many fields") from None
    return [(name, values[-1]) for name, values in found.items()]


_SVG = "image/svg+xml"


def _in_its_place(text: str, status: int = 404) -> Response:
    """Returns a picture that says why there is none."""
    lines, line = [], ""
    for word in escaped(text).split():
        if len(line) + len(word) > 34:
            lines.append(line)
            line = ""
        line = f"{line} {word}".strip()
    told = "".join(
        f'<text x="160" y="{84 + 20 * (number - len(lines) / 2)}">{escape(each)}</text>'
        for number, each in enumerate([*lines, line])
    )
    drawn = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 320 180" font-family="sans-serif"'
        ' font-size="14" text-anchor="middle" fill="#d0d0d0">'
        f'<rect width="320" height="180" fill="#333"/>{told}</svg>'
    )
    return Response(drawn, status, {"cache-control": "no-store"}, _SVG)


_OVER, _BELOW = "#ff2d2d", "#ffb000"
_FAINT = 0.25
"""Share of the limit below which a cell is not drawn."""


def _drawn(heat: Heat) -> str:
    """Returns the cells as SVG: red where they differ by more than the limit, strongest where they
    differ most."""
    most = max(1.0, float(heat.share.max()))
    rows, columns = heat.share.shape
    cells = "".join(
        f'<rect x="{x}" y="{y}" width="1" height="1" fill="{_OVER if share >= 1 else _BELOW}"'
        f' fill-opacity="{0.7 * float(share) / most:.2f}"/>'
        for y, row in enumerate(heat.share)
        for x, share in enumerate(row)
        if share > _FAINT
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {columns} {rows}"'
        f' preserveAspectRatio="none" shape-rendering="crispEdges">{cells}</svg>'
    )
