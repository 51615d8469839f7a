"""How each kind is made ready, checked and changed: one strategy per kind, assembled from defaults and rules.

A strategy holds no rules of its own; it says which functions of :mod:`..defaults` and :mod:`..validation` apply to
a kind, what a client may not set, and the few flags by which kinds differ (upstream's registry/*/strategy.go).
"""
