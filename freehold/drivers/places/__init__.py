"""Places outside that more than one family of drivers keeps something in: buckets, and the secrets that places want.

What is kept there, and how, is each family's own.
"""
