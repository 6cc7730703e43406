# SPDX-License-Identifier: GPL-2.0
# Everything is done by scripts/xtask, with the tools of scripts/enter.

# The host that `make run` and `make trace` boot.
MODE ?= vhe
CPU ?= max
# The exits that `make trace` and `make bench` look at.
EXIT ?= all
# How long `make soak` takes in all.
HOURS ?= 2
# How many mutants `make mutation-hosts` boots.
COUNT ?= 100
# The kernels that `make distance` compares, revisions of the git tree KDIR.
FROM ?=
TO ?=

# Where the kernel source is, further options for it, where downloads come from, where things are kept.
export KDIR LINUX_TARBALL FRAGMENT OUTPUT MIRROR KVM_RUST_CACHE TOOLS

.PHONY: help run test test-quick test-full report docs patches configurations deb server distance trace bench mutation mutation-hosts soak
.PHONY: clean-cache

help:
	@echo 'make run         boot a Rust KVM host, run guests on it, show what happened'
	@echo '                 MODE=vhe|nvhe|hvhe|protected|nested'
	@echo '                 CPU=max|neoverse-n1|neoverse-v1|neoverse-n2|cortex-a57'
	@echo 'make test        everything that must pass'
	@echo 'make test-quick  formatting, lints, host-side tests and one boot'
	@echo 'make test-full   also what takes minutes under emulation'
	@echo 'make report      a page of what the last of these tests came to, and where it is'
	@echo 'make docs        the pages in HTML, as the kernel makes them, and rustdoc of the code'
	@echo 'make patches     patches that can be sent, in steps, with a cover letter;'
	@echo '                 BOOT=y builds and boots the kernel of each step instead, which takes hours'
	@echo 'make configurations  build and boot kernels with options that people have; NAMES=...'
	@echo 'make deb         Debian packages of a kernel for servers, from what Debian configures'
	@echo 'make server      installs that package on emulated servers, has a guest of libvirt migrate'
	@echo '                 to one with Debian'"'"'s kernel and back; CPU=neoverse-n1|neoverse-v1|neoverse-n2'
	@echo 'make distance    what changed in the C that is replaced, FROM one kernel TO another;'
	@echo '                 KDIR=tree has the history, BASE=revision is the kernel that this is for'
	@echo 'make trace       compare what C and Rust do between a guest exit and the next entry'
	@echo '                 EXIT=all|hypercall|vgic-mmio|vmm-mmio|timer|first-fp, MODE and CPU as above'
	@echo 'make bench       count what C and Rust execute for each exit, in all modes, and judge it'
	@echo '                 MODE, CPU and EXIT as above, with further exits: first-sve, vcpu-switch,'
	@echo '                 ipi, run-idle, run-fp, run-idle-fp-guest, run-fp-fp-guest'
	@echo '                 OUTPUT=folder of bench.json and pictures of it'
	@echo 'make mutation    change the logic in many small ways, which tests must notice'
	@echo 'make mutation-hosts  the same with booted hosts as the judge, for COUNT of the changes'
	@echo 'make soak        everything at once, in all modes in turn, for HOURS in all; SEED=number'
	@echo '                 does again what a failure names, as far as a seed can'
	@echo 'make clean-cache remove what was built and downloaded'
	@echo
	@echo 'KDIR=tree or LINUX_TARBALL=file selects the kernel source (Linux 7.3.y),'
	@echo 'FRAGMENT=file has further options of the kernel,'
	@echo 'TOOLS=own|root whose tools are taken,'
	@echo 'KVM_RUST_CACHE=folder where everything is kept, MIRROR=url the Debian mirror.'

run:
	@scripts/xtask run --mode '$(MODE)' --cpu '$(CPU)'

test:
	@scripts/xtask test

test-quick:
	@scripts/xtask test --quick

test-full:
	@scripts/xtask test --full

report:
	@scripts/xtask report

docs:
	@scripts/xtask docs

patches:
	@scripts/xtask patches $(if $(filter-out n,$(BOOT)),--boot)

configurations:
	@scripts/xtask configurations $(NAMES)

deb:
	@scripts/xtask deb

# All that are servers, unless one is named on the command line.
server:
	@scripts/xtask server \
		$(if $(filter command line environment,$(origin CPU)),--cpu '$(CPU)')

distance:
	@scripts/xtask distance --from '$(FROM)' --to '$(TO)' $(if $(BASE),--base '$(BASE)')

trace:
	@scripts/xtask trace --mode '$(MODE)' --cpu '$(CPU)' --exit '$(EXIT)'

# All modes, unless one is named on the command line.
bench:
	@scripts/xtask bench --cpu '$(CPU)' --exit '$(EXIT)' \
		$(if $(filter command line environment,$(origin MODE)),--mode '$(MODE)')

mutation:
	@scripts/xtask mutation

mutation-hosts:
	@scripts/xtask mutation --hosts '$(COUNT)'

# All modes, unless one is named on the command line.
soak:
	@scripts/xtask soak --hours '$(HOURS)' \
		$(if $(filter command line environment,$(origin MODE)),--mode '$(MODE)') \
		$(if $(SEED),--seed '$(SEED)')

clean-cache:
	@scripts/clean-cache
