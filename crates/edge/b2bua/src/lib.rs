//! Backend: our own SIP legs.
