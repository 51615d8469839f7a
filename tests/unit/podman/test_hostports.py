"""A pod's hostPorts, asked for before it is made."""

import errno
import socket

import pytest

from runtime.podman.hostports import check_host_ports
from runtime.podman.interface import PortMapping, RuntimeFailure
from tests.support.ports import quiet_port


@pytest.mark.parametrize(("protocol", "kind"), [("tcp", socket.SOCK_STREAM), ("UDP", socket.SOCK_DGRAM)])
def test_a_taken_port_is_named(protocol, kind):
    with socket.socket(socket.AF_INET, kind) as other:
        other.bind(("127.0.0.1", quiet_port()))
        if kind == socket.SOCK_STREAM:
            other.listen()
        port = other.getsockname()[1]
        with pytest.raises(RuntimeFailure) as failure:
            check_host_ports([PortMapping(80, port, "127.0.0.1", protocol)])
        assert failure.value.reason == "FailedCreatePodSandBox"
        name = protocol.lower()
        assert failure.value.message == (
            f"cannot listen on the {name.upper()} port: listen {name} 127.0.0.1:{port}: bind: address already in use"
        )
    check_host_ports([PortMapping(80, port, "127.0.0.1", protocol)])


def test_a_port_that_an_ordinary_user_may_not_have(monkeypatch):
    def refuse(*_):
        raise PermissionError(errno.EACCES, "Permission denied")

    class Probe(socket.socket):
        bind = refuse

    monkeypatch.setattr("runtime.podman.hostports.socket.socket", Probe)
    with pytest.raises(
        RuntimeFailure, match=r"tcp :80: bind: permission denied; .*ip_unprivileged_port_start=80"
    ):
        check_host_ports([PortMapping(8080, 80)])


def test_what_is_not_asked_for_is_not_looked_at():
    check_host_ports([PortMapping(80, 0), PortMapping(80, 1, "256.0.0.1", "sctp")])
