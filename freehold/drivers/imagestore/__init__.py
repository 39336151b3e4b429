"""Where image bytes lie: `interface` has the promises; `folder` and `memory` keep them.

`inspection` looks into bytes before anybody uses them, `receiving` brings a stream into a file.
"""
