"""Run the fake API by hand: ``python devserver.py KUBECONFIG [pods] [changes per second]``."""

from __future__ import annotations

import random
import sys
import time
from pathlib import Path

from fakeapi import FakeAPI
from fakeworld import World, churn, many_pods

api = FakeAPI()
world = World(api)
world.weather()
names = many_pods(world, int(sys.argv[2])) if len(sys.argv) > 2 else []
rate = float(sys.argv[3]) if len(sys.argv) > 3 else 0.0
api.start()
api.kubeconfig(Path(sys.argv[1]))
print(api.url, flush=True)
rng = random.Random(1)
count = 0
while True:
    if rate and names:
        churn(world, names, rng)
        time.sleep(1 / rate)
        continue
    count += 1
    api.log("web-6b7c4d9f8-4kx2p", "app", f'10.244.0.1 - - "GET /live/{count} HTTP/1.1" 200 512')
    time.sleep(1)
