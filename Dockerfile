# The image of the Action and of everything else that runs a container: one
# static binary and the certificate authorities it trusts.
FROM golang:1.26.8 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY cmd cmd
COPY internal internal
RUN CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o /convox-ci ./cmd/convox-ci

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /convox-ci /convox-ci
# The binary itself: shells other than bash drop variables with a hyphen in
# their names, and GitHub's inputs have one.
ENTRYPOINT ["/convox-ci"]
