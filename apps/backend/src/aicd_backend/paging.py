"""Lists in pages: `limit` and `cursor` in the query, `items` and `next_cursor` in the answer."""

from collections.abc import Callable
from typing import Annotated, Generic, TypeVar

from fastapi import Depends, Query
from pydantic import Field

from aicd_backend.bodies import Answer
from aicd_core.db.pages import MAX_PAGE, Page, PageRequest

ItemT = TypeVar("ItemT")
ShownT = TypeVar("ShownT")


class PageOf(Answer, Generic[ShownT]):
    """Some items of a list."""

    items: tuple[ShownT, ...]
    next_cursor: str | None = Field(description="Send it as `cursor` for what follows; null: this is the last page.")


def page_of(page: Page[ItemT], show: Callable[[ItemT], ShownT]) -> PageOf[ShownT]:
    """A page with each item as it is shown."""
    return PageOf(items=tuple(show(item) for item in page.items), next_cursor=page.next_cursor)


async def _wanted(
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE, description="Items at the most.")] = 20,
    cursor: Annotated[str | None, Query(max_length=500, description="The `next_cursor` of the page before.")] = None,
) -> PageRequest:
    return PageRequest(limit, cursor)


PageQuery = Annotated[PageRequest, Depends(_wanted)]
"""Parameter of a route that lists."""
