//! The operator: watch, dereference, validate, build, apply, status.
