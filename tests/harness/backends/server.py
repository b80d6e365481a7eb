"""A server of OpenAI's protocol on this machine, which can also misbehave."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Asked = list[dict[str, Any]]
Reply = tuple[int, dict[str, str], str]
Answer = Callable[[dict[str, Any], int], Reply | str]
"""From a request's body and how many came before it: status, headers and body; or for none of that "hang", "reset", "drip" (a byte
now and then), or "half" (the connection ends early)."""
DRIP_SECONDS = 0.1


def text_of(body: dict[str, Any]) -> str:
    """The prompt's last word, then text beyond a stop string."""
    prompt = body["prompt"] if "prompt" in body else body["messages"][-1]["content"]
    return f" {(prompt.split() or ['?'])[-1]}\nSTOP5 beyond"


def echo(body: dict[str, Any], number: int = 0) -> Reply:
    """A well-formed answer with as many choices as are asked for."""
    choices: list[dict[str, Any]] = []
    for index in range(body.get("n", 1)):
        text = text_of(body)
        said = {"text": text} if "prompt" in body else {"message": {"role": "assistant", "content": text}}
        choices.append({"index": index, "finish_reason": "length", "logprobs": None, **said})
    usage = {"prompt_tokens": 7, "completion_tokens": 3 * len(choices), "total_tokens": 10}
    answer = {"id": "x", "object": "text_completion", "created": 0, "model": body["model"], "choices": choices}
    return 200, {}, json.dumps({**answer, "usage": usage})


@contextmanager
def completions_server(answer: Answer = echo, metrics: Callable[[], str] | None = None) -> Iterator[tuple[str, Asked]]:
    """Gives the server's URL and what it is asked; `metrics` makes the text of its /metrics."""
    asked: Asked = []
    lock, closed = threading.Lock(), threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with lock:
                number = len(asked)
                asked.append({**body, "path": self.path, "authorization": self.headers.get("Authorization")})
            reply = answer(body, number)
            if reply == "hang":
                closed.wait()
            if reply in ("drip", "half"):
                self.send_response(200)
                self.send_header("Content-Length", "1000000")
                self.end_headers()
                with suppress(OSError):
                    self.wfile.write(b'{"choices": ')
                    while reply == "drip" and not closed.wait(DRIP_SECONDS):
                        self.wfile.write(b" ")
                        self.wfile.flush()
            if isinstance(reply, str):
                self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = True
                return
            status, headers, text = reply
            data = text.encode("latin-1" if headers.get("Content-Encoding") == "gzip" else "utf-8")
            self.send_response(status)
            for name, value in {
                "Content-Type": "application/json",
                "Content-Length": str(len(data)),
                **headers,
            }.items():
                self.send_header(name, value)
            with suppress(OSError):  # a client that was interrupted is gone
                self.end_headers()
                self.wfile.write(data)

        def do_GET(self) -> None:
            data = metrics().encode() if metrics is not None and self.path == "/metrics" else b""
            self.send_response(200 if data else 404)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    httpd.daemon_threads, httpd.block_on_close = True, False
    thread = threading.Thread(target=httpd.serve_forever, args=(0.05,))  # seconds until it sees that it is to end
    thread.start()
    try:
        yield f"http://127.0.0.1:{httpd.server_port}/v1", asked
    finally:
        closed.set()
        httpd.shutdown()
        thread.join()
        httpd.server_close()
