"""The places that settings come from, in the order in which they are asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Literal, NamedTuple

from lfmigrate.errors import UsageError
from lfmigrate.settings.config import Config, Section
from lfmigrate.settings.dotenv import DotEnv
from lfmigrate.settings.values import Flags

# Those of `Flags` that are not settings by name: they have no variable, or choose where to look.
_APART = frozenset({"define", "env", "env_file", "summary", "json", "quiet", "verbose"})

KEYS = tuple(each.name for each in fields(Flags) if each.name not in _APART)


class Found(NamedTuple):
    """A setting as it was found.

    Attributes:
        text: What is written there.
        origin: Where, such as ``LFMIGRATE_SCHEMA in /srv/app/.env``.
        folder: What a relative path is relative to; None for the working directory.
        kind: What kind of place it is.
    """

    text: str
    origin: str
    folder: Path | None
    kind: Literal["option", "variable", "key"]


@dataclass(frozen=True, slots=True)
class Layer:
    """One place that settings come from.

    Attributes:
        name: What it is called where two settings in it exclude each other.
        kind: How a setting is spelled in it.
        texts: The settings, by key. An empty one counts as set on the command line only.
        place: What is added to a name to say where it is, such as `` in .env``.
        folder: What relative paths are relative to; None for the working directory.
    """

    name: str
    kind: Literal["option", "variable", "key"]
    texts: Mapping[str, str] = field(repr=False)
    place: str = ""
    folder: Path | None = None

    def find(self, key: str) -> Found | None:
        """Return a setting; None if it is not set here."""
        text = self.texts.get(key)
        if text is None or (not text and self.kind != "option"):
            return None
        return Found(text, self.origin(key), self.folder, self.kind)

    def origin(self, key: str) -> str:
        """Return what a setting is called here, and where this is."""
        spelled = key if self.kind == "key" else variable(key)
        return f"{option(key) if self.kind == 'option' else spelled}{self.place}"


@dataclass(frozen=True, slots=True)
class Layers:
    """All places, the one that decides first, and the files among them.

    Attributes:
        layers: The places.
        environment: The process's environment.
        dotenv: The ``.env`` that was read.
        config: The configuration file that was read.
        sections: Those sections of it that hold, the one that decides first.
    """

    layers: tuple[Layer, ...]
    environment: Mapping[str, str] = field(repr=False)
    dotenv: DotEnv | None
    config: Config | None
    sections: tuple[Section, ...]

    def find(self, key: str) -> Found | None:
        """Return a setting from the first place that has it."""
        return next((found for each in self.layers if (found := each.find(key))), None)

    def variable(self, name: str) -> str | None:
        """Return a variable of the environment or the ``.env``; None if neither has it."""
        from_file = None if self.dotenv is None else self.dotenv.values.get(name)
        return self.environment.get(name) or from_file or None


def option(key: str) -> str:
    """Return the option of a setting, such as ``--lock-timeout``."""
    return "--" + key.replace("_", "-")


def variable(key: str) -> str:
    """Return the variable of a setting, such as ``LFMIGRATE_LOCK_TIMEOUT``."""
    return "DATABASE_URL" if key == "database_url" else f"LFMIGRATE_{key.upper()}"


def layers_of(
    flags: Flags, environment: Mapping[str, str], dotenv: DotEnv | None, config: Config | None
) -> Layers:
    """Return all places, in the order in which they decide.

    These are the options, the chosen environment of the configuration file, the variables of the
    process, those of the ``.env``, and the rest of the configuration file. An environment is
    chosen by name for this run, so it comes before variables that were set for another purpose:
    ``--env test`` must not reach the database in ``DATABASE_URL``.

    Args:
        flags: The command line.
        environment: The process's environment.
        dotenv: The ``.env``; None if there is none.
        config: The configuration file; None if there is none.

    Raises:
        UsageError: The environment that is asked for is not in a configuration file.
    """
    given = {key: value for key in KEYS if (value := getattr(flags, key)) is not None}
    options = {k: ("0", "1")[v] if isinstance(v, bool) else str(v) for k, v in given.items()}
    layers = [Layer("the command line", "option", options)]
    sections: tuple[Section, ...] = () if config is None else (config.section,)
    if (chosen := _chosen(flags, environment, dotenv, config)) is not None:
        sections = (chosen, *sections)
        layers.append(_section(chosen, config))
    layers.append(Layer("the environment", "variable", _variables(environment)))
    if dotenv is not None:
        layers.append(
            Layer(
                ".env" if dotenv.path.name == ".env" else str(dotenv.path),
                "variable",
                _variables(dotenv.values),
                place=f" in {dotenv.path}",
                folder=dotenv.path.parent,
            )
        )
    if config is not None:
        layers.append(_section(config.section, config))
    return Layers(tuple(layers), environment, dotenv, config, sections)


def _chosen(
    flags: Flags, environment: Mapping[str, str], dotenv: DotEnv | None, config: Config | None
) -> Section | None:
    """Return the section of the environment that is asked for; None if none is."""
    if flags.env == "":
        raise UsageError("--env is empty")
    in_file = None if dotenv is None else dotenv.values.get("LFMIGRATE_ENV")
    name = flags.env or environment.get("LFMIGRATE_ENV") or in_file
    if not name:
        return None
    if config is None:
        raise UsageError(
            f'there is no configuration file with the environment "{name}"',
            detail=["looked for lfmigrate.toml and pyproject.toml here and above"],
            hint=f"Describe it in [env.{name}] of lfmigrate.toml, or in [tool.lfmigrate.env.{name}]"
            " of pyproject.toml.",
        )
    if name not in config.environments:
        names = ", ".join(config.environments)
        raise UsageError(
            f'there is no environment "{name}" in {config.path}',
            detail=[f"environments: {names}"] if names else ["it has none"],
            hint="Correct --env (LFMIGRATE_ENV).",
        )
    return config.environments[name]


def _section(section: Section, config: Config | None) -> Layer:
    folder = None if config is None else config.path.parent
    place = f"{' of' if section.name.startswith('[') else ' in'} {section.name}"
    return Layer(section.name, "key", section.values, place=place, folder=folder)


def _variables(values: Mapping[str, str | None]) -> dict[str, str]:
    return {key: text for key in KEYS if (text := values.get(variable(key))) is not None}
