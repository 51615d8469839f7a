"""The rules a kind's objects must keep, in upstream's own sentences (pkg/apis/*/validation).

Every function appends what it finds to a list that it is handed; paths are put together only where something is
wrong, because most objects are right. Types were checked before (:mod:`..schema`), and defaults are filled in.
"""
