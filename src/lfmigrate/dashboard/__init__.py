"""The optional dashboard over migration 002: an API and four pages (``lfmigrate[dashboard]``)."""

from __future__ import annotations

from lfmigrate.dashboard.app import create_app as create_app

__all__ = ["create_app"]
