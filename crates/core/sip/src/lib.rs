//! SIP transactions, dialogs, registrar and authentication, sans-IO.
