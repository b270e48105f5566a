"""Reverse proxies with TLS in front of a server on this machine: a small one, and nginx."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from certificates import certificate
from running import free_port, until

NGINX = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")


def trusting(folder: Path) -> ssl.SSLContext:
    """How a browser checks the certificate in a folder."""
    made = ssl.create_default_context(cafile=folder / "cert.pem")
    made.check_hostname = False  # it connects to 127.0.0.1
    return made


@contextmanager
def forwarding(
    folder: Path, to: int, path: Callable[[str], str] = str, host: str | None = None
) -> Iterator[int]:
    """Forwards each request with its Host, or `host`, and the address of the client behind what
    the client says of that; gives the port. `path`: what becomes of the path."""
    if not (folder / "cert.pem").exists():
        certificate(folder, "box.example")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            first, *lines = head.rstrip("\r\n").split("\r\n")
            method, target, _ = first.split(" ")
            given = [line.partition(": ")[::2] for line in lines]
            long = next((int(v) for k, v in given if k.lower() == "content-length"), 0)
            body = await reader.readexactly(long)
            client = writer.get_extra_info("peername")[0]
            said = [value for name, value in given if name.lower() == "x-forwarded-for"]
            names = ("connection", "x-forwarded-for", *(["host"] if host else []))
            kept = [f"{name}: {value}" for name, value in given if name.lower() not in names]
            kept += [f"X-Forwarded-For: {', '.join([*said, client])}", "Connection: close"]
            kept += [f"Host: {host}"] if host else []
            asked = "\r\n".join([f"{method} {path(target)} HTTP/1.1", *kept, "", ""])
            upstream, sent = await asyncio.open_connection("127.0.0.1", to)
            sent.write(asked.encode("latin-1") + body)
            writer.write(await upstream.read())
            await writer.drain()
            sent.close()
        except (OSError, asyncio.IncompleteReadError):
            pass  # one of the two has gone
        finally:
            writer.close()

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def started() -> asyncio.Server:
        return await asyncio.start_server(forward, "127.0.0.1", 0, ssl=context)

    async def ended(server: asyncio.Server) -> None:
        server.close()
        await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()})

    server = asyncio.run_coroutine_threadsafe(started(), loop).result(10)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        asyncio.run_coroutine_threadsafe(ended(server), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


@contextmanager
def nginx(folder: Path, location: str) -> Iterator[int]:
    """Runs nginx with the lines of a `location`, as they stand in a `server`; gives the port."""
    assert NGINX is not None
    if not (folder / "cert.pem").exists():
        certificate(folder, "box.example")
    port = free_port()
    file = folder / "nginx.conf"
    temporary = "".join(
        f"{name}_temp_path {folder}/{name};\n"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    user = f"user {os.environ.get('USER', 'root')};" if os.geteuid() == 0 else ""
    file.write_text(
        f"{user} daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log;\n"
        f"events {{}}\nhttp {{ access_log off;\n{temporary}server {{\n"
        f"listen 127.0.0.1:{port} ssl; server_name box.example;\n"
        f"ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/key.pem;\n"
        f"{location}\n}} }}\n"
    )
    process = subprocess.Popen([NGINX, "-c", file, "-e", folder / "error.log"])
    try:
        until(lambda: process.poll() is not None or (folder / "nginx.pid").exists(), "nginx")
        assert process.poll() is None, (folder / "error.log").read_text()
        yield port
    finally:
        process.terminate()
        process.wait(10)


def block_in(document: Path, kind: str, holding: str) -> str:
    """The one code block of a kind in a document that holds some words."""
    blocks = re.findall(rf"```{kind}\n(.*?)```", document.read_text("utf-8"), re.DOTALL)
    found = [block for block in blocks if holding in block]
    assert len(found) == 1, f"{document.name}: {len(found)} blocks of {kind} with {holding!r}"
    return str(found[0])
