# make demo, make test: each does all of its own set-up on Debian or Ubuntu with Swift.
SHELL = bash
.SHELLFLAGS = -o pipefail -c
PREFIX ?= /usr/local
PACKAGES = libsqlite3-dev libyaml-dev zlib1g-dev libzstd-dev sqlite3 gzip
SUDO = $(shell [ "$$(id -u)" = 0 ] || echo sudo)

.PHONY: all setup build demo test fuzz bench-setup bench bench-check bench-audit bench-propose docs lint format install clean

all: build

# Installs what is missing; asks the package registry for nothing when all is there.
setup:
	@command -v swift > /dev/null || { echo "swift is missing: https://www.swift.org/install" >&2; exit 1; }
	@missing=""; for package in $(PACKAGES); do \
	  dpkg-query -W -f='$${Status}' $$package 2> /dev/null | grep -q "ok installed" || missing="$$missing $$package"; \
	done; \
	if [ -n "$$missing" ]; then \
	  $(SUDO) apt-get update -qq && DEBIAN_FRONTEND=noninteractive $(SUDO) apt-get install -y -qq $$missing; \
	fi

# Static: the run time and Foundation take half of the start of a process otherwise. What Foundation calls is no matter of ours.
build: setup
	@swift build -c release --product whittle --static-swift-stdlib --quiet 2>&1 | { grep -v "use of .mktemp. is dangerous" >&2 || true; }

demo: build
	@Fixtures/demo/demo.sh

test: setup
	swift test -c release --disable-xctest --scratch-path .build-test

# Makes up audit logs for a minute, from Fixtures/fuzz/audit on; SECONDS=600 make fuzz goes on for longer. Ends with an error at the
# first log that the reader gets wrong, and names the file that holds it.
SECONDS ?= 60
FUZZ = .build-fuzz/release/WhittleFuzz
FINDINGS = .build-fuzz/findings

fuzz: setup
	swift build -c release --product WhittleFuzz --package-path Tests/Fuzzing --scratch-path .build-fuzz --quiet
	@mkdir -p .build-fuzz/corpus $(FINDINGS)
	@SWIFT_BACKTRACE=enable=no ASAN_OPTIONS=quarantine_size_mb=16 $(FUZZ) -max_total_time=$(SECONDS) -timeout=10 -detect_leaks=0 \
	  -dict=Fixtures/fuzz/audit.dict -artifact_prefix=$(FINDINGS)/ .build-fuzz/corpus Fixtures/fuzz/audit \
	  > .build-fuzz/log 2>&1 < /dev/null \
	  || { tail -n 60 .build-fuzz/log; echo "found: $$(ls -t $(FINDINGS)/* | head -n 1), see docs/contributing.md"; exit 1; }
	@grep -e INITED -e DONE .build-fuzz/log

# Compares with yardsticks in one run: Python's json.load, PyYAML's CSafeLoader, JSONDecoder, simdjson. Takes some minutes.
BENCH = WHITTLE=$(CURDIR)/.build/release/whittle swift run -c release --package-path Tests/Benchmarks --scratch-path .build-bench WhittleBench

bench-setup: build
	@missing=""; for package in python3 python3-yaml libsimdjson-dev zstd; do \
	  dpkg-query -W -f='$${Status}' $$package 2> /dev/null | grep -q "ok installed" || missing="$$missing $$package"; \
	done; \
	if [ -n "$$missing" ]; then \
	  $(SUDO) apt-get update -qq && DEBIAN_FRONTEND=noninteractive $(SUDO) apt-get install -y -qq $$missing; \
	fi

bench: bench-setup
	$(BENCH)

# Fails when a figure misses its limit; generates 1 GB.
bench-check: bench-setup
	$(BENCH) --check load yaml questions growth propose audit

# Folding of audit logs against JSONDecoder and simdjson; generates 1 GB.
bench-audit: bench-setup
	$(BENCH) audit

# The fewest rules: time for accounts, and how many rules the ClusterRoles of a cluster come down to.
bench-propose: bench-setup
	$(BENCH) propose

# Writes the generated parts of the documentation anew; `make test` compares them.
docs: setup
	WHITTLE_UPDATE_DOCS=1 swift test -c release --disable-xctest --scratch-path .build-test --filter DocumentationTests

lint:
	swift format lint --strict --recursive Sources Tests Package.swift

format:
	swift format --in-place --recursive Sources Tests Package.swift

# One static binary, also as `kubectl whittle`, with completions for three shells.
install: build
	install -d $(DESTDIR)$(PREFIX)/bin
	install -s -m 755 .build/release/whittle $(DESTDIR)$(PREFIX)/bin/whittle
	ln -sf whittle $(DESTDIR)$(PREFIX)/bin/kubectl-whittle
	install -d $(DESTDIR)$(PREFIX)/share/bash-completion/completions $(DESTDIR)$(PREFIX)/share/zsh/site-functions \
	  $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d
	$(DESTDIR)$(PREFIX)/bin/whittle --generate-completion-script bash > $(DESTDIR)$(PREFIX)/share/bash-completion/completions/whittle
	$(DESTDIR)$(PREFIX)/bin/whittle --generate-completion-script zsh > $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_whittle
	$(DESTDIR)$(PREFIX)/bin/whittle --generate-completion-script fish > $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/whittle.fish

clean:
	rm -rf .build .build-test .build-bench .build-fuzz
