"""A small server of OpenAI's protocol on this machine."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@contextmanager
def completions_server() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Echoes the prompt's last word, then text beyond a stop string; gives its URL and what it is asked."""
    asked: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked.append(body)
            prompt = body["prompt"] if "prompt" in body else body["messages"][-1]["content"]
            text = f" {(prompt.split() or ['?'])[-1]}\nSTOP5 beyond"
            said = {"text": text} if "prompt" in body else {"message": {"role": "assistant", "content": text}}
            answer = {
                "id": "x", "object": "text_completion", "created": 0, "model": body["model"],
                "choices": [{"index": 0, **said, "finish_reason": "length", "logprobs": None}],
                "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
            }  # fmt: skip
            data = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=httpd.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{httpd.server_port}/v1", asked
    finally:
        httpd.shutdown()
        thread.join()
        httpd.server_close()
