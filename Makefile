# demo   deploys examples/hello to the rack on this machine
# test   every test, on real parts
# check  format, vet, lint and the guards of the structure
# fix    repairs what can be repaired by a program
# bench  the benchmarks against peers, see bench/README.md
# size   what the binary and the image weigh, and which packages bring it
# pictures makes those of the pages, of real runs
# outside builds the images as the Dockerfile does from nothing: compiles, and fetches Debian's packages;
#        and runs the tests of the records in DynamoDB against Amazon's program for tests,
#        and those of the objects in S3 against minio, which it compiles

export CGO_ENABLED ?= 0

GO := $(shell find cmd internal -name '*.go' -not -name '*_test.go' 2>/dev/null)
TOOLS := bin/tools/act bin/tools/actionlint bin/tools/gotestsum bin/tools/staticcheck

.PHONY: build demo test check fix bench size pictures outside

build: bin/convox-ci

bin/convox-ci: $(GO) go.mod go.sum scripts/build
	scripts/build $@

$(TOOLS) &: tools/go.mod tools/go.sum
	go build -C tools -o ../bin/tools/ tool

demo: bin/convox-ci
	scripts/need runc git
	scripts/demo

test: $(TOOLS)
	scripts/need runc git dockerd docker busybox bash dash curl wget dynalite
	scripts/test

check: $(TOOLS)
	scripts/need runc busybox shellcheck
	scripts/check

fix:
	gofmt -w actions bench cmd examples internal orb scripts *.go
	go mod tidy
	go test . -run TestActions -update

bench:
	scripts/need pigz runc busybox dynalite
	go run ./bench/pack
	go run ./bench/pack -link 100
	go run ./bench/logs
	go run ./bench/ending
	go run ./bench/where

size:
	scripts/need busybox
	go run ./bench/size

pictures: bin/convox-ci
	scripts/need runc git busybox chromium tmux aha pngquant
	scripts/pictures

outside:
	scripts/need docker dockerd runc busybox dynalite node npm java ip curl
	scripts/dynamodb-local
	scripts/minio
	scripts/dockerd
	scripts/outside
