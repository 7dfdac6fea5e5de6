"""The backend: JSON over HTTP."""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import settings
from notes import Notes

LARGEST_BODY = 64 * 1024


class Handler(BaseHTTPRequestHandler):
    """One request."""

    notes = Notes()

    def do_GET(self):
        if self.path == "/api/health":
            self.answer(200, {"status": "ok", "app": settings.PROJECT_NAME})
        elif self.path == "/api/notes":
            self.answer(200, self.notes.all())
        else:
            self.answer(404, {"error": "there is nothing at this address"})

    def do_POST(self):
        if self.path != "/api/notes":
            self.answer(404, {"error": "there is nothing at this address"})
            return
        try:
            self.answer(201, self.notes.add(self.body().get("text")))
        except ValueError as error:
            self.answer(400, {"error": str(error)})

    def do_OPTIONS(self):
        self.answer(204, None)

    def body(self):
        length = int(self.headers.get("Content-Length") or 0)
        if length > LARGEST_BODY:
            raise ValueError("the request is too large")
        body = json.loads(self.rfile.read(length) or b"{}")
        if not isinstance(body, dict):
            raise ValueError("the request is not an object")
        return body

    def answer(self, status, value):
        content = b"" if value is None else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.allow_frontend()
        self.end_headers()
        self.wfile.write(content)

    def allow_frontend(self):
        """The frontend's pages come from another port, which to a browser is another site."""
        origin = self.headers.get("Origin") or ""
        host, _, port = origin.rpartition(":")
        if port == str(settings.FRONTEND_PORT) and host in ("http://localhost", "http://127.0.0.1"):
            self.send_header("Access-Control-Allow-Origin", origin)
            self.send_header("Access-Control-Allow-Methods", "GET, POST, OPTIONS")
            self.send_header("Access-Control-Allow-Headers", "Content-Type")
            self.send_header("Vary", "Origin")


def main():
    server = ThreadingHTTPServer((settings.HOST, settings.BACKEND_PORT), Handler)
    # In one piece: the two servers share a terminal, and Python may be told to keep nothing back.
    print(f"backend of {settings.PROJECT_NAME} on port {settings.BACKEND_PORT}\n", end="", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
