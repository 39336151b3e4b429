"""Nova's door: API v2.1 with microversions 2.1 to 2.96.

A server is a guest as clients see it: `server_view` joins what the registrar admitted with what the host says.
`microversion` has the
versions and what changes in each; everything else is a file for each noun.
"""
