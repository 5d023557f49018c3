"""The file door by FTP, for stations that know nothing newer: a role of its own, `serve ftp`, off unless started.

User and password stand in the address that the station was given, and are one ticket: they open one virtual folder, in
which one can put logs, or get one image. Nothing can be listed, renamed or removed. Plain FTP, and FTPS with TLS from
the first byte (implicit): the library has no AUTH TLS on its server side.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
import time
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import aioftp
from django.conf import settings
from django.db import connections

from stations.doors.work import (
    IDLE_SECONDS,
    LONGEST_SECONDS,
    PROGRESS_SECONDS,
    Moving,
    Receiving,
    Threads,
    begin_upload,
    describe,
)
from stations.models import TicketPurpose
from stations.services import words
from stations.services.files import tickets, updates
from tenants.errors import DomainError

log = logging.getLogger("voltyard.files")

MOST_CONNECTIONS = 200
_REFUSED = ("appe", "dele", "list", "mkd", "mlsd", "mlst", "rest", "rmd", "rnfr", "rnto")


class Ticket(aioftp.User):
    """Who logged in with a ticket. Its folder is empty to look at."""

    def __init__(self, login: str) -> None:
        super().__init__(login, base_path=Path("/"), home_path=PurePosixPath("/"))
        self.ticket: tickets.Found | None = None
        self.purpose = ""


class Tickets(aioftp.AbstractUserManager):
    def __init__(self, threads: Threads) -> None:
        super().__init__()
        self._threads = threads

    async def get_user(self, login: str) -> Any:
        answer = aioftp.AbstractUserManager.GetUserResponse.PASSWORD_REQUIRED
        return answer, Ticket(login[:64]), "password required"

    async def authenticate(self, user: Any, password: str) -> bool:
        found = await self._threads.run(lambda: tickets.find(f"{user.login}{password[:64]}"))
        if found is None:
            await asyncio.sleep(1)  # who guesses, guesses slowly
            return False
        try:
            ticket = await self._threads.within(
                found.tenant_id,
                lambda: tickets.taken(tenant_id=found.tenant_id, ticket_id=found.ticket_id),
            )
        except DomainError:
            return False
        user.ticket, user.purpose = found, ticket.purpose
        return True

    async def notify_logout(self, user: Any) -> None:
        return None


class _Writing:
    """What STOR writes into."""

    def __init__(self, receiving: Receiving) -> None:
        self._receiving = receiving

    async def write(self, data: bytes) -> None:
        await self._receiving.write(data)


class Door(aioftp.Server):
    """Only what a station needs: USER, PASS, TYPE, PASV, EPSV, PWD, CWD, STOR, RETR, QUIT."""

    def __init__(
        self, protocol: str, threads: Threads, moving: Moving, context: ssl.SSLContext | None
    ) -> None:
        super().__init__(
            Tickets(threads),
            idle_timeout=IDLE_SECONDS,
            socket_timeout=IDLE_SECONDS,
            wait_future_timeout=15,
            maximum_connections=MOST_CONNECTIONS,
            ipv4_pasv_forced_response_address=settings.FTP_PASSIVE_ADDRESS or None,
            data_ports=passive_ports(settings.FTP_PASSIVE_PORTS),
            ssl=context,
            welcome_message="files of stations",
        )
        self._protocol, self._threads, self._moving = protocol, threads, moving
        for command in _REFUSED:
            self.commands_mapping.pop(command, None)
        self.commands_mapping |= {"stor": self.stor, "retr": self.retr, "cwd": self.cwd, "pass": self.pass_}

    async def cwd(self, connection: Any, rest: Any) -> bool:
        """Every folder is the one folder: stations change into what they think they were given."""
        logged = connection.future.logged.done()
        connection.response(*(("250", "here") if logged else ("530", "log in first")))
        return True

    async def stor(self, connection: Any, rest: Any, mode: str = "wb") -> bool:
        user = connection.user if connection.future.logged.done() else None
        if user is None or user.ticket is None:
            connection.response("530", "log in first")
        elif user.purpose != TicketPurpose.LOG or self._moving.full:
            connection.response("450" if self._moving.full else "550", "nothing can be uploaded now")
        else:
            self._begin(connection, self._receive(connection, user.ticket, PurePosixPath(str(rest)).name))
        return True

    async def retr(self, connection: Any, rest: Any) -> bool:
        user = connection.user if connection.future.logged.done() else None
        if user is None or user.ticket is None:
            connection.response("530", "log in first")
        elif user.purpose == TicketPurpose.LOG or self._moving.full:
            connection.response("450" if self._moving.full else "550", "there is nothing to fetch now")
        else:
            self._begin(connection, self._give(connection, user.ticket))
        return True

    def _begin(self, connection: Any, work: Any) -> None:
        connection.response("150", "go on")
        connection.extra_workers.add(asyncio.create_task(work))

    async def _data(self, connection: Any) -> Any:
        """The data connection that the station opens after PASV."""
        stream = await asyncio.wait_for(
            asyncio.shield(connection.future.data_connection), self.wait_future_timeout
        )
        del connection.data_connection
        return stream

    async def _start_passive_server(self, connection: Any, handler_callback: Any) -> Any:
        async def only_its_own(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            """Who else finds the open port gets nothing of it. Asked at once: a connection that has ended, its data
            still unread, knows its peer no more under TLS."""
            peer = writer.get_extra_info("peername")
            if peer is None or _host(peer[0]) != _host(connection.client_host):
                writer.close()
            else:
                await handler_callback(reader, writer)

        return await super()._start_passive_server(connection, only_its_own)

    @contextlib.asynccontextmanager
    async def _place(self, ticket: tickets.Found) -> AsyncIterator[None]:
        with self._moving.one(ticket.ticket_id):
            async with asyncio.timeout(LONGEST_SECONDS):
                yield

    async def _receive(self, connection: Any, ticket: tickets.Found, name: str) -> bool:
        receiving: Receiving | None = None
        try:
            async with self._place(ticket):
                upload = await begin_upload(
                    self._threads, ticket, expected=None, address=str(connection.client_host)
                )
                receiving = Receiving(self._threads, upload, self._protocol)
                stream = await self._data(connection)
                async with stream:
                    async for block in stream.iter_by_block(self.block_size):
                        await receiving.write(block)
                if receiving.size:
                    await receiving.keep(name)
                    connection.response("226", "stored")
                else:
                    await receiving.drop(words.EMPTY)
                    connection.response("552", "the file is empty")
        except asyncio.CancelledError:
            if receiving is not None:
                await asyncio.shield(receiving.drop(describe(asyncio.CancelledError())))
            raise
        except Exception as error:
            if receiving is not None:
                await receiving.drop(describe(error))
            self._failed(connection, error)
        return True

    async def _give(self, connection: Any, ticket: tickets.Found) -> bool:
        try:
            async with self._place(ticket):
                given = await self._threads.within(
                    ticket.tenant_id,
                    lambda: updates.begin_download(
                        tenant_id=ticket.tenant_id,
                        ticket_id=ticket.ticket_id,
                        address=str(connection.client_host),
                    ),
                )
                path = Path(await self._threads.run(lambda: updates.local_copy(given)))
                stream = await self._data(connection)
                sent = reported = 0
                told = time.monotonic()
                try:
                    async with stream:
                        with await self._threads.run(lambda: path.open("rb")) as file:
                            read = partial(file.read, 128 * 1024)
                            while data := await self._threads.run(read):
                                await stream.write(data)
                                sent += len(data)
                                if time.monotonic() - told > PROGRESS_SECONDS:
                                    told = time.monotonic()
                                    await self._progress(given, sent, sent - reported)
                                    reported = sent
                finally:
                    await asyncio.shield(self._progress(given, sent, sent - reported))
                connection.response("226", "that was all")
        except asyncio.CancelledError:
            raise
        except Exception as error:
            self._failed(connection, error)
        return True

    async def _progress(self, given: updates.Download, reached: int, moved: int) -> None:
        """Told while it goes on: an old station on a slow line takes longer than an update is waited for in silence."""
        await self._threads.within(
            given.tenant_id, lambda: updates.progress(download=given, reached=reached, moved=moved)
        )

    def _failed(self, connection: Any, error: Exception) -> None:
        if not isinstance(error, DomainError | OSError | TimeoutError):
            log.exception("FTP transfer failed")
        full = isinstance(error, DomainError) and error.status == 413
        connection.response("552" if full else "426", describe(error).replace("\n", " ")[:200])


def _host(address: str) -> str:
    return str(address).removeprefix("::ffff:")


def passive_ports(text: str) -> range | None:
    """ "50000-50100" as a range; None: any."""
    first, _dash, last = text.partition("-")
    return range(int(first), int(last or first) + 1) if first.strip().isdigit() else None


async def _serve(host: str, port: int, secure_port: int) -> None:
    threads, moving = Threads(), Moving()
    doors = [(Door("ftp", threads, moving, None), port)]
    if settings.FTPS_CERTIFICATE:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(settings.FTPS_CERTIFICATE)
        doors.append((Door("ftps", threads, moving, context), secure_port))
    for door, at in doors:
        await door.start(host, at)
        log.info("serving files by FTP", extra={"port": at})
    try:
        await asyncio.Event().wait()
    finally:
        for door, _at in doors:
            with contextlib.suppress(Exception):
                await door.close()


def run(host: str, port: int) -> None:
    """Serve FTP on this port, and FTPS on the next one where FTPS_CERTIFICATE is set, until told to end."""
    import signal

    async def until_told() -> None:
        loop, serving = asyncio.get_running_loop(), asyncio.current_task()
        assert serving is not None
        loop.add_signal_handler(signal.SIGTERM, serving.cancel)
        await _serve(host, port, port + 1)

    try:
        with contextlib.suppress(asyncio.CancelledError, KeyboardInterrupt):
            asyncio.run(until_told())
    finally:
        connections.close_all()
