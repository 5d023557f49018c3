from __future__ import annotations

from rest_framework import pagination
from rest_framework.exceptions import NotFound
from rest_framework.request import Request


class CursorPagination(pagination.CursorPagination):
    """Newest first; pages stay stable while rows are added."""

    ordering = "-id"
    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 500

    def decode_cursor(self, request: Request) -> pagination.Cursor | None:
        """The cursor in the address. What we did not make ourselves is refused before it reaches the database."""
        cursor = super().decode_cursor(request)
        position = str(cursor.position) if cursor and cursor.position is not None else None
        if position is not None and not (position.isascii() and position.isdigit() and len(position) < 20):
            raise NotFound(self.invalid_cursor_message)
        return cursor
