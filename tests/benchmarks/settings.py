"""The portal's own settings with one more page, for real processes that are measured: `/empty/`."""

from portal.settings import *  # noqa: F403

ROOT_URLCONF = "tests.benchmarks.site"
