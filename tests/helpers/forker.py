"""Loads lfmigrate's modules and forks a process for each command; see `tests.helpers.processes`.

    python -m tests.helpers.forker DESCRIPTOR

A request arrives on a socket: its length, together with the descriptors for standard input, output
and error and for the status; then the arguments, the environment and the folder as JSON. To the
status goes the id of the new process and, when it has ended, its exit code.
"""

from __future__ import annotations

import gc
import importlib
import io
import json
import os
import pkgutil
import signal
import socket
import sys
from typing import Any

import lfmigrate
from lfmigrate.__main__ import main

_NUMBER_BYTES = 4
_DESCRIPTORS = 4


def _serve(listener: socket.socket) -> None:
    """Fork for each request; return in the process that is to run the command."""
    while True:
        length, descriptors, _, _ = socket.recv_fds(listener, _NUMBER_BYTES, _DESCRIPTORS)
        if not length:
            sys.exit(0)  # the tests have ended
        # All of it and no more: the next request may follow at once.
        request = listener.recv(int.from_bytes(length, "little"), socket.MSG_WAITALL)
        # Between this process and the command there is one that waits for the command's end.
        if os.fork() == 0:
            listener.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            *streams, status = descriptors
            pid = os.fork()
            if pid == 0:
                os.close(status)
                _become(json.loads(request), streams)
                return
            for descriptor in streams:
                os.close(descriptor)
            os.write(status, pid.to_bytes(_NUMBER_BYTES, "little"))
            _, ended = os.waitpid(pid, 0)
            code = os.waitstatus_to_exitcode(ended)
            os.write(status, code.to_bytes(_NUMBER_BYTES, "little", signed=True))
            os._exit(0)
        for descriptor in descriptors:
            os.close(descriptor)


def _become(request: dict[str, Any], streams: list[int]) -> None:
    """Turn this process into one as Python starts it for a command."""
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
    for descriptor in set(streams):
        os.close(descriptor)
    sys.stdin = io.TextIOWrapper(open(0, "rb", closefd=False), "utf-8")  # noqa: SIM115 (standard input)
    sys.stdout, sys.stderr = (
        io.TextIOWrapper(open(number, "wb", closefd=False), "utf-8", line_buffering=number == 2)  # noqa: SIM115 (standard output and error)
        for number in (1, 2)
    )
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    sys.argv = ["lfmigrate", *request["arguments"]]
    signal.signal(signal.SIGINT, signal.default_int_handler)


if __name__ == "__main__":
    # Ctrl-C is for the tests; this process ends with them.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for module in pkgutil.walk_packages(lfmigrate.__path__, "lfmigrate."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    gc.freeze()  # the collector would copy what the processes share
    _serve(socket.socket(fileno=int(sys.argv[1])))
    main()
