# Builds, installs and packages the four programs. `make help` lists the targets and what can be set.
#
# make only calls cargo and copies: what the programs are made of is written in the Cargo.toml files. A program that is
# already built is installed as it is, so that `make build && sudo make install` runs no compiler as root.

PROGRAMS := hookswitch call-api call-cmd call-api-client

CARGO ?= cargo
DOCKER ?= docker
INSTALL ?= install
STRIP ?= strip
TARGET_DIR ?= $(or $(CARGO_TARGET_DIR),target)
# Where the built programs are.
RELEASE ?= $(TARGET_DIR)/release
# Where the man pages and the completions are written; the Debian package takes them from below RELEASE.
PAGES ?= $(RELEASE)/pages
IMAGE ?= hookswitch:latest
DEB ?= $(TARGET_DIR)/debian

PREFIX ?= /usr/local
DESTDIR ?=
BINDIR ?= $(PREFIX)/bin
DATADIR ?= $(PREFIX)/share
DOCDIR ?= $(DATADIR)/doc/hookswitch
MANDIR ?= $(DATADIR)/man
BASHDIR ?= $(DATADIR)/bash-completion/completions
ZSHDIR ?= $(DATADIR)/zsh/site-functions
FISHDIR ?= $(DATADIR)/fish/vendor_completions.d
UNITDIR ?= $(PREFIX)/lib/systemd/system
SYSUSERSDIR ?= $(PREFIX)/lib/sysusers.d
# The programs look for their files in /etc, wherever they are installed themselves.
SYSCONFDIR ?= /etc

# Configuration files, and their places below SYSCONFDIR. call-api-client reads that of call-api.
CONFIG := packaging/hookswitch.yml:hookswitch/hookswitch.yml config/call-api.yml:call-api/call-api.yml \
  config/call-cmd.yml:call-api/call-cmd.yml
UNITS := hookswitch.service call-api.service
# With the folders that the README points into.
DOCS := README.md CHANGELOG.md LICENSE-MIT LICENSE-APACHE docs config $(wildcard examples)

built := $(addprefix $(RELEASE)/,$(PROGRAMS))
# A build that says what it is. Without git, or outside of a clone, it says nothing.
export HOOKSWITCH_COMMIT ?= $(shell git rev-parse --short=12 HEAD 2>/dev/null)

.DEFAULT_GOAL := build
.PHONY: build install install-strip uninstall clean test deb docker help

build: ## compile the programs (release), write the man pages and the completions
	$(CARGO) build --locked --release $(addprefix --bin ,$(PROGRAMS))
	$(MAKE) $(PAGES)/made

# Only what is missing: whether a program is up to date is what `make build` asks cargo.
$(built):
	$(CARGO) build --locked --release --bin $(@F)

$(PAGES)/made: $(RELEASE)/hookswitch
	rm -rf $(PAGES)
	$(RELEASE)/hookswitch generate-pages $(PAGES)
	touch $@

install: $(built) $(PAGES)/made ## install below DESTDIR/PREFIX; a configuration file that is there stays as it is
	$(INSTALL) -d $(DESTDIR)$(BINDIR)
	$(INSTALL) -m 755 $(built) $(DESTDIR)$(BINDIR)
	$(INSTALL) -d $(DESTDIR)$(MANDIR)/man1 $(DESTDIR)$(BASHDIR) $(DESTDIR)$(ZSHDIR) $(DESTDIR)$(FISHDIR)
	$(INSTALL) -m 644 $(PAGES)/man/*.1 $(DESTDIR)$(MANDIR)/man1
	$(INSTALL) -m 644 $(PAGES)/bash/* $(DESTDIR)$(BASHDIR)
	$(INSTALL) -m 644 $(PAGES)/zsh/* $(DESTDIR)$(ZSHDIR)
	$(INSTALL) -m 644 $(PAGES)/fish/* $(DESTDIR)$(FISHDIR)
	$(INSTALL) -d $(DESTDIR)$(DOCDIR)
	cp -R $(DOCS) $(DESTDIR)$(DOCDIR)
	chmod -R u=rwX,go=rX $(DESTDIR)$(DOCDIR)
	$(INSTALL) -d $(DESTDIR)$(UNITDIR) $(DESTDIR)$(SYSUSERSDIR)
	for unit in $(UNITS); do \
	  sed -e 's#/usr/bin/#$(BINDIR)/#g' -e 's#/etc/#$(SYSCONFDIR)/#g' packaging/systemd/$$unit \
	    >$(DESTDIR)$(UNITDIR)/$$unit && chmod 644 $(DESTDIR)$(UNITDIR)/$$unit || exit 1; \
	done
	$(INSTALL) -m 644 packaging/systemd/hookswitch.conf $(DESTDIR)$(SYSUSERSDIR)
	@DESTDIR='$(DESTDIR)' SYSCONFDIR='$(SYSCONFDIR)' CONFIG='$(CONFIG)' SYSUSERSDIR='$(SYSUSERSDIR)' \
	  sh packaging/install-config.sh

install-strip: install ## install, without the symbols
	$(STRIP) $(addprefix $(DESTDIR)$(BINDIR)/,$(PROGRAMS))

uninstall: ## remove what install has put there, except the configuration and the data
	rm -f $(addprefix $(DESTDIR)$(BINDIR)/,$(PROGRAMS))
	for program in $(PROGRAMS); do \
	  rm -f $(DESTDIR)$(MANDIR)/man1/$$program.1 $(DESTDIR)$(BASHDIR)/$$program $(DESTDIR)$(ZSHDIR)/_$$program \
	    $(DESTDIR)$(FISHDIR)/$$program.fish; \
	done
	rm -f $(DESTDIR)$(MANDIR)/man1/hookswitch-*.1
	rm -f $(addprefix $(DESTDIR)$(UNITDIR)/,$(UNITS)) $(DESTDIR)$(SYSUSERSDIR)/hookswitch.conf
	rm -rf $(DESTDIR)$(DOCDIR)
	@echo "kept: $(DESTDIR)$(SYSCONFDIR)/hookswitch, $(DESTDIR)$(SYSCONFDIR)/call-api, /var/lib/hookswitch"

clean: ## remove everything that was built
	$(CARGO) clean

test: ## run every test (as root it installs what they need)
	./test

deb: build ## make the Debian package, below DEB (needs cargo-deb)
	gzip --keep --force --best --no-name $(PAGES)/man/*.1
	$(CARGO) deb --package hookswitch-server --no-build --locked --strip --output $(DEB)

docker: ## build the container image IMAGE
	$(DOCKER) build --build-arg HOOKSWITCH_COMMIT=$(HOOKSWITCH_COMMIT) --tag $(IMAGE) .

help: ## print this
	@echo 'targets:'
	@sed -n 's/^\([a-z-]*\):[^#]*## /  \1#/p' Makefile | while IFS='#' read -r name text; do \
	  printf '%-16s %s\n' "  $$name" "$$text"; done
	@echo 'variables:'
	@printf '  %-14s %s\n' PREFIX '$(PREFIX)' DESTDIR '$(DESTDIR)' SYSCONFDIR '$(SYSCONFDIR)' \
	  TARGET_DIR '$(TARGET_DIR)' DEB '$(DEB)' IMAGE '$(IMAGE)' CARGO '$(CARGO)' DOCKER '$(DOCKER)'
