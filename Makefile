# make check is everything that CI runs; make alone builds.
GOLANGCI = go tool -modfile=tools/golangci-lint.mod golangci-lint
# The race detector needs a C compiler; the product does not.
RACE = $(shell command -v gcc >/dev/null 2>&1 && echo -race)

build:
	CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o tocsin ./cmd/tocsin

check: build lint test e2e tidy
	@echo "make check: all green"

test:
	CGO_ENABLED=$(if $(RACE),1,0) go test $(RACE) -shuffle=on $$(go list ./... | grep -v /e2e)

# The journeys run by the real program, as it ships: static and without the
# race detector.
e2e:
	CGO_ENABLED=0 go test ./e2e

lint:
	$(GOLANGCI) run ./...
	go fix -diff ./...

tidy:
	go mod tidy -diff

# bench measures a hub beside nginx (make bench BENCH="--objects 1000000"), bench-scan
# looking through logs beside grep and ripgrep; micro-bench measures single parts.
bench: build
	./tocsin bench $(BENCH)

bench-scan: build
	./tocsin bench scan $(BENCH)

micro-bench:
	CGO_ENABLED=0 go test -run='^$$' -bench=. -benchmem $$(go list ./... | grep -v /e2e)

# The tables of docs/privacy.md, from the corpora in TOCSIN_DATA.
privacy:
	CGO_ENABLED=0 go test -v -run='Measure|Planted|PublicIndicators|ATTACK' ./internal/minimize/... ./internal/extract

# One minute for each decoder; go test -fuzz takes one target at a time.
fuzz:
	@grep -rlE '^func Fuzz' --include='*_test.go' . | while read -r file; do \
	  for target in $$(grep -oE '^func Fuzz[A-Za-z0-9_]+' $$file | sed 's/^func //'); do \
	    go test -run='^$$' -fuzz="^$$target\$$" -fuzztime=1m ./$$(dirname $$file) || exit 1; \
	  done; \
	done

.PHONY: build check test e2e lint tidy bench bench-scan micro-bench privacy fuzz
