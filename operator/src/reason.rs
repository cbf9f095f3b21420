//! The words of a status: the types of its conditions and the operator's own reasons, all in one place. The reasons of
//! problems are the compiler's ([`streaming_compiler::reason`]) and the expression engine's.

/// Conditions, by type.
pub mod condition {
    /// Sums the others up: whether the resource does what it says.
    pub const READY: &str = "Ready";
    /// Whether the resource is right in itself.
    pub const ACCEPTED: &str = "Accepted";
    /// Whether all that it refers to is there, and right in itself.
    pub const RESOLVED: &str = "Resolved";
    /// Whether a component's pods run as they should.
    pub const AVAILABLE: &str = "Available";
    /// Only there, and then `True`, while there is something to warn about.
    pub const WARNING: &str = "Warning";
}

/// Nothing is wrong with the resource itself.
pub const VALID: &str = "Valid";
/// All that the resource refers to is there.
pub const FOUND: &str = "Found";
/// A `ClusterStream` or Stream that components can use.
pub const USABLE: &str = "Usable";
/// All pods run the latest version and are ready.
pub const RUNNING: &str = "Running";
/// Pods of the latest version are on their way.
pub const ROLLING_OUT: &str = "RollingOut";
/// Pods have been on their way for longer than the Deployment waits.
pub const ROLLOUT_STUCK: &str = "RolloutStuck";
/// Pods of the latest version were all ready, and are not any more.
pub const PODS_NOT_READY: &str = "PodsNotReady";
/// The cluster refuses the pods: a quota, an admission rule.
pub const PODS_REFUSED: &str = "PodsRefused";
/// `spec.suspend` is set, so no pods run.
pub const SUSPENDED: &str = "Suspended";
/// There are no pods, because there never was a version that could run.
pub const NOT_DEPLOYED: &str = "NotDeployed";
/// The component has problems; pods of its last good version still run.
pub const LAST_GOOD: &str = "LastGoodVersion";
/// An object of the name that is needed belongs to something else.
pub const NAME_IN_USE: &str = "NameInUse";
/// The API server refused an object of the component.
pub const APPLY_FAILED: &str = "ApplyFailed";

/// A component was deleted, and the brokers keep nothing for it any more.
pub const TORN_DOWN: &str = "TornDown";
/// A component was deleted, and something of it may still be on a broker.
pub const TEAR_DOWN_FAILED: &str = "TearDownFailed";

/// Every condition with its meaning, for the documentation's test.
pub const CONDITIONS: [&str; 5] = [
    condition::READY,
    condition::ACCEPTED,
    condition::RESOLVED,
    condition::AVAILABLE,
    condition::WARNING,
];

/// Every reason of the operator's own, for the documentation's test.
pub const REASONS: [&str; 15] = [
    VALID,
    FOUND,
    USABLE,
    RUNNING,
    ROLLING_OUT,
    ROLLOUT_STUCK,
    PODS_NOT_READY,
    PODS_REFUSED,
    SUSPENDED,
    NOT_DEPLOYED,
    LAST_GOOD,
    NAME_IN_USE,
    APPLY_FAILED,
    TORN_DOWN,
    TEAR_DOWN_FAILED,
];
