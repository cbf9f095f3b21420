//! Why a resource is refused or warned about: one CamelCase word each, the same in `streamctl check`, in a condition on
//! a cluster and in metrics. The text that goes with it may change; the word does not.
//!
//! A problem with an expression carries the reason of the engine's diagnostic instead.

// --- the form of a resource: what an API server would refuse ---

/// The document is no Kubernetes resource: not an object, or without `apiVersion`, `kind` or a name.
pub const NOT_A_RESOURCE: &str = "NotAResource";
/// The group or version is none of ours, but close.
pub const UNKNOWN_VERSION: &str = "UnknownVersion";
/// The group has no such kind.
pub const UNKNOWN_KIND: &str = "UnknownKind";
/// A field that must be set is not.
pub const REQUIRED: &str = "Required";
/// The schema has no such field.
pub const UNKNOWN_FIELD: &str = "UnknownField";
/// A value of another JSON type is needed.
pub const WRONG_TYPE: &str = "WrongType";
/// The value is none of those that are possible.
pub const NOT_ONE_OF: &str = "NotOneOf";
/// A string does not have the form that the field asks for.
pub const INVALID_FORMAT: &str = "InvalidFormat";
/// A string is too long.
pub const TOO_LONG: &str = "TooLong";
/// A string is too short.
pub const TOO_SHORT: &str = "TooShort";
/// A list or map has too many items.
pub const TOO_MANY: &str = "TooMany";
/// A list has too few items.
pub const TOO_FEW: &str = "TooFew";
/// A number is too small or too large.
pub const OUT_OF_RANGE: &str = "OutOfRange";
/// A list that must not repeat itself does.
pub const DUPLICATE: &str = "Duplicate";
/// Fields that are fine by themselves don't go together.
pub const INVALID: &str = "Invalid";
/// A duration can't be read, or is too short or too long.
pub const INVALID_DURATION: &str = "InvalidDuration";
/// State that does not outlive its pod.
pub const VOLATILE_STATE: &str = "VolatileState";
/// A window that has to fit into memory in spite of its component's state.
pub const WINDOW_IN_MEMORY: &str = "WindowInMemory";
/// A quantity such as a memory limit can't be read.
pub const INVALID_QUANTITY: &str = "InvalidQuantity";

// --- the resource among others ---

/// Two documents define the same resource.
pub const DEFINED_TWICE: &str = "DefinedTwice";
/// Two components of different kinds have one name, and would share a Deployment, a Service and a consumer group.
pub const NAME_TAKEN: &str = "NameTaken";
/// No such `ClusterStream` in the namespace.
pub const CLUSTER_STREAM_NOT_FOUND: &str = "ClusterStreamNotFound";
/// No such Stream in the namespace, nor one with that topic.
pub const STREAM_NOT_FOUND: &str = "StreamNotFound";
/// Several Streams have that topic.
pub const AMBIGUOUS_STREAM: &str = "AmbiguousStream";
/// No such component in the namespace.
pub const COMPONENT_NOT_FOUND: &str = "ComponentNotFound";
/// What is referred to has problems of its own.
pub const NOT_READY: &str = "NotReady";
/// The name can't be used in expressions as it is.
pub const INVALID_VARIABLE: &str = "InvalidVariable";
/// Two inputs would have the same name in expressions.
pub const DUPLICATE_VARIABLE: &str = "DuplicateVariable";
/// A topic with wildcards can be read, not published to.
pub const WILDCARD_TOPIC: &str = "WildcardTopic";
/// What fails would come back to where it failed.
pub const DEAD_LETTER_CYCLE: &str = "DeadLetterCycle";
/// Messages would (problem) or may (warning) go round forever.
pub const CYCLE: &str = "Cycle";
/// The broker takes messages back before the window that needs them ends.
pub const WINDOW_TOO_LONG: &str = "WindowTooLong";
/// Some inputs of a component have a `timestamp`, and some have none.
pub const MIXED_TIME: &str = "MixedTime";
/// What collects messages has no window to collect them over.
pub const WINDOW_NEEDED: &str = "WindowNeeded";
/// Something is asked of groups or aggregates, and there are none.
pub const NOTHING_AGGREGATED: &str = "NothingAggregated";
/// Windows overlap so much that a message would be in too many of them.
pub const TOO_MANY_WINDOWS: &str = "TooManyWindows";
/// A row has no message of that input.
pub const NOT_IN_ROW: &str = "NotInRow";
/// A Table is used as what it can't be: an input by itself, or the side of a join that gives rows of its own.
pub const NOT_A_LOOKUP: &str = "NotALookup";
/// A property's value is not what the protocol needs.
pub const INVALID_PROPERTY: &str = "InvalidProperty";
/// The sidecar in the same pod listens on that port.
pub const PORT_TAKEN: &str = "PortTaken";
/// Valid, but this release does not do it yet.
pub const NOT_SUPPORTED: &str = "NotSupported";

// --- warnings: it runs, but perhaps not as meant ---

/// The protocol has no such property.
pub const UNKNOWN_PROPERTY: &str = "UnknownProperty";
/// A property without which nothing can be connected to is not set.
pub const MISSING_PROPERTY: &str = "MissingProperty";
/// A password stands in the resource.
pub const INLINE_CREDENTIAL: &str = "InlineCredential";
/// A field that is set changes nothing.
pub const NO_EFFECT: &str = "NoEffect";
/// A condition that is nothing but a field.
pub const NO_COMPARISON: &str = "NoComparison";
/// A condition that keeps nothing out.
pub const ALWAYS_TRUE: &str = "AlwaysTrue";
/// A condition that lets nothing through.
pub const NEVER_TRUE: &str = "NeverTrue";
/// Nothing says which messages of two inputs belong together.
pub const CROSS_JOIN: &str = "CrossJoin";
/// While one input is silent, nothing comes out.
pub const MAY_STALL: &str = "MayStall";
/// A Stream that nobody receives.
pub const NO_RECIPIENTS: &str = "NoRecipients";
/// A recipient that does not read the Stream.
pub const RECIPIENT_IGNORED: &str = "RecipientIgnored";
/// Results are posted to another route than the one that the Processor names.
pub const ROUTE_MISMATCH: &str = "RouteMismatch";
/// A Processor gets the credentials of every `ClusterStream` of its namespace.
pub const PUBLISHES_TO_ALL: &str = "PublishesToAll";
/// The component is suspended, so it does not run.
pub const SUSPENDED: &str = "Suspended";
