#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""A small HTTP server that answers its own name: httpd.py NAME PORT [ADDRESS].

It listens on all addresses of both families unless told (IPv4 as ::ffff:a.b.c.d).
/ is the name, /client the client's address, /bytes/N a body of N bytes; what is PUT
comes back.
"""
import http.server
import socket
import sys


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Headers and a short body in one segment, as real servers send them.
    wbufsize = -1

    def do_GET(self):
        if self.path.startswith("/bytes/"):
            body = bytes(i % 251 for i in range(int(self.path[len("/bytes/"):])))
        elif self.path == "/client":
            body = self.client_address[0].removeprefix("::ffff:").encode()
        else:
            body = self.server.name
        self.answer(body)

    def do_PUT(self):
        self.answer(self.rfile.read(int(self.headers["Content-Length"])))

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6
    request_queue_size = 1024

    def server_bind(self):
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        # HTTPServer's own would look up the host's name.
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()


name, port, address = [*sys.argv[1:], "::"][:3]
server = Server((address, int(port)), Handler)
server.name = name.encode()
print("ready", flush=True)
server.serve_forever()
