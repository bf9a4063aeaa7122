#!/usr/bin/env python3
"""Writes down what arrives: DogStatsD datagrams in FOLDER/statsd, bodies of webhooks in FOLDER/webhook. Prints its two ports."""

import http.server
import pathlib
import socketserver
import sys
import threading

folder = pathlib.Path(sys.argv[1])


class Datagram(socketserver.BaseRequestHandler):
    def handle(self):
        with open(folder / "statsd", "ab") as out:
            out.write(self.request[0] + b"\n")


class Webhook(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with open(folder / "webhook", "ab") as out:
            out.write(body + b"\n")
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


udp = socketserver.UDPServer(("127.0.0.1", 0), Datagram)
tcp = http.server.HTTPServer(("127.0.0.1", 0), Webhook)
(folder / "statsd").touch()
(folder / "webhook").touch()
print(udp.server_address[1], tcp.server_address[1], flush=True)
threading.Thread(target=udp.serve_forever, daemon=True).start()
tcp.serve_forever()
