"""What a server says when it does not answer, in whatever form: its words, and what a user can do about it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

WORDS = ("message", "detail", "error", "msg")
"""Where servers put their words: OpenAI, FastAPI, Ollama and llama.cpp, others."""
OF_PROXIES = frozenset({403, 407, 502, 503, 504})
"""Statuses with which a proxy answers in a server's place."""


def status_line(status: int, body: str) -> str:
    """A status and the server's words.

    >>> status_line(404, '{"detail": "Not Found"}'), status_line(400, '{"error": {"message": "too long"}}')
    ('status 404: Not Found', 'status 400: too long')
    >>> status_line(502, "<html>"), status_line(500, "")
    ('status 502: <html>', 'status 500')
    """
    said = _words(body).strip()
    return f"status {status}: {said}" if said else f"status {status}"


def _words(body: str) -> str:
    try:
        found: Any = json.loads(body)
    except (ValueError, RecursionError):
        return body
    while isinstance(found, dict) and (inner := next((found[name] for name in WORDS if found.get(name)), None)):
        found = inner
    return found if isinstance(found, str) else body


def advice(status: int, url: str, sent_on_to: str = "") -> str:
    """What a status may mean for the address that was asked; "" where it says enough itself.

    Args:
        url: the server's, as the user named it.
        sent_on_to: the address to which it has redirected the request.
    """
    if sent_on_to:
        return f" (the server sends requests on to {sent_on_to}: give the address from there)"
    if status == 404 and "v1" not in urlsplit(url).path:
        return f" (most servers answer below /v1: openai:{url.rstrip('/')}/v1#MODEL)"
    return through_proxy(url) if status in OF_PROXIES else ""


def through_proxy(url: str) -> str:
    """That a request goes through a proxy of the environment; "" where it does not."""
    parts = urlsplit(url)
    proxies: Mapping[str, str] = getproxies()
    scheme = next((name for name in (parts.scheme, "all") if proxies.get(name)), None)
    host = parts.hostname or ""
    if scheme is None or proxy_bypass(host):
        return ""
    return f" (asked through the proxy that {scheme.upper()}_PROXY names; NO_PROXY={host} asks directly)"
