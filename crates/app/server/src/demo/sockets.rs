//! Finding free ports: the usual ones, or the next that nobody uses.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use anyhow::Context as _;
use hookswitch_drive::{Service, StartError, Switch, WebError};

use super::picture::Picture;
use crate::compose;
use crate::config::Config;

/// How many ports are tried after the usual one.
const ATTEMPTS: usize = 50;

/// A switch that runs, and where its phones find it.
pub struct Opened {
    pub switch: Switch,
    /// The SIP address on the loopback.
    pub sip: SocketAddr,
}

/// Starts the switch on the first ports that are free, and says so when they are not the usual ones.
pub fn open(mut config: Config, picture: &Arc<Picture>) -> anyhow::Result<Opened> {
    for _ in 0..ATTEMPTS {
        let mut settings = compose::switch_config(&config)?;
        // Nothing of a demonstration is worth remembering.
        settings.store = None;
        if let Some(control) = &mut settings.control {
            control.audit = None;
        }
        settings.tap = Some(picture.clone());
        match Switch::start(settings) {
            Ok(switch) => {
                let port = switch.addresses().sip.first().context("no SIP socket")?.address.port();
                return Ok(Opened { switch, sip: SocketAddr::new(IpAddr::from([127, 0, 0, 1]), port) });
            }
            Err(error) => next_ports(&mut config, error, picture)?,
        }
    }
    anyhow::bail!("no free ports near the usual ones")
}

/// Moves on the port that is taken; any other reason is the end.
fn next_ports(config: &mut Config, error: StartError, picture: &Picture) -> anyhow::Result<()> {
    match &error {
        StartError::Sip(net) if net.is_in_use() => {
            let taken = config.sip.listen.first().map_or(5060, |socket| socket.address.port());
            picture.say(&format!("port {taken} for SIP is taken; trying {}", taken + 1));
            for socket in &mut config.sip.listen {
                socket.address.set_port(taken + 1);
            }
        }
        StartError::Web(WebError::InUse { service, address }) => {
            let (taken, next) = (address.port(), address.port() + 1);
            picture.say(&format!("port {taken} for {service} is taken; trying {next}"));
            let listen = match service {
                Service::CallApi => &mut config.call_api.listen,
                Service::Http => &mut config.http.listen,
                Service::Control => &mut config.control.listen,
                Service::Channels => &mut config.channels.listen,
            };
            if let Some((host, _)) = listen.clone().rsplit_once(':') {
                *listen = format!("{host}:{next}");
            }
        }
        _ => return Err(error).context("the switch does not start"),
    }
    Ok(())
}
