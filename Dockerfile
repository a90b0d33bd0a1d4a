FROM --platform=$BUILDPLATFORM golang:1.26 AS build
WORKDIR /src
# The modules have a layer of their own: it stays as long as go.mod and go.sum do.
COPY go.mod go.sum ./
RUN go mod download && go mod verify
COPY . .
ARG TARGETOS TARGETARCH
# What `twochat-connector version` prints; the build information of Go stands in where it is empty.
ARG VERSION=
RUN CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -trimpath -ldflags "-s -w -X github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli.version=$VERSION" -o /out/twochat-connector ./cmd/twochat-connector

# No shell and no package manager; CA certificates and the user nonroot (65532) are in it.
FROM gcr.io/distroless/static-debian12:nonroot
ARG VERSION=
LABEL org.opencontainers.image.title="twochat-connector" \
      org.opencontainers.image.description="Reads the WhatsApp message lists of 2Chat into NATS JetStream, Kafka or a file, each message once" \
      org.opencontainers.image.source="https://github.com/twochat-connector/twochat-connector" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION"
COPY --from=build /out/twochat-connector /usr/local/bin/twochat-connector
COPY LICENSE /LICENSE
USER 65532:65532
# The user may write here: the embedded sink's folder, a file sink's file. Mount a volume to keep them.
WORKDIR /home/nonroot
# Metrics and probes are reached from outside of the container where `admin.listen: ":8080"` says so, in the configuration or in
# TWOCHAT_CONNECTOR_ADMIN_LISTEN. A variable set here would overrule the mounted file.
EXPOSE 8080
STOPSIGNAL SIGTERM
# The configuration is found at /etc/twochat-connector/config.yaml.
ENTRYPOINT ["/usr/local/bin/twochat-connector"]
CMD ["run"]
