"""The API room: the OpenStack doors, and nothing that owns anything.

`server` takes an HTTP request through one path: route table -> caller -> policy -> body -> function -> answer.
Each door (a folder) has one table of all that passes it (`routes.py`). Reads come from the view (`reading`), writes are
questions to owners (`asking`), errors become HTTP in `faults` alone.
"""
