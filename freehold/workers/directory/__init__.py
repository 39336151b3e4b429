"""The directory: owner of who is a machine of this cloud, and the authority that signs their passports.

A machine that isn't known yet shows an invitation, which serves once; one that is known renews its passport with the
key that it had. Who was shut out is said again and again, until the passports that were out have ended.
"""
