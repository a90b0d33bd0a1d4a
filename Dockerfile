FROM --platform=$BUILDPLATFORM golang:1.26 AS build
WORKDIR /src
# The modules have a layer of their own, which is reused until go.mod or go.sum changes.
COPY go.mod go.sum ./
RUN go mod download && go mod verify
COPY . .
ARG TARGETOS TARGETARCH
# `twochat-connector version` prints this, or Go's build information if it is empty.
ARG VERSION=
RUN CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -trimpath -ldflags "-s -w -X github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli.version=$VERSION" -o /out/twochat-connector ./cmd/twochat-connector

# It has no shell and no package manager, but CA certificates and the user nonroot (65532).
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
# The user may write here, for example the embedded sink's folder or a file sink's file. Mount a volume to keep them.
WORKDIR /home/nonroot
# To reach metrics and probes from outside of the container, set `admin.listen: ":8080"` in the configuration, or
# TWOCHAT_CONNECTOR_ADMIN_LISTEN. A variable set here would override the mounted file.
EXPOSE 8080
STOPSIGNAL SIGTERM
# The configuration is read from /etc/twochat-connector/config.yaml.
ENTRYPOINT ["/usr/local/bin/twochat-connector"]
CMD ["run"]
