"""The one room that knows every other: it opens stores, picks drivers, and starts the roles that the settings name.

`running` is the process and what its roles share; each role has a file, which is read when the role is opened, so that
a process loads what it runs and no more.

STATE/registrar.db image.db network.db notifier.db hosts/N.db   what is owned: keep it
STATE/hosts.db                                      the same, of simulated hosts that share a disk
STATE/hosts/N.sock                                  where the machine's operator asks a host, while it runs
STATE/backup.key                                    what backups are encrypted with: keep a copy elsewhere
STATE/images/                                       image bytes: owned by the image worker
STATE/guests/ fabric/                               disks and wirings: owned by the host
STATE/view/ cache/                                  may be deleted at any time while nothing runs

Where there are several of a role, those after the first have a number: registrar-1.db, image-1.db, images-1/, view-1/.
"""
