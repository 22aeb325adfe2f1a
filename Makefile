# Everything here needs Go, git, make and, for servers, apt-get or npm.
# make           the binary, bin/gs_probackup
# make demo      a cluster is lost and comes back, with every command shown
# make test      all tests on real servers, as root or as an ordinary user
# make package   .deb and .rpm in dist/
# make golden    validate and restore the recordings of the real C tool

SHELL := bash
.SHELLFLAGS := -euo pipefail -c

GOLANGCI_VERSION := v2.15.0
GOLANGCI := .tools/golangci-lint-$(GOLANGCI_VERSION)
NFPM_VERSION := v2.45.2
NFPM := .tools/nfpm-$(NFPM_VERSION)
FUZZTIME ?= 2m
BENCHFLAGS ?=

# Build data for the version line: commit and its date, UTC. Empty without git.
BUILD := $(shell git rev-parse --short=8 HEAD 2>/dev/null)
DATE := $(shell TZ=UTC git log -1 --date=format-local:'%Y-%m-%d %H:%M:%S' --format=%cd 2>/dev/null)

GO_BUILD = CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "-s -w -X main.build=$(BUILD) -X 'main.date=$(DATE)'"

# Packages are numbered by the date of the commit.
VERSION ?= $(shell TZ=UTC git log -1 --date=format-local:'%Y.%m.%d' --format=%cd 2>/dev/null)+$(BUILD)

.PHONY: build package demo test golden soak soak-targets bench bench-remote lint fmt fuzz servers vet clean
build:
	$(GO_BUILD) -o bin/gs_probackup ./cmd/gs_probackup

# dist/*.deb and *.rpm: the binary, man pages, shell completion, documents.
package: build $(NFPM)
	rm -rf dist
	go run -buildvcs=false ./cmd/manual dist "$(firstword $(DATE))"
	gzip -9n dist/share/man/man1/*
	VERSION="$(VERSION)" $(NFPM) package -f packaging/nfpm.yaml -p deb -t dist
	VERSION="$(VERSION)" $(NFPM) package -f packaging/nfpm.yaml -p rpm -t dist

$(NFPM):
	mkdir -p .tools/build
	GOBIN=$(CURDIR)/.tools/build go install github.com/goreleaser/nfpm/v2/cmd/nfpm@$(NFPM_VERSION)
	mv .tools/build/nfpm $@

# A clean cache (-count=1): whether a test passes depends on servers, not only
# on Go files. It takes 14 minutes; the limit is for a test that hangs, not for a
# busy machine.
test: vet servers
	go test -count=1 -timeout 40m ./...

# The whole catalogs of the real C tool in ../shared/golden: validate, restore,
# compare each byte; back up again, FULL and PTRACK, compare each entry and page.
# Needs 6 GB of disk; fails without the recordings.
golden:
	go vet -tags golden ./test/golden ./internal/backup
	go test -tags golden -count=1 -timeout 15m -run TestWholeCatalogs ./test/golden
	go test -tags golden -count=1 -timeout 15m -run TestGoldenWhole ./internal/backup

# Commands at random against one instance for SOAK, and as many seeded chains
# per server as SEEDS says.
SOAK ?= 5m
SEEDS ?= 50
soak: servers
	E2E_SOAK=$(SOAK) go test -count=1 -timeout 30m -v -run TestSoak ./test/e2e
	E2E_SEEDS=$(SEEDS) go test -count=1 -timeout 120m -run 'TestPtrackSeeds|TestDeltaSeeds' ./test/e2e

# What make test samples, at length: 20 points of each kind of recovery target
# on five majors, 1,000 segments archived under fire. An hour.
soak-targets: vet
	scripts/install-servers 12 18
	E2E_PITR_POINTS=20 E2E_SEGMENTS=1000 go test -count=1 -timeout 3h -run 'TestRecoveryTargets|TestArchivePushKilled' ./test/e2e

vet:
	go vet ./...

servers:
	scripts/install-servers
	scripts/install-sshd

demo: build servers
	go run -buildvcs=false ./test/demo -tool bin/gs_probackup

bench: build servers
	go run -buildvcs=false ./test/bench -tool bin/gs_probackup $(BENCHFLAGS)

# Remote mode over a line of 50 ms and 100 Mbit/s. Needs root and iproute2.
bench-remote: build servers
	@command -v ip >/dev/null || { apt-get update -qq && apt-get install -y -qq iproute2; }
	go run -buildvcs=false ./test/bench/remote -tool bin/gs_probackup $(BENCHFLAGS)

lint: $(GOLANGCI)
	@test -z "$$(gofmt -l cmd internal test | tee /dev/stderr)" || { echo "run make fmt"; exit 1; }
	$(GOLANGCI) run ./...

$(GOLANGCI):
	mkdir -p .tools/build
	GOBIN=$(CURDIR)/.tools/build go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
	mv .tools/build/golangci-lint $@

fmt:
	gofmt -w cmd internal test

# Every fuzz target of every package for FUZZTIME each.
fuzz:
	scripts/fuzz $(FUZZTIME)

clean:
	rm -rf bin dist .tools
