# The portal as one image. Everything is made in the stages before the last, which adds it to its base.
# The same base, sources and SOURCE_DATE_EPOCH give the same layers: docs/operations.md says how to look.
ARG BASE=python:3.13-slim-trixie
ARG SOURCE_DATE_EPOCH=1767225600

# pg_dump and pg_restore for backups, with the libraries that the base has not: without Debian's wrappers, which need Perl.
# hadolint ignore=DL3006
FROM ${BASE} AS postgres
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
# Security fixes are wanted, so no version is named.
# hadolint ignore=DL3008
RUN find / -xdev -name '*.so*' | sort >/tmp/before \
 && apt-get update \
 && apt-get install -y --no-install-recommends postgresql-client-17 \
 && mkdir -p /image/usr/bin \
 && cp /usr/lib/postgresql/17/bin/pg_dump /usr/lib/postgresql/17/bin/pg_restore /image/usr/bin/ \
 && ldd /image/usr/bin/* | awk '/=> \// {print $3}' | sort -u | while read -r library; do \
      place=$(readlink -f "$(dirname "$library")"); \
      grep -qxF "$place/$(basename "$library")" /tmp/before \
      || { mkdir -p "/image$place" && cp -L "$library" "/image$place/"; }; \
    done

# hadolint ignore=DL3006
FROM ${BASE} AS build
ARG SOURCE_DATE_EPOCH
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1
COPY requirements.txt /tmp/requirements.txt
# Wheels alone: nothing of theirs runs here. *.po is what translations were made from.
RUN python -m venv --without-pip /opt/venv \
 && pip --python /opt/venv/bin/python install --no-cache-dir --no-compile --only-binary :all: --no-deps --require-hashes \
      -r /tmp/requirements.txt \
 && rm /opt/venv/bin/[Aa]ctivate* \
 && find /opt/venv -name '*.po' -delete
COPY manage.py /app/
COPY portal /app/portal
COPY invitations /app/invitations
COPY templates /app/templates
COPY locale /app/locale
COPY static /app/static
WORKDIR /app
# Hashed static files are part of the image, so that it runs on a read-only root. They are made after all times are set:
# the portal knows them by those. Bytecode is never compared with its source, which nobody can change.
RUN python -m portal.sbom /tmp/requirements.txt >/app/sbom.cdx.json \
 && chmod -R u=rwX,go=rX /app /opt/venv \
 && find /app /opt/venv -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} + \
 && SECRET_KEY=none STATIC_ROOT=/app/collected \
    /opt/venv/bin/python -c "import os, django; os.environ['DJANGO_SETTINGS_MODULE'] = 'portal.settings'; django.setup(); \
from invitations import static_files; static_files.ensure_collected()" \
 && rm -rf /app/var \
 && /opt/venv/bin/python -m compileall -q --invalidation-mode unchecked-hash /app /opt/venv
COPY --from=postgres /image /image
# Any user of group 0 may write to /data and /backups, and nobody else. The base's programs that work as somebody else do so no more.
# All of it goes into the image at once: a RUN there would leave times of its own.
RUN find / -xdev -path /image -prune -o -type f -perm /6000 -exec cp -p --parents -t /image {} + \
 && find /image -type f -perm /6000 -exec chmod a-s {} + \
 && mkdir -p /image/opt \
 && mv /opt/venv /image/opt/venv \
 && mv /app /image/app \
 && install -d -o 10001 -g 0 -m 0770 /image/data /image/backups \
 && find /image -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +

# hadolint ignore=DL3006
FROM ${BASE}
ARG REVISION=unknown
COPY --from=build /image /
LABEL org.opencontainers.image.title="Getscreen helpdesk portal" \
      org.opencontainers.image.description="Self-hosted helpdesk portal for remote support" \
      org.opencontainers.image.version="0.2.0" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="MIT"
ENV PATH=/opt/venv/bin:$PATH \
    HOME=/data \
    PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    MALLOC_ARENA_MAX=2 \
    DJANGO_SETTINGS_MODULE=portal.settings \
    STATIC_ROOT=/app/collected \
    DATABASE_URL=sqlite:////data/portal.sqlite3 \
    SQLITE_TMPDIR=/data \
    AUDIT_KEY_FILE=/data/keys/audit.pem
WORKDIR /app
USER 10001:0
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --start-interval=1s --retries=3 \
    CMD ["python", "-ISc", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/healthz', timeout=2)"]
CMD ["python", "manage.py", "serve", "--bind", "0.0.0.0:8000"]
