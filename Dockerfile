# The image of the Action, and of everything else that runs a container. A release
# has programs that were built before in the place of the stage compiled, and so
# compiles and runs nothing for another machine: scripts/release-image. The stage ci
# is for CI systems that want tools beside the program. The classic builder, which
# makes every stage on its way, makes the same image with what it has: its own
# machine, no RUN --mount.
ARG GO=golang:1.26.8-bookworm
ARG TOOLS=alpine:3.22
ARG BUSYBOX=busybox:1.37.0-musl
ARG DEBIAN=debian:bookworm-slim
# Builders without multi-platform builds leave this empty; "linux" is their own machine.
ARG BUILDPLATFORM=${BUILDPLATFORM:-linux}

FROM --platform=$BUILDPLATFORM ${GO} AS compiled
ARG TARGETARCH
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN GOOS=linux GOARCH=$TARGETARCH scripts/build /linux/$TARGETARCH/convox-ci

# Everything around the program that is the same on every machine. A step of an Action
# has its verb by the name of the program.
FROM --platform=$BUILDPLATFORM ${TOOLS} AS around
RUN mkdir -p /around/bin /around/etc/ssl/certs /around/usr/local/bin /around/tmp \
 && chmod 1777 /around/tmp \
 && cp /etc/ssl/certs/ca-certificates.crt /around/etc/ssl/certs/ \
 && for name in sh env tail; do ln -s busybox /around/bin/$name; done \
 && for verb in build deploy promote run login post; do ln -s convox-ci /around/usr/local/bin/convox-ci-$verb; done

FROM ${BUSYBOX} AS busybox

FROM ${DEBIAN} AS ci
ARG TARGETARCH
LABEL org.opencontainers.image.title="convox-ci with tools" \
      org.opencontainers.image.description="Builds and deploys apps to Convox Racks; with bash, git and ssh" \
      org.opencontainers.image.source="https://github.com/convox-ci/convox-ci" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN apt-get update \
 && apt-get install -y --no-install-recommends bash ca-certificates git gzip openssh-client tar \
 && rm -rf /var/lib/apt/lists/*
COPY entrypoint.sh /
COPY --from=compiled /linux/$TARGETARCH/convox-ci /usr/local/bin/convox-ci
CMD ["bash"]

# The image of the Action. On Kubernetes, runners of GitHub want sh, env and tail in it.
FROM scratch
ARG TARGETARCH
LABEL org.opencontainers.image.title="convox-ci" \
      org.opencontainers.image.description="Builds and deploys apps to Convox Racks from any CI" \
      org.opencontainers.image.source="https://github.com/convox-ci/convox-ci" \
      org.opencontainers.image.licenses="Apache-2.0"
ENV PATH=/usr/local/bin:/bin
COPY --from=around /around /
COPY --from=busybox /bin/busybox /bin/busybox
COPY --from=compiled /linux/$TARGETARCH/convox-ci /usr/local/bin/convox-ci
# The program itself: shells other than bash drop variables with a hyphen in their
# names, and GitHub's inputs have one.
ENTRYPOINT ["/usr/local/bin/convox-ci"]
