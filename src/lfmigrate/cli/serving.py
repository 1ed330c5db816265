"""Starts the dashboard's server."""

from __future__ import annotations

import os
import re
import webbrowser
from pathlib import Path

from lfmigrate.cli.call import Call, address_and_scope
from lfmigrate.errors import UsageError
from lfmigrate.settings import Serving

_SHORTEST_TOKEN = 16
