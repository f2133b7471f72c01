//! Development only: virtual clock, simulated network, scripted phones.
