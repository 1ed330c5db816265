"""Removes passwords from text before it is printed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache

# A secret shorter than this is part of too many words to be masked wherever it occurs.
_SHORTEST_SECRET = 4

# From this length on, a secret is masked within a word too, unless it is a word itself.
_LONG_SECRET = 8

# Patterns are compiled when they are first needed: --version and --help need none.
#
# A password in any URL. It may contain unescaped @ and /, so it ends at the last @; masking too
# much costs a host name. A URL that was taken for a path has one slash left. The example in a hint
# is left alone. The limits are longer than any token that serves as a password; without them, a
# long text would take quadratic time.
_IN_URL = r"(:/{1,2}[^\s:/]{0,300}:)(?!password@host:)\S{1,4000}@"

_AS_KEYWORD = r"(?i)((?:ssl)?password=)('(?:[^'\\]|\\.)*'|(?:\\.|[^\s\\])+)"

# ALTER ROLE me PASSWORD 'x', in a statement that is quoted; also in dollars, continued on the next
# line, or inside of another literal, where each quote is doubled. What follows may be cut off.
_IN_SQL = r"""(?isx)
    (\bpass(?:word|wd)\s+(?:e|n|u&)?)
    (?: ''+ [^']+ (?:'{4} [^']+)* (?:''+|$)
      | ' (?:[^']|'')* (?:'|$) (?:[ \t]*\n\s* ' (?:[^']|'')* (?:'|$))*
      | \$ (?P<tag>\w*) \$ (?: .*? \$ (?P=tag) \$ | .* )
    )"""

_KEYWORD_VALUE = (
    r"(?i)password\s*=\s*(?:'(?P<quoted>(?:[^'\\]|\\.)*)'?|(?P<plain>(?:\\.|[^\s\\])*))"
)


# Those that came up while a command ran, such as a token that another program has printed. The
# newest ones are enough: each is used at once.
_remembered: dict[str, None] = {}
_MOST_REMEMBERED = 100


def remember(secret: str) -> None:
    """Mask a secret in everything that is printed from now on."""
    if len(secret) >= _SHORTEST_SECRET:
        _remembered[secret] = None
        while len(_remembered) > _MOST_REMEMBERED:
            del _remembered[next(iter(_remembered))]


def forget() -> None:
    """Forget what was remembered: another command begins."""
    _remembered.clear()


def secrets(*urls: str | None, environment: Mapping[str, str]) -> tuple[str, ...]:
    """Collect what must never be printed: passwords, as they are and as they were written.

    A password that is also the name of the user, the host or the database is not collected:
    masking every occurrence would reveal it.

    Args:
        urls: URLs and keyword strings, usable or not.
        environment: The process's environment, for PGPASSWORD.
    """
    found = {environment.get("PGPASSWORD", ""), environment.get("PGSSLPASSWORD", "")}
    public: set[str] = set()
    for url in urls:
        passwords = set(_passwords(url or ""))
        rest = url or ""
        for password in sorted(passwords, key=len):
            rest = rest.replace(f":{password}@", "").replace(f"={password}", "")
        public |= set(re.findall(r"\w+", rest))
        found |= passwords
    from urllib.parse import unquote  # noqa: PLC0415 (as above: --version needs none)

    found |= {unquote(secret) for secret in found}
    return tuple(
        sorted(
            (s for s in found if len(s) >= _SHORTEST_SECRET and s not in public),
            key=lambda secret: (-len(secret), secret),
        )
    )


def redact(text: str, hidden: tuple[str, ...]) -> str:
    """Mask the known passwords, and whatever is written where a password would be.

    Args:
        text: What is about to be printed.
        hidden: What `secrets` collected.
    """
    # The known ones first: of an escaped one, the patterns might find the beginning only.
    for secret in (*_remembered, *hidden):
        text = _anyhow(secret).sub("***", text)
    text = re.sub(_IN_URL, r"\1***@", text)
    text = re.sub(_AS_KEYWORD, r"\1***", text)
    return re.sub(_IN_SQL, r"\1'***'", text)


def has_password(text: str) -> bool:
    """Return whether a text has something where a password would be, such as a URL's."""
    return redact(text, ()) != text


def _passwords(url: str) -> Iterator[str]:
    """Find what may be the password in a URL or keyword string, however wrongly it is written."""
    rest = re.sub(r"^\s*[\w+.-]+://", "", url)
    # Up to the first @ by the rules; up to the last one if it was not percent-encoded.
    for end in {rest.find("@"), rest.rfind("@")} - {-1}:
        _, colon, password = rest[:end].partition(":")
        if colon:
            yield password
    for match in re.finditer(_KEYWORD_VALUE, url):
        value = match["plain"] if match["quoted"] is None else match["quoted"]
        for text in (value, value.partition("&")[0]):
            yield text
            yield re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL)


@cache
def _anyhow(secret: str) -> re.Pattern[str]:
    """Return what finds a secret plain, percent-encoded, or escaped for JSON, SQL or Python."""
    runs = re.findall(r"\\+|[^\\]", secret)
    pattern = "".join(
        _spellings(character, behind_backslashes=previous.startswith("\\"))
        for previous, character in zip(["", *runs], runs, strict=False)
    )
    if len(secret) < _LONG_SECRET or (secret.isascii() and secret.isalpha()):
        # Only as a word of its own: "postgres" is a password and a part of "postgresql".
        pattern = rf"(?<!\w){pattern}(?!\w)"
    return re.compile(pattern)


def _spellings(character: str, *, behind_backslashes: bool) -> str:
    """Return the pattern of one character, or of a run of backslashes.

    What was escaped may have been escaped again, so one backslash may be several. They are taken
    possessively: the number of ways to share them out would grow with every quote.
    """
    if character.startswith("\\"):
        return r"(?:\\|%5[Cc])++"
    encoded = "".join(f"%{byte:02x}" for byte in character.encode("utf-8", "surrogatepass"))
    plain = {character, *("+" * (character == " ")), *(["''"] * (character == "'"))}
    import json  # noqa: PLC0415 (as above)

    escaped = {json.dumps(character)[1:-1], ascii(character)[1:-1], f"x{ord(character):02x}"}
    tails = {text.removeprefix("\\") for text in escaped} | plain
    bare = tails if behind_backslashes else plain

    def any_of(texts: set[str]) -> str:
        longest_first = sorted(texts, key=len, reverse=True)
        return "|".join(re.escape(text).replace(r"\\", r"\\++") for text in longest_first)

    return rf"(?:\\++(?:{any_of(tails)})|{any_of(bare)}|(?i:{encoded}))"
