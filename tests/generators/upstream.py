"""An upstream that shows what it was sent, and that rejects requests itself."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


async def echo(request: Request) -> JSONResponse:
    """Return the query, the media type and the body of a request."""
    return JSONResponse(
        {
            "query": request.query_params.multi_items(),
            "type": request.headers.get("content-type"),
            "body": (await request.body()).decode(),
        }
    )


async def reject(_: Request) -> JSONResponse:
    """Return a 403 that is the upstream's own."""
    return JSONResponse({"detail": "not yours"}, 403)


async def reject_in_words(_: Request) -> Response:
    """Return a 429 that is not JSON."""
    return Response("slow down", 429, media_type="text/plain")


upstream = Starlette(
    routes=[
        Route("/files/echo", echo, methods=_METHODS),
        Route("/files/rejected", reject, methods=_METHODS),
        Route("/files/busy", reject_in_words, methods=_METHODS),
    ]
)
