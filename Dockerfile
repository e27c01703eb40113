# Build: ONNX Runtime's pinned library and the binary. Serve: neither Go nor Python.
#   docker build -t loopserve --build-arg VERSION=v1.2.3 .
#   docker run -p 8080:8080 -e LOOPSERVE_API_KEYS=a-long-key -v /my/bundles:/bundles:ro loopserve serve --listen 0.0.0.0:8080 --models /bundles
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
 && mkdir -p /out/lib /out/models \
 && cp .cache/ort/*/*/onnxruntime/capi/libonnxruntime.so* /out/lib/ \
 && for m in models/*/manifest.json; do cp -r "$(dirname "$m")" /out/models/; done \
 && chmod -R a+rX /out

# The same release as above: the binary links its C library.
FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates libstdc++6 && rm -rf /var/lib/apt/lists/*
COPY --from=build /out /opt/loopserve
ENV PATH=/opt/loopserve/bin:$PATH
WORKDIR /opt/loopserve
# A number, so that Kubernetes can see that it is not root.
USER 10001:10001
EXPOSE 8080
# SIGTERM drains for drain_timeout (30 s): give it so long, with docker stop -t 35 or terminationGracePeriodSeconds: 35.
STOPSIGNAL SIGTERM
ENTRYPOINT ["loopserve"]
# A container must listen beyond loopback; without a key in LOOPSERVE_API_KEYS (or a file) loopserve refuses to start.
CMD ["serve", "--listen", "0.0.0.0:8080", "--models", "/opt/loopserve/models"]
