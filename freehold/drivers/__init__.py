"""The families that touch the world. In each: the interface with its promises, a simulated member, the real ones.

Only `assemble` names a member; everybody else knows the interface.
"""
