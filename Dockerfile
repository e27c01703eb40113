# Build: ONNX Runtime's pinned library and the binary. Serve: neither Go nor Python.
FROM golang:1.26-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends python3 python3-pip && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN make build && mkdir -p /out/bin /out/lib /out/models \
 && cp bin/loopserve /out/bin/ && cp .cache/ort/*/*/libonnxruntime.so* /out/lib/ && cp -r models/adder /out/models/

FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates libstdc++6 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --uid 10001 loopserve
COPY --from=build /out /opt/loopserve
USER loopserve
WORKDIR /opt/loopserve
EXPOSE 8080
# A container must listen beyond loopback; give a key in LOOPSERVE_API_KEYS, or loopserve refuses to start.
ENTRYPOINT ["/opt/loopserve/bin/loopserve"]
CMD ["serve", "--listen", "0.0.0.0:8080", "--models", "/opt/loopserve/models"]
