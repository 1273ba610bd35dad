# x86-64 (and any other processor with wheels), no GPU. From the repository root:
#   docker build -f deploy/docker/cpu.Dockerfile -t edgevision:cpu .
FROM python:3.12-slim-bookworm AS build
WORKDIR /src
RUN python -m venv /opt/edgevision
COPY pyproject.toml README.md LICENSE ./
COPY edgevision edgevision
RUN /opt/edgevision/bin/pip install --no-cache-dir ".[cpu]"

FROM python:3.12-slim-bookworm
RUN apt-get update \
    && apt-get install -y --no-install-recommends libgl1 libglib2.0-0 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --create-home --home-dir /var/lib/edgevision --groups video edgevision
COPY --from=build /opt/edgevision /opt/edgevision
COPY models /opt/models
ENV PATH=/opt/edgevision/bin:$PATH PYTHONUNBUFFERED=1 STATE_DIRECTORY=/var/lib/edgevision
USER edgevision
WORKDIR /var/lib/edgevision
VOLUME /var/lib/edgevision
EXPOSE 9464
STOPSIGNAL SIGTERM
HEALTHCHECK --start-period=60s --interval=10s CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:9464/healthz', timeout=3)"]
ENTRYPOINT ["edgevision"]
CMD ["run", "/etc/edgevision/edgevision.yaml"]
