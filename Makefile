# Tuplix: what people do with it, in one word each. "make help" lists them.
#
# Set-up is part of every target that needs it. Where this user may not install
# packages, one line says which ones to install.

PORT   ?= 8080
MEMORY ?= 512M
CPUS   ?= 2
DISK   ?= build/disk.img
LOGIN  ?= none
BENCH  ?= all
PLUGS  ?= 500
SEEDS  ?= 2000
FUZZ   ?= 3000x

# The recipes' own commands must not read what is meant for the console.
quiet = </dev/null

.PHONY: help run test test-host test-fuzz test-machine test-newer-qemu test-go soak-plug soak bench clean-disk

help:
	@echo 'make run         boot the shell in QEMU, with its disk in $(DISK)'
	@echo '                 (PORT=$(PORT) is its web page, MEMORY=$(MEMORY), CPUS=$(CPUS);'
	@echo '                 LOGIN=console asks who is there, SSH=2222 lets users in by that port,'
	@echo '                 ENCRYPT=1 encrypts a new disk, KEY_FILE=... opens it)'
	@echo 'make test        run all tests, on this host and in QEMU'
	@echo 'make test-newer-qemu'
	@echo '                 the tests in QEMU, with a QEMU that has x2APIC, which it fetches'
	@echo '                 to build/qemu and does not install'
	@echo 'make test-fuzz   run each fuzz test of the store on new inputs (FUZZ=$(FUZZ)'
	@echo '                 each)'
	@echo 'make test-go     run all listed tests of the Go distribution, and all of SQLite (docs/GO-TESTS.md)'
	@echo 'make soak-plug   kill QEMU $(PLUGS) times (PLUGS=$(PLUGS)) under files, tasks, messages and'
	@echo '                 a ring of balances'
	@echo 'make soak        the same, then cut the power'
	@echo '                 under the store and files 100 times SEEDS=$(SEEDS) times; takes hours'
	@echo 'make bench       measure against Linux, Pebble, PostgreSQL, SQLite and gRPC;'
	@echo '                 BENCH=machine, store or services measures one part'
	@echo 'make clean-disk  start anew: remove the disk image'

# Set-up comes first: who lacks a package learns of it before anything is built.
.PHONY: setup
setup:
	@sh qemu/setup $(quiet)

.PHONY: setup-linux
setup-linux:
	@sh qemu/setup -linux $(quiet)

run: setup build/tuplix
	@exec build/tuplix run -disk $(DISK) $(if $(ENCRYPT),-encrypt) $(if $(KEY_FILE),-key-file $(KEY_FILE)) -m $(MEMORY) -smp $(CPUS) -p $(PORT):80 $(if $(SSH),-p $(SSH):22 -cmdline set.ssh.listen=:22) -cmdline login=$(LOGIN) ./apps/shell

# Always asked, since only the go command knows whether it is up to date.
.PHONY: build/tuplix
build/tuplix: setup
	@mkdir -p build
	@go build -o build/tuplix ./cmd/tuplix $(quiet)

test: test-host test-machine

# Packages whose tests boot machines: these have the machine to themselves.
machines = ./qemu ./cmd/tuplix

test-host:
	@sh qemu/setup -race $(quiet)
	@echo '== gofmt'
	@test -z "$$(gofmt -l . | tee /dev/stderr)"
	@echo '== go vet'
	@go vet ./...
	@echo '== staticcheck'
	@go tool staticcheck ./...
	@echo '== tests on this host, with the race detector'
	@GORACE=atexit_sleep_ms=50 go test -race -p 3 -timeout 20m $$(go list ./... | grep -v -x -e '[^ ]*/qemu' -e '[^ ]*/cmd/tuplix')
	@echo '== without it, power cuts under the store, thousands of them, an error at each I/O, a bit in each block, a disk that is full, 10,000 connections'
	@failed=; runs=; for what in \
		'./dbms/store -run=Crash$$|IOErrors$$|FlippedBits$$ -crash.seeds=$(SEEDS) -faults.step=1 -flips.step=1' \
		'./dbms/engine/embedded -run=Crash$$|Faults$$|Rewrite$$|EmptyModel$$ -crash.seeds=100 -faults.all' \
		'./dbms/table -run=Random$$ -table-runs=60' \
		'./dbms/lsm -run=CompactFails$$ -compact.rounds=300' \
		'./services/file -run=HundredThousandEntries$$|Operations$$' \
		'./services/linux -run=IdleConnections$$'; do \
		GOMAXPROCS=4 go test -timeout 20m $$what & runs="$$runs $$!"; \
	done; \
	for run in $$runs; do wait $$run || failed=1; done; test -z "$$failed"

# What tests remember of former finds is run by test-host as well.
test-fuzz: setup
	@echo '== fuzz tests of the store, $(FUZZ) each'
	@mkdir -p build
	@set -e; for f in $$(grep -rl '^func Fuzz' --include='*_test.go' dbms); do \
		for t in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9]*\).*/\1/p' $$f); do \
			go test -run '^$$' -fuzz "^$$t\$$" -fuzztime $(FUZZ) ./$$(dirname $$f) >build/fuzz.log 2>&1 || { cat build/fuzz.log; exit 1; }; \
		done; \
	done

test-machine: setup build/tuplix
	@echo '== tests in QEMU'
	@go test -timeout 20m $(machines)

test-newer-qemu: build/tuplix
	@sh qemu/newer build/qemu $(quiet)
	@PATH="$(CURDIR)/build/qemu/bin:$$PATH" go test -count 1 -timeout 20m $(machines)

test-go: setup
	@go test -timeout 60m -v -run 'Distribution$$|SQLite$$' ./cmd/tuplix -go.packages all -modules.all

soak-plug: setup
	@go test -timeout 0 ./qemu -run 'TestPlug$$' -v -plugs $(PLUGS)

soak: soak-plug
	@go test -timeout 0 -run 'Crash$$' ./dbms/store -crash.seeds $$((100 * $(SEEDS)))
	@go test -timeout 0 -v -run 'Rewrite$$' ./dbms/engine/embedded -room.times 100 -room.large
	@go test -timeout 0 -run 'Operations$$' ./services/file -operations.seeds $$((100 * $(SEEDS)))
	@go test -timeout 0 -v -run 'ManyFiles$$' ./services/file -many.files 1000000

# What each part of the benchmarks needs. The store needs no QEMU.
.PHONY: need-machine need-store need-services
need-machine: setup-linux build/tuplix

need-store need-services:
	@sh qemu/setup -store $(quiet)

bench: $(addprefix need-,$(filter machine store services,$(BENCH:all=machine store services)))
	@PATH="$$PATH:/usr/sbin:/sbin" go run ./cmd/bench $(BENCH)

clean-disk:
	@rm -f $(DISK)
