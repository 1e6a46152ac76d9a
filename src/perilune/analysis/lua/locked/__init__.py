"""What runs inside the cage: the zygote, and the lock that each of its children puts on before it touches a sample.

Nothing here imports anything else of Perilune: the process is to hold as little as possible.
"""
