# x86-64 with an NVIDIA GPU: ONNX Runtime with CUDA, whose libraries come as the wheels that this ONNX Runtime was built
# for, so that only the driver must be on the host. Not yet built or run on a GPU. From the repository root:
#   docker build -f deploy/docker/gpu.Dockerfile -t edgevision:gpu .
#   docker run --gpus all -e NVIDIA_DRIVER_CAPABILITIES=compute,utility,video ... edgevision:gpu
FROM ubuntu:24.04 AS build
WORKDIR /src
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3 python3-venv \
    && rm -rf /var/lib/apt/lists/* \
    && python3 -m venv /opt/edgevision
COPY pyproject.toml README.md LICENSE ./
COPY edgevision edgevision
RUN /opt/edgevision/bin/pip install --no-cache-dir ".[gpu]" "onnxruntime-gpu[cuda,cudnn]"

FROM ubuntu:24.04
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3 libgl1 libglib2.0-0t64 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --create-home --home-dir /var/lib/edgevision --groups video edgevision
COPY --from=build /opt/edgevision /opt/edgevision
COPY models /opt/models
ENV PATH=/opt/edgevision/bin:$PATH PYTHONUNBUFFERED=1 STATE_DIRECTORY=/var/lib/edgevision NVIDIA_DRIVER_CAPABILITIES=compute,utility,video
USER edgevision
WORKDIR /var/lib/edgevision
VOLUME /var/lib/edgevision
EXPOSE 9464
STOPSIGNAL SIGTERM
HEALTHCHECK --start-period=300s --interval=10s CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:9464/healthz', timeout=3)"]
ENTRYPOINT ["edgevision"]
CMD ["run", "/etc/edgevision/edgevision.yaml"]
