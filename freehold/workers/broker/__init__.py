"""The broker: keeps a server of the bus on this machine, with what it needs to know who may come in.

It owns nothing. The directory says which tickets aren't taken any more (a roll), and the server is made to let those
machines go. A server of a cluster that isn't the directory's is linked to the servers of that, and lets pass what the
cluster's hosts and network workers say and hear.
"""
