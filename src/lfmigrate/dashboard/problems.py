"""Error documents (RFC 9457). Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

MEDIA_TYPE = "application/problem+json"

PREFIX = "urn:lfmigrate:dashboard:"

# A reader may try again then; a compute that sleeps needs about that long.
RETRY_AFTER_S = 5


@dataclass(frozen=True, slots=True)
class Kind:
    """What is the same for all problems of one kind."""

    status: int
    title: str
    detail: str


KINDS = {
    "invalid-parameter": Kind(400, "A parameter is not valid", ""),
    "invalid-body": Kind(400, "The body is not valid", ""),
    "sign-in-needed": Kind(
        401, "Sign in", "Send the token as a Bearer token, or as the password of any name."
    ),
    "origin-refused": Kind(403, "Origin not allowed", "Start it with --allow-origin."),
    "read-only": Kind(
        403,
        "The status cannot be changed here",
        "The dashboard was started with --read-only, or its database role may not update"
        " recommendations.",
    ),
    "period-not-found": Kind(404, "There is no such period", "Leave out periodKey."),
    "no-active-period": Kind(
        404,
        "No period is active",
        "Run: lfmigrate seed. Or set is_active for one row of performance_periods.",
    ),
    "category-not-found": Kind(
        404, "The period has no such category", "See periods for those that have it."
    ),
    "recommendation-not-found": Kind(404, "There is no such recommendation", "See the list."),
    "not-found": Kind(404, "Not found", "See /api/openapi.json for what there is."),
    "method-not-allowed": Kind(405, "Method not allowed", "See the header Allow."),
    "status-changed": Kind(
        409, "The status has been changed meanwhile", "Look at it, and decide again."
    ),
    "body-too-large": Kind(413, "The body is too large", "At most 4 KiB are read."),
    "json-needed": Kind(415, "The body is not JSON", "Send Content-Type: application/json."),
    "host-refused": Kind(
        421, "The server does not answer to this name", "Start it with --allow-host."
    ),
    "unexpected": Kind(
        500, "Something unexpected happened", "The server's log has more under this instance."
    ),
    "database-unreachable": Kind(
        503, "The database cannot be reached", "Try again in some seconds."
    ),
    "busy": Kind(503, "The database is busy", "Try again in some seconds."),
    "schema-missing": Kind(503, "The tables are not there", "Run: lfmigrate up"),
    "privileges-missing": Kind(
        503,
        "The database role may not read the tables",
        "Grant it SELECT on the tables and views of the migration.",
    ),
    "query-timeout": Kind(503, "The database took too long", "Try again in some seconds."),
    "outcome-unknown": Kind(
        503,
        "Whether the status was changed is not known",
        "The connection was lost around the commit: look before trying again.",
    ),
}


@dataclass
class Problem(Exception):  # noqa: N818 (the RFC's word for what the caller gets)
    """An answer that is not what was asked for.

    Attributes:
        word: A key of `KINDS`; the end of the document's ``type``.
        detail: What to do, if it is not the kind's own text.
        members: Further members of the document, such as ``parameter``.
        headers: Further headers.
    """

    word: str
    detail: str = ""
    members: dict[str, object] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def status(self) -> int:
        """Return the HTTP status."""
        return KINDS[self.word].status

    def document(self, instance: str) -> bytes:
        """Return the document.

        Args:
            instance: The request's id, which the log has, too.
        """
        kind = KINDS[self.word]
        return json.dumps(
            {
                "type": PREFIX + self.word,
                "title": kind.title,
                "status": kind.status,
                "detail": self.detail or kind.detail,
                "instance": instance,
                **self.members,
            },
            ensure_ascii=False,
        ).encode()

    def all_headers(self) -> dict[str, str]:
        """Return the headers that belong to it."""
        usual = {"Content-Type": MEDIA_TYPE, "Cache-Control": "no-store"}
        if self.status == 503:  # noqa: PLR2004 (HTTP)
            usual["Retry-After"] = str(RETRY_AFTER_S)
        return usual | self.headers
