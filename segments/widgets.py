"""The rule builder as a form widget: a textarea with JSON that its script turns into a form."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from django import forms
from django.forms.widgets import Script
from django.utils.functional import Promise

# In the order in which they need each other; plain scripts, so that each has a hashed name.
SCRIPTS = (
    "json",
    "words",
    "values",
    "shapes",
    "dom",
    "value-field",
    "parts",
    "leaves",
    "tree",
    "preview",
    "builder",
)


class RuleWidget(forms.Textarea):
    """Edits a rule of docs/rules.md; without JavaScript it is a textarea.

    `catalogue_url` answers with the names that can be chosen, `preview_url` with who a rule is;
    `kinds` are the kinds of leaves that may be used here (none: all that the catalogue names).
    """

    template_name = "segments/rule_widget.html"

    def __init__(
        self,
        *,
        catalogue_url: str | Promise = "",
        preview_url: str | Promise = "",
        kinds: Sequence[str] = (),
        attrs: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__({"rows": 16, "spellcheck": "false", **(attrs or {})})
        self.catalogue_url = catalogue_url
        self.preview_url = preview_url
        self.kinds = tuple(kinds)

    @property
    def media(self) -> forms.Media:
        """Return the scripts, in order and after the page, and the styles."""
        return forms.Media(
            js=[_script(name) for name in SCRIPTS],
            css={"all": ["studio/rules/rules.css"]},
        )

    def get_context(self, name: str, value: Any, attrs: Mapping[str, Any] | None) -> dict[str, Any]:
        """Return Django's own context and what the script is told."""
        context: dict[str, Any] = super().get_context(name, value, dict(attrs or {}))
        context["builder"] = {
            "catalogue_url": str(self.catalogue_url),
            "preview_url": str(self.preview_url),
            "kinds": " ".join(self.kinds),
        }
        return context


def _script(name: str) -> str:
    """Return a script that waits for the page; the stubs know names of files alone."""
    return cast(str, Script(f"studio/rules/{name}.js", defer=True))
