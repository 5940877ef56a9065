# The live service: `docker build -t recollect .`, then see docs/service.md.
FROM python:3.11-slim

WORKDIR /opt/recollect
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY src src
# An index that has torch built for CPUs, where there is one, spares the image the libraries of a GPU.
ARG PIP_EXTRA_INDEX_URL
RUN python -m pip install --no-cache-dir --constraint constraints.txt '.[postgres]' \
    && useradd --create-home --uid 10001 recollect \
    && mkdir /var/lib/recollect \
    && chown recollect /var/lib/recollect

USER recollect
WORKDIR /var/lib/recollect
VOLUME /var/lib/recollect
EXPOSE 8000

# Run and data are mounted; the store is a file of the volume unless RECOLLECT_STORE says otherwise.
ENV RECOLLECT_HOST=0.0.0.0 RECOLLECT_PORT=8000 RECOLLECT_DRAIN_SECONDS=2
HEALTHCHECK --start-period=60s --interval=10s \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen(f'http://127.0.0.1:{os.environ[\"RECOLLECT_PORT\"]}/readyz')"]
ENTRYPOINT ["recollect"]
CMD ["serve", "/run-folder", "/data-folder"]
