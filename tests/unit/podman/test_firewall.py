"""Netavark's base chains go when no network uses them, and stay whole when one does."""

from __future__ import annotations

from runtime.podman.firewall import removal

NAT = """-P PREROUTING ACCEPT
-N DOCKER
-N NETAVARK-HOSTPORT-DNAT
-N NETAVARK-HOSTPORT-MASQ
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A PREROUTING -m addrtype --dst-type LOCAL -j NETAVARK-HOSTPORT-DNAT
-A POSTROUTING -j NETAVARK-HOSTPORT-MASQ
-A NETAVARK-HOSTPORT-MASQ -m mark --mark 0x2000/0x2000 -j MASQUERADE
"""
FILTER = """-P FORWARD ACCEPT
-N NETAVARK_FORWARD
-A FORWARD -m comment --comment "netavark firewall plugin rules" -j NETAVARK_FORWARD
-A NETAVARK_FORWARD -m conntrack --ctstate INVALID -j DROP
"""


def test_unused_chains_go_with_the_jumps_to_them() -> None:
    found = removal(NAT, FILTER)
    assert found["nat"].splitlines() == [
        "*nat",
        "-D PREROUTING -m addrtype --dst-type LOCAL -j NETAVARK-HOSTPORT-DNAT",
        "-D POSTROUTING -j NETAVARK-HOSTPORT-MASQ",
        "-F NETAVARK-HOSTPORT-DNAT",
        "-F NETAVARK-HOSTPORT-MASQ",
        "-X NETAVARK-HOSTPORT-DNAT",
        "-X NETAVARK-HOSTPORT-MASQ",
        "COMMIT",
    ]
    assert found["filter"].splitlines() == [
        "*filter",
        '-D FORWARD -m comment --comment "netavark firewall plugin rules" -j NETAVARK_FORWARD',
        "-F NETAVARK_FORWARD",
        "-X NETAVARK_FORWARD",
        "COMMIT",
    ]


def test_a_network_of_anybodys_keeps_them() -> None:
    assert removal(NAT + "-N NETAVARK-667FD25C544FF\n", FILTER) == {}
    assert removal(NAT, FILTER + "-A NETAVARK_FORWARD -s 10.88.0.0/16 -j ACCEPT\n") == {}


def test_nothing_to_do_where_netavark_never_was() -> None:
    assert removal("-P PREROUTING ACCEPT\n-N DOCKER\n", "-P FORWARD ACCEPT\n") == {}
