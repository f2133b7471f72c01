# Hookswitch and the three tools of the Call API in one image.
#
#   docker build -t hookswitch .                    the image
#   docker run hookswitch                           the Call API in front of OpenSIPS, on 0.0.0.0:5059
#   docker run hookswitch call-api-client -method CallStart -params '{"caller": "…", "callee": "…"}'
#   docker run hookswitch call-cmd CallStart caller=… callee=…
#   docker run hookswitch hookswitch serve          the switch
#
# Every key of the tools' files that matters in a container is an environment variable: docs/install.md.

FROM rust:1.95-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends cmake
WORKDIR /src
COPY . .
# What `-v` says beside the version.
ARG HOOKSWITCH_COMMIT
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    make build install-strip DESTDIR=/out PREFIX=/usr
RUN install -d -o 10001 -g 10001 -m 700 /out/var/lib/hookswitch \
    && install -D -m 644 packaging/docker/hookswitch.yml /out/etc/hookswitch/hookswitch.yml

FROM debian:bookworm-slim
# For `wss` and `https` to other hosts.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/usr/bin/ /usr/bin/
COPY --from=build /out/etc/ /etc/
COPY --from=build --chown=10001:10001 /out/var/lib/hookswitch /var/lib/hookswitch
COPY --from=build /out/usr/share/doc/hookswitch/ /usr/share/doc/hookswitch/
# Within a container the loopback is nobody's: what is published with -p has to be reached.
ENV CALL_API_HOST=0.0.0.0 XDG_STATE_HOME=/var/lib
# No name, no shell, no home: a number is all it needs.
USER 10001:10001
WORKDIR /var/lib/hookswitch
VOLUME /var/lib/hookswitch
# Call API; SIP. The ports for RTP are published by who runs the switch (media.ports).
EXPOSE 5059 5060/udp 5060/tcp
STOPSIGNAL SIGTERM
CMD ["call-api"]
