"""TLS in front of a gateway: a real nginx under the configuration of docs/tls.md, and a small proxy of our own."""

from __future__ import annotations

import asyncio
import base64
import os
import re
import shutil
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import create_connection

import pytest

from cpo.embedded import ports, programs
from cpo.embedded.problems import Problem
from tests.servers import server_program
from tests.stations import pki

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "tls.md"
PROXY = "127.0.0.2"  # from where proxies come; the tests' other peers come from 127.0.0.1


class Papers:
    """What a TLS server shows: a certificate under the test's own public root."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = pki.Authority("Public root")
        self.certificate, self.key = folder / "server.pem", folder / "server.key"
        (folder / "root.pem").write_text(self.root.pem)
        self.renew()

    def renew(self) -> str:
        """A new certificate in the same files; its serial number."""
        certificate, key = self.root.issue("ocpp.example", names=("127.0.0.1", "localhost"))
        self.key.write_text(key)
        self.certificate.write_text(certificate)
        return certificate

    def client(self, shown: tuple[str, str] | None = None) -> ssl.SSLContext:
        """A station's side: trusts the root, shows (certificate, key) if given."""
        context = ssl.create_default_context(cafile=str(self.folder / "root.pem"))
        if shown:
            name = self.folder / f"client-{abs(hash(shown))}.pem"
            name.write_text("".join(shown))
            context.load_cert_chain(name)
        return context


@contextmanager
def nginx(papers: Papers, gateway_port: int, program: str) -> Iterator[int]:
    """A real one; gives its port."""
    port = ports.any_free()
    text = re.search(r"```nginx\n(.*?)```", DOCUMENT.read_text(), re.S)
    assert text is not None
    server = text[1].replace("listen 443 ssl;", f"listen 127.0.0.1:{port} ssl;")
    server = server.replace("/etc/nginx/ocpp.example.pem", str(papers.certificate))
    server = server.replace("/etc/nginx/ocpp.example.key", str(papers.key))
    server = server.replace("http://127.0.0.1:9000;", f"http://127.0.0.1:{gateway_port}; proxy_bind {PROXY};")
    home = papers.folder / f"nginx-{port}"
    home.mkdir()
    temporary = "".join(
        f"{name}_temp_path {home}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    configuration = home / "nginx.conf"
    configuration.write_text(
        f"daemon off; master_process off; pid {home}/pid; error_log {home}/error.log;\n"
        f"events {{}} http {{ access_log off; {temporary}\n{server} }}"
    )
    process = subprocess.Popen(
        [program, "-p", str(home), "-c", str(configuration)],
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    try:
        for _try in range(200):
            if process.poll() is not None:
                raise RuntimeError((home / "error.log").read_text())
            try:
                create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait(10)


class SmallProxy(threading.Thread):
    """Ends TLS and adds the certificate as RFC 9440 writes it: the same contract, by other code than nginx's."""

    def __init__(self, papers: Papers, gateway_port: int, trusted: list[str]) -> None:
        super().__init__(daemon=True)
        self.port, self._gateway_port = ports.any_free(), gateway_port
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(papers.certificate, papers.key)
        self._context.verify_mode = ssl.CERT_OPTIONAL
        self._context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        if trusted:
            self._context.load_verify_locations(cadata="".join(trusted))
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self.start()
        self._ready.wait(10)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self.join(10)
        self._loop.close()

    def run(self) -> None:
        server = asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=self._context)
        self._loop.run_until_complete(server)
        self._ready.set()
        self._loop.run_forever()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line, rest = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n", 1)
        added = b"X-Forwarded-Proto: https\r\n"
        der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        if der:
            added += b"Client-Cert: :" + base64.b64encode(der) + b":\r\n"
        inner_reader, inner_writer = await asyncio.open_connection(
            "127.0.0.1", self._gateway_port, local_addr=(PROXY, 0)
        )
        inner_writer.write(line + b"\r\n" + added + rest)
        await asyncio.gather(_copy(reader, inner_writer), _copy(inner_reader, writer))


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    try:
        while data := await source.read(65_536):
            target.write(data)
            await target.drain()
    except (OSError, ssl.SSLError):
        pass
    finally:
        target.close()


def nginx_program() -> str:
    """nginx out of its wheel, as PostgreSQL and Redis come out of theirs; else the machine's own; else the test is
    skipped."""
    try:
        return str(server_program(programs.NGINX))
    except (Problem, OSError, StopIteration) as problem:
        found = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
        if found is None:
            pytest.skip(f"There is no nginx here: {problem}")
        return found
