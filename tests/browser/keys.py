"""What hands on a keyboard do: go to a control by Tab, choose in a list by its arrows."""

from playwright.sync_api import Page

_NAME = """
(e => (e.getAttribute('aria-label') || (e.labels && e.labels[0] || e).textContent
    || e.value || '').trim())(document.activeElement)
"""


def tab_to(page: Page, name: str, *, limit: int = 250) -> None:
    """Press Tab until the control with that name has the focus."""
    for _ in range(limit):
        page.keyboard.press("Tab")
        if name in (page.evaluate(_NAME), page.evaluate("document.activeElement.value")):
            return
    raise AssertionError(f"no control named {name} is reached by Tab")


def choose(page: Page, name: str, value: str, *, limit: int = 60) -> None:
    """Go to a list by Tab and press the arrow down until it has that value."""
    tab_to(page, name)
    for _ in range(limit):
        if page.evaluate("document.activeElement.value") == value:
            return
        page.keyboard.press("ArrowDown")
    raise AssertionError(f"{name} has no choice {value}")
