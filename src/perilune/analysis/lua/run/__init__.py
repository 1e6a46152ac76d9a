"""The parent's side of the cage: it starts the zygote, reads traces as hostile bytes, and runs a program again where that shows more."""
