"""How rooms talk: *publish* (may be lost) and *ask* (a question with a deadline, answered by one of a group).

`interface` has the promises; `local` calls directly in one process. `talk` carries words and errors over either.
"""
