"""Keystone's API, version 3: signing in, and who may do what. One domain; groups, trusts and federation are absent."""
