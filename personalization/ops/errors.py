"""What can go wrong with jobs and configuration."""

from personalization.lib import errors


class ConfigInvalid(errors.Unprocessable):
    """What would be published could not be served; every fault is named."""

    code = "config_invalid"


class NotBuilt(errors.Unavailable):
    """A part of a published configuration cannot be built by this code: `details` say why.

    Paths are those within the part.
    """

    code = "config_not_built"

    def __init__(self, part: str, error: Exception) -> None:
        told = error.details if isinstance(error, errors.AppError) else ()
        words = error.message if isinstance(error, errors.AppError) else repr(error)[:300]
        faults = told or (errors.Problem("", f"cannot be built: {words}"),)
        first = faults[0]
        where = f"{part}: {first.path}: " if first.path else f"{part}: "
        super().__init__(f"{where}{first.problem}", retry_after_s=60)
        self.part = part
        self.details = tuple(faults)


class VersionUnknown(errors.NotFound):
    """No such configuration version."""

    code = "config_version_unknown"


class RollbackRefused(errors.Conflict):
    """A part of the configuration cannot be brought back."""

    code = "rollback_refused"


class JobStateWrong(errors.Conflict):
    """The run is not in a state that allows this."""

    code = "job_state_wrong"


class Cancelled(errors.AppError):
    """Somebody asked this run to stop; the job ends here."""

    code = "job_cancelled"
