"""The address of a model behind a server: `URL#MODEL`, and what of it may be shown and stored."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit, urlunsplit

from mtp_eval.harness.errors import InputError

KEY_VARIABLE = "OPENAI_API_KEY"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A server's base URL and the model's name there."""

    url: str
    model: str

    @classmethod
    def of(cls, source: str) -> Endpoint:
        """Parse URL#MODEL.

        Raises:
            InputError: it has no URL or no model.
        """
        url, _, model = source.rpartition("#")
        try:
            parts = urlsplit(url)
            known = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
            is_secret = parts.query or "@" in parts.path  # a key that would be shown; a password with a slash in it
            known = known and not is_secret and source.isprintable() and " " not in url
        except ValueError:  # a port that is no number
            known = False
        if not known or not model:
            raise InputError(
                f"openai:{_printable(_without_user(source))}: expected openai:URL#MODEL, such as openai:http://localhost:8000/v1#my-model, "
                "without a query; a key belongs into OPENAI_API_KEY"
            )
        return cls(url, model)

    @property
    def address(self) -> str:
        """The URL without a user's name and password: what requests go to, and what messages show."""
        parts = urlsplit(self.url)
        return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))

    @property
    def authorization(self) -> dict[str, str]:
        """The header that a user and a password in the URL ask for; empty without them."""
        user = _user_of(self.url)
        return {"Authorization": f"Basic {b64encode(user.encode()).decode()}"} if user else {}

    @property
    def identity(self) -> str:
        """URL#MODEL without user, password and port: which model this is, wherever it happens to listen."""
        parts = urlsplit(self.url)
        host = parts.hostname or ""
        return f"{urlunsplit(parts._replace(netloc=f'[{host}]' if ':' in host else host))}#{self.model}"

    def clean(self, text: str, key: str = "") -> str:
        """A text in one line that a terminal shows as it is, without the credentials that a server may have repeated in it.

        They are found in whatever form the server got or could decode them, and as JSON writes them.
        """
        parts, user = urlsplit(self.url), _user_of(self.url)
        given = (parts.password, parts.username)
        secrets = {key, b64encode(user.encode()).decode(), *given, *(unquote(one) for one in given if one)}
        secrets |= {json.dumps(one)[1:-1] for one in secrets if one}
        for secret in sorted((one for one in secrets if one and len(one) > 3), key=len, reverse=True):
            text = text.replace(secret, "***")
        return _printable(text)


def key_of(environment: Mapping[str, str]) -> str:
    """The key that requests carry.

    Raises:
        InputError: it holds what no header can.
    """
    key = environment.get(KEY_VARIABLE, "").strip() or "none"
    if not (key.isascii() and key.isprintable()):
        raise InputError(f"{KEY_VARIABLE} holds a character that no key has, such as a line break in the middle")
    return key


def _user_of(url: str) -> str:
    """USER:PASSWORD of a URL as they are meant; "" without them."""
    return unquote(urlsplit(url).netloc.rpartition("@")[0])


def _printable(text: str) -> str:
    """A text with escapes in place of line breaks, control characters and what else a terminal would obey."""
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def _without_user(source: str) -> str:
    """What may be shown of something that is no URL#MODEL: nothing before an @, and no query."""
    before, at, after = source.rpartition("@")
    url, _, query = (f"{before.partition('//')[0]}//{after}" if at and "//" in before else source).partition("?")
    return f"{url}?..." if query else url


def identity_of(source: str) -> str:
    """The part of URL#MODEL that is a run's identity; a source that cannot be parsed is left as it is."""
    try:
        return Endpoint.of(source).identity
    except InputError:
        return _without_user(source)
