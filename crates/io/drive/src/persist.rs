//! What a shard wants remembered, as entries of the store: one JSON value per domain, binding, subscription, mailbox and ban.

use compact_str::CompactString;
use hookswitch_call::directory::DirectoryChange;
use hookswitch_dialect::rest::KeyName;
use hookswitch_shard::{Change, MailboxChange, Stored};
use hookswitch_store::{Store, StoreError, Table, Write};

/// An entry of the store could not be read.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The store itself.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The entry of a domain is not what this program writes. Starting without its users would lock them out.
    #[error("the stored users of domain {domain} cannot be read: {why}")]
    Domain {
        /// The domain.
        domain: String,
        /// What is wrong.
        why: serde_json::Error,
    },
}

/// A binding's key: the address of record, a zero byte, and the binding's number within it.
fn binding_key(aor: &str, id: u64) -> Vec<u8> {
    let mut key = Vec::with_capacity(aor.len() + 9);
    key.extend_from_slice(aor.as_bytes());
    key.push(0);
    key.extend_from_slice(&id.to_be_bytes());
    key
}

/// The key of an idempotency key: whose, a zero byte, and the key, which has none.
fn key_key(name: &KeyName) -> Vec<u8> {
    [name.holder.as_bytes(), &[0], name.key.as_bytes()].concat()
}

/// One change as a write.
///
/// # Errors
/// The value has no JSON form. What is stored consists of strings and numbers, so that would be a defect.
pub(crate) fn encode(change: &Change) -> Result<Write, serde_json::Error> {
    Ok(match change {
        Change::Directory(DirectoryChange::Put(domain, layer)) => {
            Write::put(Table::Directory, domain.as_bytes(), serde_json::to_vec(layer)?)
        }
        Change::Directory(DirectoryChange::Removed(domain)) => Write::remove(Table::Directory, domain.as_bytes()),
        Change::BindingPut(binding) => {
            let key = binding_key(&binding.aor, binding.id.0);
            Write::put(Table::Bindings, &key, serde_json::to_vec(&**binding)?)
        }
        Change::BanPut(ban) => Write::put(Table::Bans, ban.source.to_string().as_bytes(), serde_json::to_vec(ban)?),
        Change::BanRemoved(source) => Write::remove(Table::Bans, source.to_string().as_bytes()),
        Change::BindingRemoved { aor, id } => Write::remove(Table::Bindings, &binding_key(aor, id.0)),
        Change::Mailbox(MailboxChange { aor, mailbox: Some(mailbox) }) => {
            Write::put(Table::Mailboxes, aor.as_bytes(), serde_json::to_vec(mailbox)?)
        }
        Change::Mailbox(MailboxChange { aor, mailbox: None }) => Write::remove(Table::Mailboxes, aor.as_bytes()),
        Change::SubscriptionPut(it) => {
            Write::put(Table::Subscriptions, &it.key.0.to_be_bytes(), serde_json::to_vec(&**it)?)
        }
        Change::KeyPut(key) => Write::put(Table::Keys, &key_key(&key.name), serde_json::to_vec(&**key)?),
        Change::KeyRemoved(name) => Write::remove(Table::Keys, &key_key(name)),
        Change::SubscriptionRemoved(key) => Write::remove(Table::Subscriptions, &key.0.to_be_bytes()),
    })
}

/// Everything that was stored, the directory first.
pub(crate) fn load(store: &mut dyn Store) -> Result<Vec<Stored>, RestoreError> {
    let mut all = Vec::new();
    let mut bad = None;
    store.load(Table::Directory, &mut |key, value| {
        let domain = String::from_utf8_lossy(key);
        match serde_json::from_slice(value) {
            Ok(layer) => all.push(Stored::Domain(CompactString::from(&*domain), layer)),
            Err(why) => bad = Some(RestoreError::Domain { domain: domain.into_owned(), why }),
        }
    })?;
    if let Some(error) = bad {
        return Err(error);
    }
    store.load(Table::Bindings, &mut |_, value| match serde_json::from_slice(value) {
        Ok(binding) => all.push(Stored::Binding(Box::new(binding))),
        // The phone registers again within the hour: not worth a switch that does not start.
        Err(error) => tracing::warn!(%error, "a stored binding cannot be read and is left out"),
    })?;
    store.load(Table::Mailboxes, &mut |key, value| match serde_json::from_slice(value) {
        Ok(mailbox) => all.push(Stored::Mailbox(String::from_utf8_lossy(key).into_owned().into(), mailbox)),
        // Whoever keeps the messages says it again.
        Err(error) => tracing::warn!(%error, "a stored mailbox cannot be read and is left out"),
    })?;
    store.load(Table::Subscriptions, &mut |_, value| match serde_json::from_slice(value) {
        Ok(subscription) => all.push(Stored::Subscription(Box::new(subscription))),
        // The phone subscribes again within the hour.
        Err(error) => tracing::warn!(%error, "a stored subscription cannot be read and is left out"),
    })?;
    store.load(Table::Bans, &mut |_, value| match serde_json::from_slice(value) {
        Ok(ban) => all.push(Stored::Ban(Box::new(ban))),
        Err(error) => tracing::warn!(%error, "a stored ban cannot be read and is left out"),
    })?;
    store.load(Table::Keys, &mut |_, value| match serde_json::from_slice(value) {
        Ok(key) => all.push(Stored::Key(Box::new(key))),
        Err(error) => tracing::warn!(%error, "a stored idempotency key cannot be read and is left out"),
    })?;
    Ok(all)
}
