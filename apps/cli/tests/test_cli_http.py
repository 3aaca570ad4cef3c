"""Sockets that processes listen on."""

import socket

from aicd_cli.http import listening


def test_what_is_accepted_sends_its_answers_at_once():
    with listening("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()):
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
