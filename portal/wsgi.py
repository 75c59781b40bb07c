"""The WSGI entry point, for `manage.py serve` and any other WSGI server."""

import os

from django.core.wsgi import get_wsgi_application

from portal import ownership

ownership.choose("serve")
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")

application = get_wsgi_application()
