"""The address of a model behind a server: `URL#MODEL`, and what of it may be shown and stored."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

from mtp_eval.harness.errors import InputError


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
        except ValueError:  # a port that is no number
            known = False
        if not known or not model:
            raise InputError(
                f"openai:{_without_user(source)}: expected openai:URL#MODEL, such as openai:http://localhost:8000/v1#my-model"
            )
        return cls(url, model)

    @property
    def shown(self) -> str:
        """The URL without a user's name and password, for messages."""
        return _without_user(self.url)

    @property
    def identity(self) -> str:
        """URL#MODEL without user, password and port: which model this is, wherever it happens to listen."""
        parts = urlsplit(self.url)
        return f"{urlunsplit(parts._replace(netloc=parts.hostname or ''))}#{self.model}"

    def clean(self, text: str, key: str = "") -> str:
        """A text without the credentials that a server may have repeated in it."""
        for secret in (key, urlsplit(self.url).password, urlsplit(self.url).username):
            if secret and len(secret) > 3:
                text = text.replace(secret, "***")
        return text


def _without_user(url: str) -> str:
    before, at, after = url.rpartition("@")
    return f"{before.partition('//')[0]}//{after}" if at and "//" in before else url


def identity_of(source: str) -> str:
    """The part of URL#MODEL that is a run's identity; a source that cannot be parsed is left as it is."""
    try:
        return Endpoint.of(source).identity
    except InputError:
        return _without_user(source)
