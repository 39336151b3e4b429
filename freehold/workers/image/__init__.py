"""The image worker: owner of image records, and of the decision what lies in the image store.

Besides the five files of every role: `keys` signs who may carry which bytes, `transfers` takes bytes in and gives them
up, one image at a time, `door` is the HTTP server that the bytes pass through.
"""
