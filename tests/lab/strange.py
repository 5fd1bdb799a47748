"""Scenarios that no two kernels play: a hand-made peer, a second sender, odd headers."""

import socket

from impair import Impairment, inject
from packet import ACK, AE, CWR, ECE, FIN, PSH, SYN, client_fin, forge
from puppet import MSS_OPTION, Puppet
from registry import scenario
from sequences import ACTIVE, CLIENT_FIRST, CLIENT_OPEN, PASSIVE, SERVER_OPEN

PORT = 7000
IPV6_DSTOPTS = 59
# Next header and length are the kernel's to fill in; one PadN of four bytes.
DESTINATION_OPTION = b"\0\0\1\4\0\0\0\0"


def _meet(lab):
    """The kernel's client opens to a hand-made server: (its socket, the server)."""
    puppet = Puppet(lab.server, lab.path.device, PORT)
    sock = lab.client.start_connect(puppet, PORT)
    puppet.receive(lambda packet: packet.syn)
    return sock, puppet


def _say_and_close(lab, sock, puppet):
    """Data one way, then four segments."""
    lab.pause()
    puppet.send(PSH | ACK, b"hello")
    puppet.receive(lambda packet: packet.pure_ack)
    _read(sock)
    sock.close()
    puppet.receive(lambda packet: packet.fin)
    puppet.send(ACK)
    lab.pause()
    puppet.send(FIN | ACK)
    puppet.receive(lambda packet: packet.pure_ack)


def _read(sock):
    """What has come; unread, it would turn close() into an abort."""
    sock.settimeout(5)
    sock.recv(100)


SPLIT = [("SYN_SENT SYN_RCVD ESTABLISHED FIN_WAIT_1 FIN_WAIT_2 TIME_WAIT", "")]


@scenario("Split handshake: a hand-made server answers the SYN with a SYN of its own and then ACK, "
          "the client with SYN+ACK", textbook=[2], expect=SPLIT, mirror="opening")
def split_handshake(lab):
    sock, puppet = _meet(lab)
    puppet.send(SYN, options=MSS_OPTION)
    puppet.receive(lambda packet: packet.syn and packet.ack)
    puppet.send(ACK)
    _say_and_close(lab, sock, puppet)


@scenario("Split handshake in five segments: ACK of the SYN, then SYN, then SYN+ACK, then ACK",
          textbook=[2], expect=SPLIT, mirror="opening")
def split_handshake_ack_first(lab):
    sock, puppet = _meet(lab)
    puppet.send(ACK)
    puppet.send(SYN, options=MSS_OPTION)
    puppet.receive(lambda packet: packet.syn and packet.ack)
    puppet.send(ACK)
    _say_and_close(lab, sock, puppet)


@scenario("A hand-made client asks for Accurate ECN: three flags of its SYN that older stacks "
          "take for ECN", textbook=[5], sysctls={"ipv4/tcp_ecn": 1},
          expect=[("", SERVER_OPEN + PASSIVE)], mirror="opening",
          shows=[("middle", "tcp.flags==0x1c2", 1), ("middle", "tcp.flags==0x52", 1)])
def accurate_ecn_asked(lab):
    listener = lab.server.listen(PORT)
    puppet = Puppet(lab.client, lab.path.device, 40001)
    puppet.address_to(lab.server, PORT)
    puppet.send(AE | CWR | ECE | SYN, options=MSS_OPTION)
    puppet.receive(lambda packet: packet.syn)
    puppet.send(ACK)
    server = lab.server.accept(listener)
    puppet.send(PSH | ACK, b"hello")
    lab.pause()
    puppet.send(FIN | ACK)
    puppet.receive(lambda packet: packet.pure_ack)
    _read(server)
    lab.pause()
    server.close()
    puppet.receive(lambda packet: packet.fin)
    puppet.send(ACK)
    lab.pause()


@scenario("A hand-made server grants Accurate ECN, unasked: the ninth flag in its SYN+ACK",
          textbook=[5], sysctls={"ipv4/tcp_ecn": 1}, expect=[(CLIENT_OPEN + ACTIVE, "")],
          mirror="opening", shows=[("middle", "tcp.flags==0x112", 1)])
def accurate_ecn_answered(lab):
    sock, puppet = _meet(lab)
    puppet.send(AE | SYN | ACK, options=MSS_OPTION)
    puppet.receive(lambda packet: packet.pure_ack)
    _say_and_close(lab, sock, puppet)


@scenario("A broken stack sends data after its FIN, and the client does not take it",
          textbook=[7], expect=[(CLIENT_OPEN + PASSIVE, "")], mirror="opening")
def data_after_fin(lab):
    sock, puppet = _meet(lab)
    puppet.send(SYN | ACK, options=MSS_OPTION)
    puppet.receive(lambda packet: packet.pure_ack)
    puppet.send(PSH | ACK, b"hello")
    puppet.send(FIN | ACK)
    lab.pause()
    puppet.send(PSH | ACK, b"and another thing", seq=puppet.nxt)
    lab.pause()
    _read(sock)
    sock.close()
    puppet.receive(lambda packet: packet.fin)
    puppet.send(ACK)
    lab.pause()


@scenario("A second sender in the client's name sends data after the client's FIN",
          textbook=[7], expect=CLIENT_FIRST,
          path=Impairment(rules=[inject("forged data after FIN of the client", client_fin,
                                        lambda raw: forge(raw, PSH | ACK, 1, b"more"), 0.1)]))
def data_after_fin_by_another(lab):
    client, server = lab.open()
    lab.exchange(client, server)
    client.close()
    lab.pause(0.4)
    server.close()
    lab.pause()


@scenario("Every segment over IPv6 with an extension header: destination options before TCP",
          textbook=[8], expect=CLIENT_FIRST, ip=6,
          shows=[("middle", "ipv6.dstopts && tcp.flags.fin==1", 2)])
def ipv6_extension_headers(lab):
    options = [(socket.IPPROTO_IPV6, IPV6_DSTOPTS, DESTINATION_OPTION)]
    client, server = lab.open(client_options=options, server_options=options)
    server.setsockopt(*options[0])
    lab.exchange(client, server)
    client.close()
    lab.pause()
    server.close()
    lab.pause()
