"""Benchmarks of lfmigrate and its peers, and the TCP proxy that measures them."""
