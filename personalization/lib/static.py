"""Static files: hashed and compressed once collected, as they are before that."""

from whitenoise.storage import CompressedManifestStaticFilesStorage


class CollectedOrPlainStorage(CompressedManifestStaticFilesStorage):  # type: ignore[misc]  # no stubs
    """Django's manifest storage refuses to name any file before `collectstatic`; this one waits.

    A first start and the tests then work from the source files (WHITENOISE_USE_FINDERS).
    """

    def stored_name(self, name: str) -> str:
        """Return the hashed name; the plain one when nothing has been collected."""
        if not self.hashed_files:
            return name
        stored: str = super().stored_name(name)
        return stored
