"""The WebSocket protocol under the gateway: uvicorn's, with a short way for what OCPP sends all day.

A text frame that arrives by itself and whole is read here, and one up to 64 KB is written here; all else (handshake,
control frames, fragments, several frames at once, whatever is wrong) goes uvicorn's way through `websockets`, whose
generators cost more than our own work on a frame. RFC 6455 section 5.2.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request
from websockets.protocol import OPEN
from websockets.speedups import apply_mask
from websockets.streams import StreamReader

if TYPE_CHECKING:
    from uvicorn._types import ASGISendEvent

TEXT, MASKED = 0x81, 0x80  # FIN with opcode 1; the bit that says that a masking key follows
_SHORT = Struct("!H")
_BETWEEN_FRAMES = StreamReader.at_eof.__code__


class StationSocket(WebSocketsSansIOProtocol):
    def handle_connect(self, event: Request) -> None:
        """With the certificate that the peer proved to hold, where TLS ends here."""
        super().handle_connect(event)
        tls = self.transport.get_extra_info("ssl_object") if self.scheme == "wss" else None
        scope: Any = getattr(self, "scope", None)
        if tls is not None and scope is not None:  # the application runs later
            scope["client_certificate"] = tls.getpeercert(binary_form=True) or b""

    def data_received(self, data: bytes) -> None:
        text = self._whole_text(data)
        if text is None:
            super().data_received(data)
            if not self.handshake_initiated and self.conn.handshake_exc is not None:
                self.transport.close()  # a request that cannot be read, with a line of 30 KB perhaps
            return
        self.queue.put_nowait({"type": "websocket.receive", "text": text})
        # Read on while the last one is answered, but no further: to pause at every message is two system calls.
        if not self.read_paused and self.queue.qsize() > 1:
            self.read_paused = True
            self.transport.pause_reading()

    def _whole_text(self, data: bytes) -> str | None:
        """The text, if `data` is one frame of it, whole and alone, and nothing else is under way."""
        if len(data) < 6 or data[0] != TEXT or not data[1] & MASKED or not self._between_messages():
            return None
        length, at = data[1] & 0x7F, 2
        if length == 126:
            length, at = _SHORT.unpack_from(data, 2)[0], 4
        if length == 127 or len(data) != at + 4 + length or length > self.config.ws_max_size:
            return None
        try:
            return apply_mask(data[at + 4 :], data[at : at + 4]).decode()
        except UnicodeDecodeError:
            return None

    def _between_messages(self) -> bool:
        conn = self.conn
        if not self.handshake_complete or self.close_sent or conn.state is not OPEN:
            return False
        reader: Any = conn.parser
        while reader.gi_yieldfrom is not None:  # down to where it waits for more
            reader = reader.gi_yieldfrom
        return conn.current_size is None and reader.gi_code is _BETWEEN_FRAMES

    async def send(self, message: ASGISendEvent) -> None:
        text: Any = message.get("text")
        if text is None or not self.writable.is_set() or self.close_sent or self.conn.state is not OPEN:
            await super().send(message)
            return
        if self.disconnected:
            raise ClientDisconnected
        payload = text.encode()
        length = len(payload)
        if length < 126:
            self.transport.write(bytes((TEXT, length)) + payload)
        elif length < 65_536:
            self.transport.write(bytes((TEXT, 126)) + _SHORT.pack(length) + payload)
        else:
            await super().send(message)
