# Jetson Orin with JetPack 6 (L4T 36, Ubuntu 22.04, Python 3.10). From the repository root, on the device:
#   docker build -f deploy/docker/jetson.Dockerfile -t edgevision:jetson .
#   docker run --runtime nvidia -v /tmp/argus_socket:/tmp/argus_socket ... edgevision:jetson
# The container's L4T major version must be that of the host. Engines belong to the image that built them: keep its cache volume apart.
FROM nvcr.io/nvidia/l4t-jetpack:r36.4.0
RUN apt-get update \
    && apt-get install -y --no-install-recommends \
        python3 python3-venv python3-gi gir1.2-gstreamer-1.0 gir1.2-gst-plugins-base-1.0 \
        gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad libgl1 libglib2.0-0 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --create-home --home-dir /var/lib/edgevision --groups video edgevision
WORKDIR /src
# gi and tensorrt are packages of the system's Python.
RUN python3 -m venv --system-site-packages /opt/edgevision
COPY pyproject.toml README.md LICENSE ./
COPY edgevision edgevision
RUN /opt/edgevision/bin/pip install --no-cache-dir ".[cpu]"
COPY models /opt/models
ENV PATH=/opt/edgevision/bin:$PATH PYTHONUNBUFFERED=1 STATE_DIRECTORY=/var/lib/edgevision NVIDIA_DRIVER_CAPABILITIES=compute,utility,video
USER edgevision
WORKDIR /var/lib/edgevision
VOLUME /var/lib/edgevision
EXPOSE 9464
STOPSIGNAL SIGTERM
HEALTHCHECK --start-period=900s --interval=10s CMD ["python3", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:9464/healthz', timeout=3)"]
ENTRYPOINT ["edgevision"]
CMD ["run", "/etc/edgevision/edgevision.yaml"]
