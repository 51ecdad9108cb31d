# An image that contains only Kargo.
#
#   docker build --build-arg VERSION=1.2.3 -t kargo .
#
# It has plain instructions only, so that builders without BuildKit can run it.

# This can be any image with go, sh, mkdir, and the usual certificates in
# /etc/ssl/certs/ca-certificates.crt. Its version of Go is the one of the line toolchain in
# go.mod, whose standard library has no known vulnerability.
ARG BUILDER=golang:1.26.10
FROM ${BUILDER} AS build

# Go's own variables, for builds without the public module proxy.
ARG GOPROXY
ARG GOSUMDB
ARG GOFLAGS

WORKDIR /src
COPY . .
ARG VERSION=dev
# The tag leaves out what the program never uses: docs/performance.md.
RUN CGO_ENABLED=0 go build -tags disable_grpc_modules -trimpath -buildvcs=false -ldflags "-s -w -X main.version=${VERSION}" -o /out/ ./cmd/kargo ./cmd/kargo-secrets
# The final image has no shell, so directories are made here.
RUN mkdir -p /out/data /out/root && mkdir -m 1777 /out/root/tmp

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
# The parent is copied, because builders keep only the modes of what is inside.
COPY --from=build /out/root /
# It belongs to the user below. A new volume takes owner and mode from here.
COPY --from=build --chown=65532:65532 /out/data /var/lib/kargo
# kargo starts kargo-secrets, which lies beside it, where a workspace has encrypted files.
COPY --from=build /out/kargo /out/kargo-secrets /

ENV KARGO_DATA=/var/lib/kargo \
    KARGO_LISTEN=:8080
VOLUME /var/lib/kargo
EXPOSE 8080
# This is a number, so that Kubernetes can check that it is not root.
USER 65532:65532
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --retries=3 CMD ["/kargo", "healthcheck"]
ENTRYPOINT ["/kargo"]
CMD ["serve"]

ARG VERSION=dev
ARG COMMIT=unknown
LABEL org.opencontainers.image.title="Kargo" \
      org.opencontainers.image.description="GitOps controller for Docker Swarm" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${COMMIT}"
