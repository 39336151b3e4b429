"""Where image bytes lie: `interface` has the promises; `folder`, `bucket`, `swift` and `memory` keep them, `web` reads
what others publish, and `pick` chooses one.

`inspection` looks into bytes before anybody uses them, `receiving` brings a stream into a file, `over_http` out of a
server.
"""
