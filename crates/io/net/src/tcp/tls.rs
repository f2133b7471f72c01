//! TLS over bytes that somebody else reads and writes.

use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, Connection, ServerConfig, ServerConnection};

use super::identity::domains;

pub(super) struct Tls(Box<Connection>);

impl Tls {
    /// The side that was connected to.
    pub(super) fn server(config: Arc<ServerConfig>) -> Result<Self, rustls::Error> {
        Ok(Self(Box::new(ServerConnection::new(config)?.into())))
    }

    /// The side that connects, to somebody whose certificate has to be for `name`, or without one for the address.
    pub(super) fn client(
        config: Arc<ClientConfig>,
        name: Option<&str>,
        remote: SocketAddr,
    ) -> Result<Self, rustls::Error> {
        let name = match name {
            Some(name) => ServerName::try_from(name.to_owned())
                .map_err(|_| rustls::Error::General("the name of the other side is no host name".to_owned()))?,
            None => ServerName::from(remote.ip()),
        };
        Ok(Self(Box::new(ClientConnection::new(config, name)?.into())))
    }

    /// The domains that the other side has proved to be, once hands are shaken.
    pub(super) fn names(&self) -> Vec<String> {
        // What is kept here has been found good, or there would be no connection.
        self.0.peer_certificates().and_then(|chain| chain.first()).map(|own| domains(own)).unwrap_or_default()
    }

    pub(super) fn is_handshaking(&self) -> bool {
        self.0.is_handshaking()
    }

    /// Takes what has arrived. True when the peer has said that it says nothing more.
    pub(super) fn receive(&mut self, mut raw: &[u8], plain: &mut Vec<u8>) -> Result<bool, rustls::Error> {
        let mut ended = false;
        while !raw.is_empty() && !ended {
            let taken = self.0.read_tls(&mut raw).map_err(|error| rustls::Error::General(error.to_string()))?;
            let state = self.0.process_new_packets()?;
            let (from, len) = (plain.len(), state.plaintext_bytes_to_read());
            plain.resize(from + len, 0);
            let read = self.0.reader().read(&mut plain[from..]).unwrap_or(0);
            plain.truncate(from + read);
            ended = state.peer_has_closed() || taken == 0;
        }
        Ok(ended)
    }

    /// Encrypts bytes.
    pub(super) fn send(&mut self, mut plain: &[u8], raw: &mut Vec<u8>) {
        while !plain.is_empty() {
            // It takes no more at a time than it has room for; what it holds is taken out in between.
            let Ok(taken) = self.0.writer().write(plain) else { return };
            if taken == 0 {
                return;
            }
            plain = &plain[taken..];
            self.take_output(raw);
        }
    }

    /// What the handshake, or an alert, wants sent.
    pub(super) fn take_output(&mut self, raw: &mut Vec<u8>) {
        while self.0.wants_write() {
            // A vector takes everything.
            if self.0.write_tls(raw).is_err() {
                return;
            }
        }
    }

    /// Says that nothing more will be sent.
    pub(super) fn close(&mut self, raw: &mut Vec<u8>) {
        self.0.send_close_notify();
        self.take_output(raw);
    }
}
