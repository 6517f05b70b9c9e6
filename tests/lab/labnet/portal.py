"""A captive portal's web server, for a router's namespace: `python3 portal.py HTTP_PORT TLS_PORT CERTIFICATE KEY`. Whatever is
asked for, it leads to its own page; over TLS with its own certificate. Stands alone."""
import http.server
import ssl
import sys
import threading

PAGE = "http://login.hotel.test/"


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers like a portal: go there first."""
    timeout = 10

    def do_GET(self):
        self.send_response(302)
        self.send_header("Location", PAGE)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_POST = do_HEAD = do_GET

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    """A client that breaks off is nothing to talk about."""
    daemon_threads = True

    def handle_error(self, *_):
        pass


def main():
    http_port, tls_port, certificate, key = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
    plain, secured = Server(("", http_port), Handler), Server(("", tls_port), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    # the handshake in the thread of the connection: nobody waits for somebody else's
    secured.socket = context.wrap_socket(secured.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=plain.serve_forever, daemon=True).start()
    secured.serve_forever()


if __name__ == "__main__":
    main()
