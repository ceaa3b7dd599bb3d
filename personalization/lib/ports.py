"""Whether this machine lets a server listen on an address; it does not know who else does."""

import errno
import socket
import time
from dataclasses import dataclass

# What was killed a moment ago gives its sockets back within it, on a busy machine too.
_PATIENCE_S = 2.0
_GAP_S = 0.05


@dataclass(frozen=True, slots=True)
class Fault:
    """Why no server can listen on an address, and what mends it."""

    state: str
    fix: str


class PortError(RuntimeError):
    """Nothing can listen on the address that the settings name."""


def address_of(host: str) -> str:
    """Return the address of a host name, of IPv4 where it has one; servers listen on addresses.

    Raises
    ------
    OSError
        Nobody knows the name.
    """
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        # an empty part, one of more than 63 letters: nobody is asked
        raise OSError(str(error)) from error
    addresses = {family: str(where[0]) for family, *_, where in reversed(found)}
    return addresses.get(socket.AF_INET) or addresses[socket.AF_INET6]


def require_free(host: str, port: int) -> None:
    """Return once a server could listen there.

    Raises
    ------
    PortError
        With what is to be done, when that is not so within two seconds.
    """
    deadline_s = time.monotonic() + _PATIENCE_S
    while fault := fault_of(host, port):
        if time.monotonic() >= deadline_s:
            raise PortError(f"{fault.state}: {fault.fix}")
        time.sleep(_GAP_S)


def fault_of(host: str, port: int) -> Fault | None:
    """Return why no server can listen there; None when one can.

    It binds and does not listen, so it stands in nobody's way. SO_REUSEADDR, as servers set it,
    passes over connections that wait for their end. Without SO_REUSEPORT a listener is noticed even
    if it would share the port by it, as granian does: two would then answer in turns.
    """
    try:
        address = address_of(host)
    except OSError as error:
        return Fault(f"nobody knows the address of {host} ({error})", "set HOST")
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except (OSError, OverflowError) as error:
            if getattr(error, "errno", None) == errno.EADDRINUSE:
                return Fault(f"port {port} is taken", "stop what listens there or set PORT")
            return Fault(f"nothing can listen on {host}:{port} ({error})", "set HOST or PORT")
    return None
