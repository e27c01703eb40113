# Build: ONNX Runtime's pinned library and the binary. Serve: neither Go nor Python.
#   docker build -t loopserve --build-arg VERSION=v1.2.3 .
#   docker run -p 8080:8080 -e LOOPSERVE_API_KEYS=a-long-key loopserve
#   docker run -p 8080:8080 -e LOOPSERVE_API_KEYS=a-long-key -v /my/bundles:/bundles:ro loopserve serve --models /bundles
#   docker run -p 8080:8080 -e LOOPSERVE_API_KEYS=a-long-key -v models:/models loopserve serve hf:ByteDance/Ouro-1.4B --weights int4
FROM golang:1.26-bookworm AS build
ARG VERSION=devel
RUN apt-get update && apt-get install -y --no-install-recommends python3 python3-pip && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
# The library changes with its pin only: it has a layer of its own.
COPY Makefile ./
COPY runtime/ort/pin.json runtime/ort/requirements.txt runtime/ort/
RUN make ort
COPY . .
RUN go build -tags nomsgpack -trimpath -buildvcs=false -ldflags "-s -w -X main.version=${VERSION}" -o /out/bin/loopserve ./cmd/loopserve \
 && mkdir -p /out/lib /out/models /models/cache \
 && cp .cache/ort/*/*/onnxruntime/capi/libonnxruntime.so* /out/lib/ \
 && for m in models/*/manifest.json; do cp -r "$(dirname "$m")" /out/models/; done \
 && chmod -R a+rX /out

# glibc, libstdc++ and certificates of Debian 12 (the release above: the binary links its C library), no shell.
FROM gcr.io/distroless/cc-debian12
ARG VERSION=devel
LABEL org.opencontainers.image.title="loopserve" \
      org.opencontainers.image.description="Inference server for looped transformers: each request chooses how many loops it gets" \
      org.opencontainers.image.source="https://github.com/loopserve/loopserve" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}"
COPY --from=build /out /opt/loopserve
ENV PATH=/opt/loopserve/bin:$PATH LOOPSERVE_LISTEN=0.0.0.0:8080 LOOPSERVE_CACHE=/models/cache HF_HOME=/models/huggingface
WORKDIR /opt/loopserve
# A number, so that Kubernetes can see that it is not root. Its bundles and what it fetches from the hub lie in /models.
COPY --from=build --chown=10001:10001 /models /models
USER 10001:10001
VOLUME /models
EXPOSE 8080
# SIGTERM drains for drain_timeout (30 s): give it so long, with docker stop -t 35 or terminationGracePeriodSeconds: 35.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=2m CMD ["loopserve", "health"]
ENTRYPOINT ["loopserve"]
# A container must listen beyond loopback; without a key in LOOPSERVE_API_KEYS (or a file) loopserve refuses to start.
CMD ["serve", "--models", "/opt/loopserve/models"]
