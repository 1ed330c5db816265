"""What the names of Neon's hosts say."""

from __future__ import annotations

import re

_HOST = re.compile(r"(?P<endpoint>[^.,]+?)(?:-pooler)?(?P<domain>\.[^,]*\.neon\.(?:tech|build))")


def is_neon(host: str) -> bool:
    """Return whether a host is one of Neon's; several hosts are none."""
    return _HOST.fullmatch(host) is not None


def direct_host(host: str) -> str:
    """Return Neon's direct name of a pooled host, or the host as it is.

    Args:
        host: One name, or several with commas, as libpq takes them.

    Source:
        Neon documentation, "Connection pooling".
    """
    return ",".join(
        f"{found['endpoint']}{found['domain']}" if (found := _HOST.fullmatch(name)) else name
        for name in host.split(",")
    )
