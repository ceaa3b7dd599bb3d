"""What can go wrong with jobs and configuration."""

from personalization.lib import errors


class ConfigInvalid(errors.Unprocessable):
    """What would be published could not be served; every fault is named."""

    code = "config_invalid"


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
