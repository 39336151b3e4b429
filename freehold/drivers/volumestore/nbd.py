"""The reader's side of an export, before a guest sees it: asks the server what it is, and compares.

A small client of NBD's handshake (the protocol's ``doc/proto.md``), of which it speaks as much as is needed: TLS first,
with the reader's certificate, then the question for an export's size, flags, name and description. It never opens the
export.
"""

import asyncio
import socket
import ssl
import struct
from pathlib import Path
from typing import Final

from freehold.vocabulary.attachment import Served
from freehold.vocabulary.errors import BadRequest, Broken, Conflict, Forbidden, FreeholdError, Unavailable
from freehold.vocabulary.word import Word

ANSWER_S: Final = 10.0
REPLY_BYTES_MAX: Final = 64 * 1024
REPLIES_MAX: Final = 32
NAME_BYTES_MAX: Final = 4096

_MAGIC: Final = b"NBDMAGIC"
_OPTION_MAGIC: Final = b"IHAVEOPT"
_REPLY_MAGIC: Final = 0x3E889045565A9
_FIXED_NEWSTYLE: Final = 1
_NO_ZEROES: Final = 2
_OPTION: Final = struct.Struct(">8sII")
_REPLY: Final = struct.Struct(">QIII")
_EXPORT: Final = struct.Struct(">HQH")

_ABORT: Final = 2
_STARTTLS: Final = 5
_INFO: Final = 6

_ACK: Final = 1
_INFORMATION: Final = 3
_ERROR: Final = 1 << 31
_UNKNOWN: Final = _ERROR + 6

_INFO_EXPORT: Final = 0
_INFO_NAME: Final = 1
_INFO_DESCRIPTION: Final = 2
_FLAG_READ_ONLY: Final = 2


class Credentials(Word, frozen=True, kw_only=True):
    """Files (PEM) of a reader at a pool: its key and certificate, and the authority that it knows the servers by."""

    key: str
    certificate: str
    authority: str

    @classmethod
    def of(cls, folder: Path) -> "Credentials":
        """Those in a folder that has them by the names that QEMU wants."""
        names = ("client-key.pem", "client-cert.pem", "ca-cert.pem")
        key, certificate, authority = (str(folder / name) for name in names)
        return cls(key=key, certificate=certificate, authority=authority)


class Described(Word, frozen=True, kw_only=True):
    """What a server says of an export."""

    name: str
    description: str
    size_bytes: int
    writable: bool


async def check(served: Served, credentials: Credentials) -> None:
    """Raises Conflict, saying what differs, unless the server has the export that was promised; and as `describe`."""
    found = await describe(served.host, served.port, served.name, served.server_name, credentials)
    promised = Described(
        name=served.name,
        description=served.description,
        size_bytes=served.size_bytes,
        writable=served.export.writable,
    )
    if found != promised:
        raise Conflict(f"The export isn't the one that was promised: it is {_said(found)}, not {_said(promised)}.")


async def describe(host: str, port: int, name: str, server_name: str, credentials: Credentials) -> Described:
    """What the server at this address says of the export `name`. `server_name`: what its certificate must be for.

    Raises Unavailable if nobody answers, Forbidden if the server doesn't let this reader in or isn't the one that it
    should be, Conflict if it has no such export, Broken if it speaks something else.
    """
    context = _context(credentials)
    where = f"{host}:{port}"
    writer: asyncio.StreamWriter | None = None
    try:
        async with asyncio.timeout(ANSWER_S):
            plain = await _begun(host, port)  # from here on asyncio's, which closes it if TLS can't begin
            reader, writer = await asyncio.open_connection(sock=plain, ssl=context, server_hostname=server_name)
            return await _ask(reader, writer, name)
    except ssl.SSLCertVerificationError as error:
        raise Forbidden(f"The server at {where} isn't {server_name}: {error.verify_message}.") from error
    except (OSError, EOFError, TimeoutError) as error:
        # With TLS 1.3 a server learns who the reader is when the reader is through, and refuses by hanging up.
        if isinstance(error, ssl.SSLError) or (writer is not None and not isinstance(error, TimeoutError)):
            raise Forbidden(f"The server at {where} doesn't let this reader in.") from error
        raise Unavailable(f"Nobody serves volumes at {where} now: {error or 'no answer'}.") from error
    finally:
        if writer is not None:
            writer.close()


def _context(credentials: Credentials) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=credentials.authority)
        context.load_cert_chain(credentials.certificate, credentials.key)
    except OSError as error:
        raise BadRequest(f"The reader's certificate or key can't be used: {error}.") from error
    return context


async def _begun(host: str, port: int) -> socket.socket:
    """A connection up to the beginning of TLS.

    Not a byte more than that is read: what somebody on the way slips in behind it must not pass for what came by TLS.
    """
    loop = asyncio.get_running_loop()
    family, kind, protocol, _, address = (await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM))[0]
    plain = socket.socket(family, kind, protocol)
    try:
        plain.setblocking(False)
        await loop.sock_connect(plain, address)
        greeting = await _exactly(plain, 18)
        flags = int.from_bytes(greeting[16:])
        if greeting[:16] != _MAGIC + _OPTION_MAGIC or not flags & _FIXED_NEWSTYLE:
            raise _strange("its greeting isn't NBD's")
        own = struct.pack(">I", _FIXED_NEWSTYLE | flags & _NO_ZEROES)
        await loop.sock_sendall(plain, own + _OPTION.pack(_OPTION_MAGIC, _STARTTLS, 0))
        kind_answered, length = _reply_to(_STARTTLS, await _exactly(plain, _REPLY.size))
        if kind_answered != _ACK or length:
            raise Forbidden("The server of the export doesn't speak TLS, and without it nothing is believed.")
    except BaseException:
        plain.close()
        raise
    return plain


async def _exactly(plain: socket.socket, count: int) -> bytes:
    got = b""
    while len(got) < count:
        more = await asyncio.get_running_loop().sock_recv(plain, count - len(got))
        if not more:
            raise EOFError("the connection was closed")
        got += more
    return got


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, name: str) -> Described:
    wanted = struct.pack(">HHH", 2, _INFO_NAME, _INFO_DESCRIPTION)
    _send(writer, _INFO, struct.pack(">I", len(name.encode())) + name.encode() + wanted)
    told: dict[int, bytes] = {}
    for _ in range(REPLIES_MAX):
        kind, content = await _reply(reader, _INFO)
        if kind == _ACK:
            _send(writer, _ABORT)
            return _described(told)
        if kind == _UNKNOWN:
            raise Conflict(f"The server has no export {name}.")
        if kind & _ERROR:
            raise _strange(f"it answers error {kind & ~_ERROR}")
        if kind == _INFORMATION and len(content) >= 2:
            told[int.from_bytes(content[:2])] = content
    raise _strange("it says too much")


def _described(told: dict[int, bytes]) -> Described:
    export = told.get(_INFO_EXPORT, b"")
    if len(export) != _EXPORT.size:
        raise _strange("it doesn't say how large the export is")
    _, size_bytes, flags = _EXPORT.unpack(export)
    name, description = (told.get(kind, b"")[2:][:NAME_BYTES_MAX] for kind in (_INFO_NAME, _INFO_DESCRIPTION))
    return Described(
        name=name.decode(errors="replace"),
        description=description.decode(errors="replace"),
        size_bytes=size_bytes,
        writable=not flags & _FLAG_READ_ONLY,
    )


def _send(writer: asyncio.StreamWriter, option: int, content: bytes = b"") -> None:
    writer.write(_OPTION.pack(_OPTION_MAGIC, option, len(content)) + content)


async def _reply(reader: asyncio.StreamReader, option: int) -> tuple[int, bytes]:
    kind, length = _reply_to(option, await reader.readexactly(_REPLY.size))
    return kind, await reader.readexactly(length)


def _reply_to(option: int, head: bytes) -> tuple[int, int]:
    """The kind and length of an answer, by its head."""
    magic, answered, kind, length = _REPLY.unpack(head)
    if magic != _REPLY_MAGIC or answered != option or length > REPLY_BYTES_MAX:
        raise _strange("its answer isn't NBD's")
    return kind, length


def _said(described: Described) -> str:
    way = "writable" if described.writable else "read-only"
    return f"{described.name!r} ({described.description!r}), {described.size_bytes} bytes, {way}"


def _strange(what: str) -> FreeholdError:
    return Broken(f"What answers in the place of the server of volumes is something else: {what}.")
