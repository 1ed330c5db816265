"""The folders of other tools, each read as its tool reads it; docs/formats.md lists them."""
