"""The frontend: the files of public/, and config.json, which tells them where the backend is."""

import json
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import settings

PUBLIC = Path(__file__).resolve().parent / "public"


class Handler(SimpleHTTPRequestHandler):
    """One request."""

    def do_GET(self):
        if self.path == "/config.json":
            self.answer_config()
        else:
            super().do_GET()

    def answer_config(self):
        config = {"project": settings.PROJECT_NAME, "backend_port": settings.BACKEND_PORT}
        content = json.dumps(config).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def main():
    handler = partial(Handler, directory=str(PUBLIC))
    server = ThreadingHTTPServer((settings.HOST, settings.FRONTEND_PORT), handler)
    # In one piece: the two servers share a terminal, and Python may be told to keep nothing back.
    print(f"frontend of {settings.PROJECT_NAME} on port {settings.FRONTEND_PORT}\n", end="", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
