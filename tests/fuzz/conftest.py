"""Examples that are the same in every run: a failure here can be repeated."""

from hypothesis import HealthCheck, settings

# Other rooms draw other examples each time: this profile is named by the tests of this folder.
settings.register_profile(
    "fuzz",
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.filter_too_much,
        HealthCheck.data_too_large,
    ],
)
