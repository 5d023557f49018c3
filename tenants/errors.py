"""The tree of domain errors. `cpo.errors` maps it to HTTP in one place; texts say what happened and what to do."""

from __future__ import annotations

from collections.abc import Mapping


class DomainError(Exception):
    """Base of all errors that a person or a calling system may see. `detail` is one plain sentence."""

    code = "error"
    title = "The request could not be carried out"
    status = 400

    def __init__(self, detail: str = "", *, code: str = "") -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        self.code = code or self.code


class NotFound(DomainError):
    code, title, status = "not_found", "There is no such thing here", 404


class Forbidden(DomainError):
    code, title, status = "forbidden", "Your role does not allow this", 403


class Conflict(DomainError):
    code, title, status = "conflict", "This contradicts the present state", 409


class TooMany(DomainError):
    code, title, status = "too_many", "Too many requests", 429


class Unavailable(DomainError):
    code, title, status = "unavailable", "This cannot be reached right now", 503


class Invalid(DomainError):
    """Input that cannot be taken. `fields` maps a field's name to what is wrong with it."""

    code, title, status = "invalid", "Some values cannot be used", 422

    def __init__(self, detail: str = "", *, fields: Mapping[str, str] | None = None, code: str = "") -> None:
        super().__init__(detail or "; ".join((fields or {}).values()), code=code)
        self.fields = dict(fields or {})
