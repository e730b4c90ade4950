# One image with every program, and a target per program for those who want images that do one thing:
#
#   docker build -t pregon .                       # any of them by name: docker run pregon enqueue check …
#   docker build -t pregon-worker --target worker .

FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o /out/ ./cmd/...

# Certificates, time zones, and a user who is nobody (65532). No shell: there is nothing to break into.
FROM gcr.io/distroless/static:nonroot AS programs
COPY --from=build /out/ /usr/local/bin/
WORKDIR /work

FROM programs AS worker
ENTRYPOINT ["/usr/local/bin/worker"]

FROM programs AS enqueue
ENTRYPOINT ["/usr/local/bin/enqueue"]

FROM programs AS simulator
ENTRYPOINT ["/usr/local/bin/simulator"]

FROM programs AS pregon
CMD ["worker"]
