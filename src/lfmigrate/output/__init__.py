"""Prints reports and errors, for people and as JSON. The only package that imports rich.

Each report has a module here with its page, its JSON and, if it is shown before something is
confirmed, its question. It has the name of the command's module, and `dispatch` imports it when
such a report is shown.
"""
