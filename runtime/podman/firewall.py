"""What Netavark leaves in the kernel's packet filter when the last network is gone.

It removes a network's own rules and keeps its base chains for ever. They do nothing then, but whoever removed a
cluster wants to find the machine as it was.
"""

from __future__ import annotations

import os
import re
import subprocess

from .machine import find_program

_NETWORK_CHAIN = re.compile(r"^-N NETAVARK-[0-9A-F]{8,}$", re.MULTILINE)
_NETWORK_RULE = re.compile(r"^-A NETAVARK_FORWARD.* -[sd] ", re.MULTILINE)
_CHAIN = re.compile(r"^-N (NETAVARK\S*)$", re.MULTILINE)
_JUMP = re.compile(r"^-A (?!NETAVARK).*-j NETAVARK")


def removal(nat: str, filters: str) -> dict[str, str]:
    """What ``iptables-restore`` must be told, by table, to remove base chains that no network uses.

    The arguments are what ``iptables -S`` prints of the two tables. Empty when a network uses the chains, whosever it
    is, or when there are none.
    """
    if _NETWORK_CHAIN.search(nat) or _NETWORK_RULE.search(filters):
        return {}
    found = {}
    for table, rules in (("nat", nat), ("filter", filters)):
        chains = _CHAIN.findall(rules)
        jumps = [line.replace("-A ", "-D ", 1) for line in rules.splitlines() if _JUMP.match(line)]
        if chains or jumps:
            lines = [*jumps, *(f"-F {chain}" for chain in chains), *(f"-X {chain}" for chain in chains)]
            found[table] = "\n".join([f"*{table}", *lines, "COMMIT", ""])
    return found


def remove_unused_chains() -> None:
    """Remove Netavark's base chains unless a network of anybody's uses them; does nothing for who is not root."""
    iptables, restore = find_program("iptables"), find_program("iptables-restore")
    if os.geteuid() or iptables is None or restore is None:
        return

    def rules(table: str) -> str:
        listed = subprocess.run([iptables, "-t", table, "-S"], capture_output=True, text=True, check=False)
        return listed.stdout

    for text in removal(rules("nat"), rules("filter")).values():
        # One transaction a table: what has come into use meanwhile makes all of it stay.
        subprocess.run(
            [restore, "--noflush", "--wait"], input=text, text=True, capture_output=True, check=False
        )
