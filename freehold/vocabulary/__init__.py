"""The words: what may be asked, what may happen, and what is kept, as frozen data.

Everything here is immutable, does no I/O and imports nothing else of Freehold, so any room can speak it.
One file per noun. Ids are UUID texts unless said otherwise; times are hybrid logical times (`clock times`, see
`units`); sizes carry their unit last in the name (`ram_mib`). A kind of record is registered in `codec`.
"""
