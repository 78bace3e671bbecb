"""A small server of Python on 127.0.0.1 that answers as a scenario says."""
import http.server
import json
import threading


class WebService:
    """`answer(handler, body)` is asked for each request; `say` sends what it wants to send."""

    def __init__(self, answer):
        class Handler(http.server.BaseHTTPRequestHandler):
            def handle_any(self):
                answer(self, self.rfile.read(int(self.headers.get("Content-Length") or 0)))

            do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = handle_any

            def say(self, status, document):
                self.send_response(status)
                self.end_headers()
                if status != 204:
                    self.wfile.write(document if isinstance(document, bytes) else json.dumps(document).encode())

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = "http://127.0.0.1:%d" % self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
