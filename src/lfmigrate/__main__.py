"""Makes ``python -m lfmigrate`` work."""

from lfmigrate.cli.process import main

main()
