"""Benchmarks of lfmigrate beside its peers, and the TCP proxy that measures them."""
