//! What an expression may be and may cost. Everything here holds before or while the work is done, so that no
//! source and no message makes the engine slow, large or deep.

/// The longest source, in bytes.
pub const MAX_SOURCE: usize = 64 * 1024;

/// The most tokens of a source, and so the most nodes of its tree.
pub(super) const MAX_TOKENS: usize = 16 * 1024;

/// How deep a tree may be: what bounds the recursion of the parser, the compiler and the evaluator, and through it
/// their stack (about 1 MiB of it in a debug build, with the values that an expression of that depth can nest).
pub(super) const MAX_DEPTH: u16 = 160;

/// How deep the lists and maps that an expression makes can nest, those of the messages in them included.
pub(super) const MAX_NESTING: u32 = 300;

/// What one evaluation may cost: one for each operation and each value made or looked at, one for every few bytes
/// of strings. Some 100 ms of work, and some tens of megabytes.
pub(super) const MAX_COST: u64 = 2_000_000;

/// What evaluating a constant part at compile time may cost; what costs more is left for run time.
pub(super) const MAX_FOLD_COST: u64 = 20_000;

/// The longest pattern of `matches`, in bytes.
pub(super) const MAX_PATTERN: usize = 4096;

/// The most memory that a compiled pattern may take, in bytes.
pub(super) const MAX_PATTERN_SIZE: usize = 1 << 20;

/// The same for a pattern that is not known before a message: it is compiled while the message waits.
pub(super) const MAX_DYNAMIC_PATTERN_SIZE: usize = 1 << 18;
