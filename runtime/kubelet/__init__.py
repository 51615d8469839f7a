"""The node agent: makes the pods bound to a node run, keeps them running, and says how they are.

One :class:`Kubelet` stands for one node. Several may share one machine and one container runtime; what they share
(the runtime's state, alarms, caches of ConfigMaps and Secrets, image pulls) hangs on one :class:`RuntimeCache`.
"""

from runtime.kubelet.cache import RuntimeCache
from runtime.kubelet.kubelet import Kubelet
from runtime.kubelet.options import KubeletOptions

__all__ = ["Kubelet", "KubeletOptions", "RuntimeCache"]
