# The portal as one image: dependencies are built in the first stage, the second has no build tools.
FROM python:3.13-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1
COPY requirements.txt /tmp/requirements.txt
RUN python -m venv /opt/venv \
 && /opt/venv/bin/pip install --no-cache-dir --no-deps --require-hashes -r /tmp/requirements.txt \
 && /opt/venv/bin/pip uninstall -y pip
COPY manage.py /app/
COPY portal /app/portal
COPY invitations /app/invitations
COPY templates /app/templates
COPY locale /app/locale
COPY static /app/static
WORKDIR /app
# Hashed static files are part of the image, so that it runs on a read-only root.
RUN SECRET_KEY=none STATIC_ROOT=/app/collected \
    /opt/venv/bin/python -c "import os, django; os.environ['DJANGO_SETTINGS_MODULE'] = 'portal.settings'; django.setup(); \
from invitations import static_files; static_files.ensure_collected()" \
 && /opt/venv/bin/python -m compileall -q /app /opt/venv \
 && rm -rf /app/var

FROM python:3.13-slim
LABEL org.opencontainers.image.title="Getscreen helpdesk portal" \
      org.opencontainers.image.licenses="MIT"
RUN groupadd --gid 10001 portal \
 && useradd --uid 10001 --gid 10001 --home-dir /data --shell /usr/sbin/nologin portal \
 && install -d -o 10001 -g 10001 -m 0700 /data
COPY --from=build /opt/venv /opt/venv
COPY --from=build /app /app
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    DJANGO_SETTINGS_MODULE=portal.settings \
    STATIC_ROOT=/app/collected \
    DATABASE_URL=sqlite:////data/portal.sqlite3 \
    AUDIT_KEY_FILE=/data/keys/audit.pem
WORKDIR /app
USER 10001:10001
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/healthz', timeout=2)"]
CMD ["python", "manage.py", "serve", "--bind", "0.0.0.0:8000"]
