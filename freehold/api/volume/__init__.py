"""Cinder's API, version 3, from 3.0 to 3.71: volumes, their snapshots, and what may be asked for of them.

A volume is shown as its owner's record joined with the registrar's admission (`joined`). Lists are in `lists`, bodies
in `wire`, creation in a file of its own.
"""
