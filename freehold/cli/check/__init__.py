"""`freehold check`: whether this machine will do for the roles in its settings.

`rules` are pure: what was found -> a finding, a sentence with what to do. `gather` looks, and asks each rule; `show`
prints.
"""
