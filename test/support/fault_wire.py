"""HTTP/1.1 messages between a client, the fault proxy and the server, as bytes that nobody rewrites by accident.

A message keeps the head exactly as it came, so that forwarding an untouched one forwards the same bytes. Only the
fields that belong to one connection (Connection, Expect, Transfer-Encoding) are taken out on the way. Bodies are
held whole: a fault is decided on the complete request, and 16 MB is the most that DynamoDB accepts.
"""
import asyncio
import collections
import socket
import struct
import time

HEAD_BYTES_MAX = 1 << 20
IDLE_SECONDS_MAX = 20  # An older connection may be closed under us, which would look like a lost reply.
HOP_BY_HOP = (b"connection", b"keep-alive", b"proxy-connection", b"expect", b"transfer-encoding")


class BadMessage(Exception):
    """What came is not HTTP/1.1 as we know it."""


class Lost(Exception):
    """The server's connection ended without a whole reply: whether the request took effect is unknown."""


class Message:
    """One request or reply: its start line, its fields in their order, its whole body."""

    __slots__ = ("start", "fields", "body", "until_close")

    def __init__(self, start, fields, body=b""):
        self.start, self.fields, self.body, self.until_close = start, fields, body, False

    def get(self, name, otherwise=b""):
        for field, value in self.fields:
            if field.lower() == name:
                return value
        return otherwise

    def without(self, *names):
        return Message(self.start, [f for f in self.fields if f[0].lower() not in names], self.body)

    def with_field(self, name, value):
        """The same message with one field replaced in its place, or added at the end."""
        lower, fields, found = name.lower(), [], False
        for field in self.fields:
            if field[0].lower() != lower:
                fields.append(field)
            elif not found:
                fields.append((field[0], value))
                found = True
        return Message(self.start, fields if found else fields + [(name, value)], self.body)

    def with_body(self, body):
        changed = Message(self.start, self.fields, body)
        return changed.with_field(b"Content-Length", b"%d" % len(body))

    def head(self):
        lines = [self.start] + [name + b": " + value for name, value in self.fields]
        return b"\r\n".join(lines) + b"\r\n\r\n"

    def status(self):
        return int(self.start.split(b" ", 2)[1])


def for_next_hop(message):
    """Without the fields of this connection. A chunked body has been joined, so its length is told instead."""
    onward = message
    if any(name.lower() in HOP_BY_HOP for name, _ in message.fields):
        onward = message.without(*HOP_BY_HOP)
    is_reply = message.start.startswith(b"HTTP/")
    if (message.body or is_reply) and not onward.get(b"content-length"):
        onward = onward.with_field(b"Content-Length", b"%d" % len(message.body))
    return onward


def wants_close(message):
    connection = message.get(b"connection").lower()
    return connection == b"close" or (b"HTTP/1.0" in message.start and connection != b"keep-alive")


class Parser:
    """Turns bytes into messages, whatever pieces they come in."""

    def __init__(self, on_message, on_expect=None, replies=False):
        self.on_message, self.on_expect, self.replies = on_message, on_expect, replies
        self.buffer, self.searched = bytearray(), 0
        self.message = self.length = self.chunks = None

    def feed(self, data):
        self.buffer += data
        while self._head() if self.message is None else self._body():
            pass

    def finish(self):
        """The other side closed: a reply without a length is whole now."""
        if self.message is not None and self.message.until_close:
            self.message.body = bytes(self.buffer)
            self.buffer.clear()
            self._done()

    def _head(self):
        end = self.buffer.find(b"\r\n\r\n", self.searched)
        if end < 0:
            self.searched = max(0, len(self.buffer) - 3)
            if len(self.buffer) > HEAD_BYTES_MAX:
                raise BadMessage("a head of more than %d bytes" % HEAD_BYTES_MAX)
            return False
        lines = bytes(self.buffer[:end]).lstrip(b"\r\n").split(b"\r\n")
        del self.buffer[:end + 4]
        self.searched = 0
        fields = []
        for line in lines[1:]:
            name, colon, value = line.partition(b":")
            if not colon:
                raise BadMessage("a field without a colon")
            fields.append((name, value.strip()))
        message = self.message = Message(lines[0], fields)
        self.length, self.chunks = int(message.get(b"content-length", b"0")), None
        if message.get(b"transfer-encoding").lower() == b"chunked":
            self.chunks = bytearray()
        elif self.replies and not message.get(b"content-length") and message.status() not in (204, 304) \
                and message.status() >= 200:
            message.until_close = True
        if message.get(b"expect").lower() == b"100-continue" and self.on_expect:
            self.on_expect()
        return True

    def _body(self):
        if self.chunks is not None:
            return self._chunk()
        if self.message.until_close or len(self.buffer) < self.length:
            return False
        if self.length:
            with memoryview(self.buffer) as view:
                self.message.body = bytes(view[:self.length])
            del self.buffer[:self.length]
        return self._done()

    def _chunk(self):
        end = self.buffer.find(b"\r\n")
        if end < 0:
            return False
        size = int(bytes(self.buffer[:end]).split(b";")[0], 16)
        if size == 0:  # Trailers, of which DynamoDB has none, are dropped.
            last = self.buffer.find(b"\r\n\r\n", end)
            if last < 0:
                return False
            del self.buffer[:last + 4]
            self.message.body = bytes(self.chunks)
            return self._done()
        if len(self.buffer) < end + 2 + size + 2:
            return False
        self.chunks += self.buffer[end + 2:end + 2 + size]
        del self.buffer[:end + 2 + size + 2]
        return True

    def _done(self):
        message, self.message = self.message, None
        self.on_message(message)
        return bool(self.buffer)


class ClientConnection(asyncio.Protocol):
    """A client's connection. Its requests are answered one after the other; a lost client does not recall them."""

    count = 0

    def __init__(self, serve):
        self.serve = serve
        self.parser = Parser(self._arrived, on_expect=lambda: self.write(b"HTTP/1.1 100 Continue\r\n\r\n"))
        self.waiting, self.task, self.alive = collections.deque(), None, True
        self.drained = asyncio.Event()
        self.drained.set()
        ClientConnection.count += 1
        self.number = ClientConnection.count

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        try:
            self.parser.feed(data)
        except (BadMessage, ValueError):
            self.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            self.transport.close()

    def connection_lost(self, error):
        self.alive = False
        self.drained.set()

    def pause_writing(self):
        self.drained.clear()

    def resume_writing(self):
        self.drained.set()

    def _arrived(self, message):
        self.waiting.append(message)
        if self.task is None:
            self.task = asyncio.get_running_loop().create_task(self._answer_all())

    async def _answer_all(self):
        while self.waiting and self.alive:
            message = self.waiting.popleft()
            await self.serve(self, message)
            if wants_close(message) and self.alive:
                self.transport.close()
        self.task = None

    def write(self, *pieces):
        if self.alive and not self.transport.is_closing():
            self.transport.writelines(pieces) if len(pieces) > 1 else self.transport.write(pieces[0])

    async def flushed(self):
        """Until the kernel has taken everything, so that what follows cannot overtake it."""
        while self.alive and self.transport.get_write_buffer_size():
            await asyncio.sleep(0.002)

    def reset(self):
        """Ends the connection with RST rather than FIN, as a dying load balancer does."""
        if not self.alive:
            return
        plain = self.transport.get_extra_info("socket")
        if plain is not None:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()
        self.alive = False


class ServerConnection(asyncio.Protocol):
    """One connection to the server, with at most one request on it."""

    def __init__(self):
        self.parser = Parser(self._arrived, replies=True)
        self.reply, self.alive, self.idle_since = None, True, 0.0

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        try:
            self.parser.feed(data)
        except (BadMessage, ValueError) as error:
            self._fail(Lost("the server's reply is not HTTP: %s" % error))
            self.transport.abort()

    def eof_received(self):
        self.parser.finish()

    def connection_lost(self, error):
        self.alive = False
        self._fail(Lost("the server closed the connection: %s" % error))

    def _fail(self, error):
        if self.reply is not None and not self.reply.done():
            self.reply.set_exception(error)

    def _arrived(self, message):
        if message.status() < 200:
            return
        if self.reply is None or self.reply.done():
            self.transport.abort()
            return
        # A server that answers before it has read everything (413) will not read the rest.
        if wants_close(message) or message.until_close or self.transport.get_write_buffer_size():
            self.alive = False
            self.transport.close()
        self.reply.set_result(message)

    def ask(self, message):
        self.reply = asyncio.get_running_loop().create_future()
        if message.body:
            self.transport.writelines((message.head(), message.body))
        else:
            self.transport.write(message.head())
        return self.reply


class Server:
    """The server behind the proxy, and the connections to it that wait for work."""

    def __init__(self, host, port):
        self.host, self.port, self.idle = host, port, []

    async def _connection(self):
        while self.idle:
            connection = self.idle.pop()
            if connection.alive and not connection.transport.is_closing() \
                    and time.monotonic() - connection.idle_since < IDLE_SECONDS_MAX:
                return connection
            connection.transport.abort()
        try:
            _, connection = await asyncio.get_running_loop().create_connection(ServerConnection, self.host, self.port)
        except OSError as error:
            raise Lost("the server cannot be reached: %s" % error) from error
        return connection

    async def ask(self, message):
        """The server's reply. Nothing is ever sent again here: a second sending is a fault to be asked for."""
        connection = await self._connection()
        reply = await connection.ask(for_next_hop(message))
        if connection.alive:
            connection.idle_since = time.monotonic()
            self.idle.append(connection)
        return reply
