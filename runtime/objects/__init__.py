"""What an object is: kinds, schemas, defaults, validation, selectors, quantities, patches, apply, tables.

Everything here is pure: data in, data out, with the time as an argument. All other rooms stand on this one.
"""
