//! What must outlive the process: directory and bindings, in redb.
