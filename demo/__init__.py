"""Real inputs and real trouble for trying the system out: a province's register, photos, and a bad network.

Nothing here is imported by the product. Everything is made from a fixed seed, so two runs are fed the same.
"""
