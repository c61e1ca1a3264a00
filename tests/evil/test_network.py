"""A program that looks for a network: the internet, the host, name servers, loopback."""

# ruff: noqa: E501 - attacks are easiest to read as one line each

from __future__ import annotations

import socket
import threading

import pytest

CODE = {
    "python": """
import socket
for address in (("1.1.1.1", 53), ("10.0.0.1", 80), ("172.17.0.1", 80), ("169.254.169.254", 80), ("127.0.0.1", PORT)):
    try:
        socket.create_connection(address, timeout=1)
    except OSError:
        continue
    raise SystemExit("connected")
try:
    socket.getaddrinfo("deb.debian.org", 80)
except OSError:
    pass
else:
    raise SystemExit("resolved")
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
try:
    udp.sendto(b"hello", ("8.8.8.8", 53))
except OSError:
    pass
else:
    raise SystemExit("sent")
""",
    "cpp": """
int s = socket(AF_INET, SOCK_STREAM, 0);
struct sockaddr_in to = {};
to.sin_family = AF_INET; to.sin_port = htons(PORT); to.sin_addr.s_addr = htonl(0x7f000001);
if (connect(s, (struct sockaddr*) &to, sizeof to) == 0) abort();
to.sin_port = htons(53); to.sin_addr.s_addr = htonl(0x01010101);
if (connect(s, (struct sockaddr*) &to, sizeof to) == 0) abort();
""",
    "java": """
for (String host : new String[] {"127.0.0.1", "1.1.1.1"}) {
    boolean connected = false;
    try (java.net.Socket s = new java.net.Socket()) {
        s.connect(new java.net.InetSocketAddress(host, host.startsWith("127") ? PORT : 53), 1000);
        connected = true;
    } catch (IOException e) { }
    if (connected) throw new Error("connected");
}
""",
    "go": """
for _, address := range []string{"127.0.0.1:PORT", "1.1.1.1:53"} {
    if c, err := net.DialTimeout("tcp", address, time.Second); err == nil { panic(c) }
}
""",
    "rust": """
for address in ["127.0.0.1:PORT", "1.1.1.1:53"] {
    assert!(std::net::TcpStream::connect(address).is_err());
}
""",
}
DECLARATIONS = {
    "cpp": "#include <sys/socket.h>\n#include <netinet/in.h>\n#include <arpa/inet.h>\n#include <stdlib.h>",
    "go": 'import "net"\nimport "time"',
}


@pytest.mark.parametrize("language", CODE)
def test_there_is_no_network(arena, language):
    with socket.create_server(("127.0.0.1", 0)) as server:
        reached = []

        def wait() -> None:
            try:
                reached.append(server.accept())
            except OSError:
                return

        waiting = threading.Thread(target=wait, daemon=True)
        waiting.start()
        code = CODE[language].replace("PORT", str(server.getsockname()[1]))
        assert arena.attack(language, code, DECLARATIONS.get(language, "")).passed
        assert not reached
        server.shutdown(socket.SHUT_RDWR)
        waiting.join()


def test_no_connection_reaches_a_socket_of_the_host_by_name(arena):
    # abstract Unix sockets have no file: only a network namespace of one's own keeps them apart
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("\0octopack-evil-host")
        server.listen()
        code = "import socket\ntry:\n    socket.socket(socket.AF_UNIX).connect('\\0octopack-evil-host')\nexcept OSError:\n    pass\nelse:\n    raise SystemExit('connected')"
        assert arena.attack("python", code).passed
