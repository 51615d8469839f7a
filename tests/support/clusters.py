"""A cluster to look at: a server over a folder of manifests, each file a namespace of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from .serving import Serving
from .terminal import Terminal

DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  replicas: {replicas}
  progressDeadlineSeconds: 600
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - name: app
        image: {image}
        imagePullPolicy: IfNotPresent
        ports: [{{containerPort: 8080}}]
"""
POD = """\
apiVersion: v1
kind: Pod
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: main
    image: busybox:latest
    imagePullPolicy: IfNotPresent
    stdin: true
    command: {command}
"""
# What a hostile program prints: a cleared screen, a title, a clipboard, a mouse mode, a hidden cursor, overwritten
# text, text of all sorts, bytes that are no text, and one line of 10 MB.
HOSTILE = r"""
printf 'begin\n\033[2J\033[H\033]0;owned\007\033]52;c;aGFja2Vk\007\033[?1003h\033[?25lcleared\n'
printf 'old text\rnew text\n\302\233 7m \303\050 \377\376 bytes\n'
printf '\327\251\327\234\327\225\327\235 \343\201\223\343\202\223 \360\237\221\251\342\200\215\360\237\224\254 wide\n'
head -c 10000000 /dev/zero | tr '\0' x; printf '\nlast line\n'; exec sleep 1000000
"""


def namespace(name: str) -> str:
    return f"apiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}}}\n---\n"


def deployment(space: str, name: str = "web", image: str = "http-go:v1", replicas: int = 1) -> str:
    return DEPLOYMENT.format(namespace=space, name=name, image=image, replicas=replicas)


def pod(space: str, name: str, *command: str) -> str:
    words = "\n" + "".join(
        f"    - |-\n{''.join(f'      {part}' for part in word.strip().splitlines(True))}\n"
        for word in command
    )
    return POD.format(namespace=space, name=name, command=words.rstrip("\n"))


class Cluster:
    """The server, its folder of manifests and a kubectl."""

    def __init__(self, home: Path, options: Sequence[str], environment: dict[str, str]) -> None:
        self.manifests = home / "manifests"
        self.manifests.mkdir()
        self.serving = Serving(home, self.manifests, options=options, environment=environment)

    def write(self, name: str, text: str) -> Path:
        """One manifest in a namespace of its own."""
        path = self.manifests / f"{name}.yaml"
        path.write_text(namespace(name) + text)
        return path


Open = Callable[..., Terminal]
