"""The clients of this process, built from the settings. The only module here that knows Django."""

import logging
from functools import cache

from django.conf import settings

from portal.getscreen.breaker import Breaker
from portal.getscreen.client import Client
from portal.metrics import calls

logger = logging.getLogger(__name__)
AT_ONCE = 4  # of a process's threads may wait for the vendor; the rest keep the pages alive
# One for the process: what people do and what the watcher sees count together.
breaker = Breaker(open_for=min(15.0, 5.0 * settings.POLL_SECONDS))


@cache
def client() -> Client:
    """Return the client for what people do; it is thread-safe, pools its connections and bounds their number."""
    return new_client(at_once=AT_ONCE)


@cache
def watching_client() -> Client:
    """Return the watcher's own client, which no crowd can keep from looking."""
    return new_client(at_once=None)


def new_client(*, at_once: int | None) -> Client:
    return Client(
        api_key=settings.GETSCREEN_API_KEY,
        base_url=settings.GETSCREEN_API_URL,
        link_hosts=settings.GETSCREEN_LINK_HOSTS,
        update_path=settings.GETSCREEN_UPDATE_PATH,
        connect_path=settings.GETSCREEN_CONNECT_PATH,
        proxy_url=settings.GETSCREEN_PROXY_URL,
        ca_file=settings.GETSCREEN_CA_FILE,
        at_once=at_once,
        breaker=breaker,
        observe=count,
    )


def count(method: str, outcome: str, seconds: float) -> None:
    """Count a call that has ended, and say when this process stops asking and when it asks again."""
    is_open = breaker.is_open
    if is_open != breaker.was_open:
        breaker.was_open = is_open
        if is_open:
            logger.warning("Getscreen has not been answering: no more calls for about %d s", breaker.open_for)
        else:
            logger.info("Getscreen answers again, and calls go out as before")
    calls.count(method, outcome, seconds, is_open=is_open)
