"""The one client of this process, built from the settings. The only module here that knows Django."""

from functools import cache

from django.conf import settings

from portal.getscreen.client import Client


@cache
def client() -> Client:
    """Return the client; it is thread-safe and pools its connections."""
    return Client(
        api_key=settings.GETSCREEN_API_KEY,
        base_url=settings.GETSCREEN_API_URL,
        link_hosts=settings.GETSCREEN_LINK_HOSTS,
        update_path=settings.GETSCREEN_UPDATE_PATH,
        connect_path=settings.GETSCREEN_CONNECT_PATH,
        proxy_url=settings.GETSCREEN_PROXY_URL,
        ca_file=settings.GETSCREEN_CA_FILE,
    )
