"""The entry point that any WSGI server imports."""

from wsgiref.util import setup_testing_defaults


def test_the_entry_point_answers(db):
    from portal.wsgi import application

    environ = {"PATH_INFO": "/healthz", "REQUEST_METHOD": "GET"}
    setup_testing_defaults(environ)
    statuses = []
    body = application(environ, lambda status, headers: statuses.append(status))
    assert (statuses, b"".join(body)) == (["200 OK"], b"ok\n")
