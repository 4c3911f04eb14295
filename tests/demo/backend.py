#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""A backend of the demo: answers HTTP requests and datagrams with its own name.

    backend.py NAME PORT

Both protocols and both families on one port; says "ready" once it listens."""
import http.server
import socket
import sys
import threading


def bind_both_families(listener, port):
    listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    listener.bind(("::", port))


class Handler(http.server.BaseHTTPRequestHandler):
    # HTTP/1.0: the server closes first, so that a client's port is free at once.
    wbufsize = -1  # headers and body in one segment

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.end_headers()
        self.wfile.write(self.server.name)

    def log_message(self, *args):
        pass


class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6
    request_queue_size = 128

    def __init__(self, name, port):
        super().__init__(("::", port), Handler)
        self.name = name

    def server_bind(self):  # HTTPServer's own would look up the host's name
        bind_both_families(self.socket, self.server_address[1])


def answer_datagrams(name, port):
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as datagrams:
        bind_both_families(datagrams, port)
        while True:
            client = datagrams.recvfrom(2048)[1]
            datagrams.sendto(name, client)


if __name__ == "__main__":
    name, port = sys.argv[1].encode(), int(sys.argv[2])
    threading.Thread(target=answer_datagrams, args=(name, port), daemon=True).start()
    server = Server(name, port)
    print("ready", flush=True)
    server.serve_forever()
