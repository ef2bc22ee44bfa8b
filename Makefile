# Needs Go and nothing else: "make test" installs or names what tests use
# besides, and the developer tools are pinned in tools/go.mod.

.PHONY: help run build man install uninstall test soak soak-pipe lint fmt bench bench-commands bench-copy bench-crowd bench-pipes bench-relay clean

ARGS =

# The platforms other than the host's that must build.
CROSS = darwin/arm64 freebsd/amd64 linux/arm windows/amd64

# A test binary that hangs prints its goroutines at this age, early enough
# for CI to report it within its 15 minutes.
TIMEOUT = 12m

# Nothing here uses cgo, so nothing but the race detector needs a C compiler:
# scripts/go-test turns cgo on for that.
export CGO_ENABLED = 0

# Where things are built, and where they are installed. See "Directory
# Variables" in the GNU Coding Standards.
BIN = bin
PREFIX = /usr/local
DESTDIR =
BINDIR = $(PREFIX)/bin
MANDIR = $(PREFIX)/share/man
BASHCOMPDIR = $(PREFIX)/share/bash-completion/completions
ZSHCOMPDIR = $(PREFIX)/share/zsh/site-functions
FISHCOMPDIR = $(PREFIX)/share/fish/vendor_completions.d

# What is installed has no paths of this machine, and no symbols, which are
# a third of it: stack traces do without.
RELEASE_FLAGS = -trimpath -ldflags='-s -w'

# The date of man pages: of the last commit, unless a packager sets another.
SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null)
export SOURCE_DATE_EPOCH

# The pages come from the program itself. It may be being built for another
# machine than this one.
HOST_PENSTOCK = GOOS= GOARCH= go run ./cmd/penstock

TOOL = go tool -modfile=tools/go.mod
BENCH_TOOL = go tool -modfile=../tools/go.mod

help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

run: build ## build, then serve the demo stream, recording into recordings/ (ARGS= adds flags)
	$(BIN)/penstock serve --demo --record recordings $(ARGS)

build: ## build bin/penstock
	go build -o $(BIN)/penstock ./cmd/penstock

man: ## write man pages and shell completions into bin/man and bin/completions
	rm -rf $(BIN)/man $(BIN)/completions
	mkdir -p $(BIN)/completions
	$(HOST_PENSTOCK) man $(BIN)/man
	$(HOST_PENSTOCK) completion bash >$(BIN)/completions/penstock
	$(HOST_PENSTOCK) completion zsh >$(BIN)/completions/_penstock
	$(HOST_PENSTOCK) completion fish >$(BIN)/completions/penstock.fish

install: man ## install the program, its man pages and completions under PREFIX (/usr/local), staged in DESTDIR
	go build $(RELEASE_FLAGS) -o $(BIN)/release/penstock ./cmd/penstock
	install -d $(addprefix $(DESTDIR),$(BINDIR) $(MANDIR)/man1 $(BASHCOMPDIR) $(ZSHCOMPDIR) $(FISHCOMPDIR))
	install -m 755 $(BIN)/release/penstock $(DESTDIR)$(BINDIR)/penstock
	install -m 644 $(BIN)/man/*.1 $(DESTDIR)$(MANDIR)/man1
	install -m 644 $(BIN)/completions/penstock $(DESTDIR)$(BASHCOMPDIR)/penstock
	install -m 644 $(BIN)/completions/_penstock $(DESTDIR)$(ZSHCOMPDIR)/_penstock
	install -m 644 $(BIN)/completions/penstock.fish $(DESTDIR)$(FISHCOMPDIR)/penstock.fish

uninstall: ## remove what install has put there
	rm -f $(DESTDIR)$(BINDIR)/penstock
	rm -f $(DESTDIR)$(MANDIR)/man1/penstock.1 $(DESTDIR)$(MANDIR)/man1/penstock-*.1
	rm -f $(DESTDIR)$(BASHCOMPDIR)/penstock $(DESTDIR)$(ZSHCOMPDIR)/_penstock $(DESTDIR)$(FISHCOMPDIR)/penstock.fish

# -count=1: the tests depend on the kernel and on installed programs, which
# the go command's test cache does not see. -vet=off: lint vets.
test: ## install or name what the tests use, then run them all, under the race detector (ARGS= adds flags)
	@scripts/setup-tests
	scripts/go-test -vet=off -count=1 -timeout $(TIMEOUT) $(ARGS) ./...
	go test -vet=off -count=1 -timeout $(TIMEOUT) -run 'AFaultOf' .
	cd bench && go vet ./... && go test -vet=off -count=1 -timeout $(TIMEOUT) ./...

# How long the two soaks go on; neither is for CI.
soak: SOAK = 30m
soak-pipe: SOAK = 10m

soak: ## have a crowd at a server for a while, and see that nothing of it grows (SOAK= sets how long)
	PENSTOCK_SOAK=$(SOAK) go test -vet=off -count=1 -timeout 0 -v -run TestAServerStaysAsItIs $(ARGS) ./live/soak

soak-pipe: ## compare the pipe with the kernel's for a while (SOAK= sets how long)
	PENSTOCK_SOAK=$(SOAK) go test -vet=off -count=1 -timeout 0 -v -run TestPipeDoesWhatTheKernelDoes $(ARGS) .

lint: ## check format, vet, staticcheck, other platforms, modules, dependencies and names
	scripts/lint-format
	scripts/lint-names
	go mod tidy -diff
	cd bench && go mod tidy -diff
	cd tools && go mod tidy -diff
	scripts/lint-deps $(CROSS)
	go build ./...
	go vet ./...
	cd bench && go vet ./...
	$(TOOL) staticcheck ./...
	cd bench && $(BENCH_TOOL) staticcheck ./...
	scripts/lint-cross $(CROSS)
	scripts/lint-shell

fmt: ## format the Go files of every module
	$(TOOL) gofumpt -w .

bench: ## measure fan-out (ARGS= adds flags)
	cd bench && go run ./fanout $(ARGS)

bench-commands: ## measure penstock copy beside cat, pv, tee, mbuffer, socat and nc (ARGS= adds flags)
	cd bench && go run ./commands $(ARGS)

bench-copy: ## measure Copy and CopyBoth beside io.Copy, for six minutes (ARGS= adds flags)
	cd bench && go run ./copy $(ARGS)

bench-crowd: ## measure a live stream to a crowd of viewers, beside other servers (ARGS= adds flags)
	cd bench && go run ./crowd $(ARGS)

bench-pipes: ## measure the pipe in memory, beside its peers (ARGS= adds flags)
	go test -run '^$$' -bench Pipe $(ARGS) .
	cd bench && go test -run '^$$' -bench . $(ARGS) ./pipes

bench-relay: ## measure penstock relay beside HAProxy, nginx, socat and io.Copy, for five minutes and more (ARGS= adds flags)
	cd bench && go run ./relay $(ARGS)

clean: ## remove what build, tests and profiles leave; recordings/ stays
	rm -rf bin coverage.out coverage.html
	find . -name .git -prune -o -type f \( -name '*.test' -o -name '*.prof' -o -name '*.coverprofile' \) -exec rm -f {} +
