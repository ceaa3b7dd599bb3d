"""Rules told in the language of whoever reads: the engine's phrases, translated."""

from django.utils.translation import gettext, ngettext

from segments.engine import describe as engine
from segments.engine.catalogue import Catalogue
from segments.engine.language import Node


def describe(node: Node, catalogue: Catalogue) -> str:
    """Return the sentence of a rule."""
    return engine.describe(node, catalogue, gettext, ngettext)


def describe_part(node: Node, catalogue: Catalogue) -> str:
    """Return the words of one condition, to stand alone."""
    return engine.describe_part(node, catalogue, gettext, ngettext)
