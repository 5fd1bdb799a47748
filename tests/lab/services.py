"""Services with a fault each, or none: what a person asks about, whole minutes long.

A leak shows only after a minute in CLOSE_WAIT, so most of these wait. They are the
evidence for the first line of a report; `tests/it/services.rs` says what it must be.
"""

import socket

from host import abort, forget
from impair import Impairment, answer, drop
from lab import read_exactly
from opening import client_but_no_syn
from packet import answering_syn, client_data, refuse
from registry import scenario

# Longer than the minute from which on a CLOSE_WAIT counts as stuck.
STUCK = 66
# Keepalives after one second, three of them.
KEEPALIVE = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
             (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 2),
             (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 2),
             (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 5)]


def service(title, **options):
    """A scenario whose parts are not exchanged: the fault is the point."""
    return scenario(title, options.pop("expect", []), mirror="service", **options)


def wait_beside_others(lab, seconds=STUCK):
    """Time passes, and another service is used, which shows in the capture that it does."""
    listener = lab.server.listen(8089)
    for _ in range(seconds // 6 + 1):
        client, server = lab.connect(listener)
        lab.exchange_at_once(client, server)
        client.close()
        lab.answer_fin(server)
        lab.pause(6)


def client_closes(lab, listener):
    """A request, its answer, and the client closes: what is left of the server's end."""
    client, server = lab.connect(listener)
    lab.exchange(client, server)
    client.close()
    return server


@service("The server's application never closes 12 of 14 connections")
def service_leaks(lab):
    listener = lab.server.listen(6800)
    for number in range(14):
        server = client_closes(lab, listener)
        if number % 7 == 3:
            lab.pause()
            server.close()
        lab.pause(0.8)
    wait_beside_others(lab)


@service("An error path: one in five connections is never closed, all the time")
def service_leaks_on_errors(lab):
    listener = lab.server.listen(8443)
    for number in range(100):
        server = client_closes(lab, listener)
        if number % 5 != 4:
            lab.pause()
            server.close()
        lab.pause(1.1)
    wait_beside_others(lab, 12)


@service("The client's application never closes what the server has closed after its answer")
def service_client_leaks(lab):
    listener = lab.server.listen(80)
    for _ in range(8):
        client, server = lab.connect(listener)
        lab.exchange_at_once(client, server)
        server.close()
        lab.pause(0.5)
    wait_beside_others(lab)


@service("The client never reads the answers to their end, nor closes them: unread bodies")
def service_client_leaves_bodies(lab):
    listener = lab.server.listen(8000)
    for _ in range(5):
        client, server = lab.connect(listener)
        client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        read_exactly(server, 18)
        server.sendall(b"x" * 5000)
        read_exactly(client, 100)
        server.close()
        lab.pause(0.5)
    wait_beside_others(lab)


def _proxied(lab, front, back):
    """A client of a proxy on the server's host, whose backend is on the client's host."""
    client, proxy = lab.connect(front)
    upstream = lab.server.connect(lab.client, 9000)
    backend = lab.client.accept(back)
    client.sendall(b"q" * 40)
    read_exactly(proxy, 40)
    lab.exchange_at_once(upstream, backend)
    proxy.sendall(b"a" * 40)
    read_exactly(client, 40)
    lab.pause(0.1)
    return client, proxy, upstream, backend


@service("A proxy's front leg leaks: it closes its upstream, and not its clients")
def service_proxy_front_leaks(lab):
    front, back = lab.server.listen(8080), lab.client.listen(9000)
    for _ in range(6):
        client, _proxy, upstream, backend = _proxied(lab, front, back)
        client.close()
        upstream.close()
        lab.answer_fin(backend)
        lab.pause(0.5)
    wait_beside_others(lab)


@service("A proxy's back leg leaks: its upstream closes, and it does not")
def service_proxy_back_leaks(lab):
    front, back = lab.server.listen(8080), lab.client.listen(9000)
    for _ in range(6):
        client, proxy, _upstream, backend = _proxied(lab, front, back)
        client.close()
        lab.answer_fin(proxy)
        backend.close()
        lab.pause(0.5)
    wait_beside_others(lab)


@service("A pool on the client holds what the server closed after five idle seconds")
def service_idles_out_a_pool(lab):
    listener = lab.server.listen(3000)
    pairs = [lab.connect(listener) for _ in range(5)]
    for client, server in pairs:
        lab.exchange(client, server)
        lab.pause(0.3)
    lab.pause(3.25)
    for _, server in pairs:
        server.close()
        lab.pause(0.35)
    wait_beside_others(lab)


@service("Nobody calls accept(): clients come, ask, and leave")
def service_never_accepts(lab):
    lab.server.listen(6379)
    for _ in range(6):
        client = lab.client.connect(lab.server, 6379)
        client.sendall(b"PING\r\n")
        lab.pause(0.6)
        client.close()
    wait_beside_others(lab)


@service("close() without effect: a copy of each descriptor is open elsewhere")
def service_shares_its_descriptors(lab):
    listener = lab.server.listen(5000)
    copies = []
    for _ in range(5):
        server = client_closes(lab, listener)
        copies.append(server.dup())
        server.close()
        lab.pause(0.5)
    wait_beside_others(lab)
    return copies


@service("A burst of clients leaves at once; the server closes after 65 seconds")
def service_closes_late(lab):
    listener = lab.server.listen(8888)
    pairs = [lab.connect(listener) for _ in range(6)]
    for client, server in pairs:
        lab.exchange_at_once(client, server)
    for client, _ in pairs:
        client.close()
    lab.pause(65)
    for _, server in pairs:
        server.close()
    lab.pause(1)


@service("A slow closer: each connection is closed twenty seconds after the client's close")
def service_closes_slowly(lab):
    listener = lab.server.listen(8081)
    waiting = []
    for _ in range(6):
        waiting.append(client_closes(lab, listener))
        lab.pause(0.5)
    lab.pause(20)
    for server in waiting:
        server.close()
        lab.pause(0.5)


@service("A long and legal half-close: the client has asked, the server sends for 70 seconds")
def service_streams_into_half_close(lab):
    listener = lab.server.listen(8554)
    pairs = [lab.connect(listener) for _ in range(4)]
    for client, server in pairs:
        client.sendall(b"everything, please")
        client.shutdown(socket.SHUT_WR)
        read_exactly(server, 18)
    for _ in range(14):
        for client, server in pairs:
            server.sendall(b"x" * 1000)
            read_exactly(client, 1000)
        lab.pause(5)
    for client, server in pairs:
        server.close()
        lab.pause()
        client.close()


@service("A health checker: connect and close, by FIN and by RST, beside a client that is served")
def service_is_checked(lab):
    listener = lab.server.listen(8082)
    for number in range(12):
        client, server = lab.connect(listener)
        if number % 2:
            client.close()
            lab.answer_fin(server)
        else:
            abort(client)
        lab.pause(0.5)
    client_closes(lab, listener).close()
    lab.pause()


@service("A process is killed with requests unread")
def service_is_killed(lab):
    process, clients = lab.hold("server", connections=6, port=6801)
    for client in clients:
        client.sendall(b"a long story, please")
    lab.pause(1)
    process.kill()
    lab.pause(1)


@service("A pulled cable under load: the clients' data goes unanswered")
def service_behind_pulled_cable(lab):
    listener = lab.server.listen(5432)
    pairs = [lab.connect(listener) for _ in range(3)]
    for client, server in pairs:
        lab.exchange(client, server)
    lab.cut()
    for client, _ in pairs:
        client.sendall(b"SELECT 1;")
    lab.pause(14)


@service("A middlebox forgets connections that were idle for 65 seconds")
def service_behind_forgetful_nat(lab):
    listener = lab.server.listen(1883)
    pairs = [lab.connect(listener) for _ in range(3)]
    for client, server in pairs:
        lab.exchange(client, server)
    lab.pause(65)
    lab.cut()
    for client, _ in pairs:
        client.sendall(b"still there?")
    lab.pause(14)


@service("A firewall forgets connections that were idle for 65 seconds, and rejects what comes",
         path=Impairment(rules=[answer("data of the client after the silence by a RST with TTL 255",
                                       client_data, lambda raw: refuse(raw, 255), (4, 5, 6))]))
def service_behind_rejecting_firewall(lab):
    listener = lab.server.listen(1521)
    pairs = [lab.connect(listener) for _ in range(3)]
    for client, server in pairs:
        lab.exchange(client, server)
    lab.pause(65)
    for client, _ in pairs:
        client.sendall(b"SELECT 1 FROM DUAL")
    lab.pause(1)


@service("The accept queue is full: clients are connected, and nobody hears them",
         sysctls={"ipv4/tcp_syncookies": 0}, path=Impairment(to_server=0.02, to_client=0.02))
def service_accept_queue_full(lab):
    lab.server.listen(9200, backlog=1)
    clients = [lab.client.connect(lab.server, 9200)]
    lab.pause()
    clients += [lab.client.start_connect(lab.server, 9200) for _ in range(2)]
    lab.pause(0.3)
    for client in clients:
        client.send(b"GET / HTTP/1.1\r\n\r\n")
    lab.pause(12)


@service("TCP_DEFER_ACCEPT, and clients that take five seconds to speak: slow, and no fault")
def service_defers_accept(lab):
    listener = lab.server.listen(
        8083, options=[(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 3)])
    clients = [lab.client.connect(lab.server, 8083) for _ in range(4)]
    lab.pause(5)
    for client in clients:
        client.sendall(b"q" * 40)
        server = lab.server.accept(listener)
        read_exactly(server, 40)
        server.sendall(b"a" * 40)
        read_exactly(client, 40)
        client.close()
        lab.answer_fin(server)
    lab.pause()


@service("The server's host restarts: it knows nothing of its connections")
def service_reboots(lab):
    listener = lab.server.listen(2049)
    pairs = [lab.connect(listener) for _ in range(3)]
    for client, server in pairs:
        lab.exchange(client, server)
    for _, server in pairs:
        forget(server)
    lab.pause(2)
    for client, _ in pairs:
        client.sendall(b"are you there")
    lab.pause()


@service("The keep-alive race: a request crosses the FIN of a server that idles connections out",
         path=Impairment(to_server=0.05, to_client=0.05))
def service_keepalive_race(lab):
    listener = lab.server.listen(8084)
    pairs = [lab.connect(listener) for _ in range(3)]
    for client, server in pairs:
        client.sendall(b"q" * 40)
        read_exactly(server, 40)
        server.sendall(b"a" * 40)
        read_exactly(client, 40)
    lab.pause(5)
    for client, server in pairs:
        server.close()
        lab.pause(0.02)
        client.sendall(b"q" * 40)
    lab.pause(1)


@service("The server refuses an upload: it answers and closes with the rest unread")
def service_leaves_uploads_unread(lab):
    small = [(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)]
    listener = lab.server.listen(8085, options=small)
    for _ in range(4):
        client, server = lab.connect(listener)
        client.setblocking(False)
        client.send(b"x" * 40000)
        read_exactly(server, 100)
        server.sendall(b"HTTP/1.1 413 Content Too Large\r\n\r\n")
        lab.pause(0.05)
        server.close()
        lab.pause(0.3)


@service("The server aborts each connection after its answer: SO_LINGER with zero time")
def service_aborts(lab):
    listener = lab.server.listen(8086)
    for _ in range(5):
        client, server = lab.connect(listener)
        client.sendall(b"q" * 40)
        read_exactly(server, 40)
        server.sendall(b"a" * 40)
        read_exactly(client, 40)
        abort(server)
        lab.pause(0.3)


@service("The server stops reading for fifteen seconds: a closed window")
def service_stops_reading(lab):
    small = [(socket.SOL_SOCKET, socket.SO_RCVBUF, 2304)]
    client, server = lab.open(port=9092, server_options=small)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16384)
    client.setblocking(False)
    sent = client.send(b"x" * 8000)
    lab.pause(15)
    read_exactly(server, sent)
    client.close()
    lab.pause()
    server.close()
    lab.pause()


@service("The service is down: every connection is refused")
def service_is_down(lab):
    for _ in range(6):
        lab.client.start_connect(lab.server, 11211)
        lab.pause(0.5)


@service("Forty short connections, closed by the client first: a crowd of TIME_WAIT, and in order")
def service_makes_time_waits(lab):
    listener = lab.server.listen(8087)
    for _ in range(40):
        client, server = lab.connect(listener)
        lab.exchange_at_once(client, server)
        client.close()
        lab.answer_fin(server)
        lab.pause(0.02)
    lab.pause(1)


@service("Idle connections with keepalives that are answered: in order",
         expect=[])
def service_keeps_alive(lab):
    listener = lab.server.listen(5672, options=KEEPALIVE)
    for _ in range(3):
        lab.exchange(*lab.connect(listener))
    lab.pause(13)


@service("A SYN flood: sixty SYN+ACKs that nobody answers",
         path=Impairment(rules=[drop("anything but SYN of the client", client_but_no_syn, None),
                                drop("SYN+ACK", answering_syn, None)]),
         sysctls={"ipv4/tcp_syn_retries": 1})
def service_is_flooded(lab):
    lab.server.listen(8088)
    for _ in range(60):
        lab.client.start_connect(lab.server, 8088)
        lab.pause(0.02)
    lab.pause(6)


@service("A SYN flood, and a server that keeps nothing: it sends SYN cookies",
         path=Impairment(rules=[drop("anything but SYN of the client", client_but_no_syn, None),
                                drop("SYN+ACK", answering_syn, None)]),
         sysctls={"ipv4/tcp_syn_retries": 1, "ipv4/tcp_syncookies": 2})
def service_sends_cookies(lab):
    lab.server.listen(8090)
    for _ in range(30):
        lab.client.start_connect(lab.server, 8090)
        lab.pause(0.02)
    lab.pause(8)
    # The capture goes on for so long, which only a packet shows.
    lab.client.start_connect(lab.server, 8090)
    lab.pause(0.2)


@service("A scan: one client tries thirty ports, of which one is open")
def service_is_scanned(lab):
    lab.server.listen(7010)
    for port in range(7000, 7030):
        abort(lab.client.start_connect(lab.server, port))
        lab.pause(0.05)
    lab.pause(0.5)
