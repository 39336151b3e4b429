"""What readers keep, built from owners' events only, and safe to lose.

`follower` turns frames, heartbeats, gaps and other epochs into one orderly stream for a `Sink`; `cloud` is the API's
view (a mapped
file that opens where it stood), `fleet` the scheduler's (columns in memory).
"""
