//! What every broker must do, asked of each: the embedded one, and real servers that the tests start. A behaviour is written
//! once, in `behaviours`; what only one protocol has is in a file of its own.
// A test may panic: that is how it fails.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod behaviours;
mod common;
mod cut;
mod mqtt;
mod rabbitmq;
mod redis;
mod table;
mod tls;

/// A list of tests.
struct Case {
    beds: &'static [&'static str],
    behaviours: &'static [&'static str],
}

/// All lists.
const LISTS: &[Case] = &[
    contract::LIST,
    older::LIST,
    backlog::LIST,
    encrypted::LIST,
    lines::LIST,
    streams::LIST,
];

/// Makes a test of every behaviour of a suite for every broker that has it.
macro_rules! contract {
    ($suite:ident, $beds:tt: $($behaviours:tt)*) => {
        contract!(@list $beds { $($behaviours)* });
        contract!(@beds $suite $beds { $($behaviours)* });
    };
    (@list [$($bed:ident)*] { $($behaviour:ident)* }) => {
        pub(crate) const LIST: crate::Case = crate::Case {
            beds: &[$(stringify!($bed)),*],
            behaviours: &[$(stringify!($behaviour)),*],
        };
    };
    (@beds $suite:ident [$($bed:ident)*] $behaviours:tt) => {
        $(contract!(@bed $suite $bed $behaviours);)*
    };
    (@bed $suite:ident $bed:ident { $($behaviour:ident)* }) => {
        mod $bed {
            $(
                #[tokio::test]
                async fn $behaviour() {
                    crate::$suite::$behaviour(&crate::$suite::Bed::$bed()).await;
                }
            )*
        }
    };
}

mod contract {
    contract! {
        behaviours, [embedded redis redis_older rabbitmq mqtt]:
        messages_come_in_order
        what_was_published_before_the_consumer_is_up_waits_for_it
        acked_messages_are_gone
        unacked_messages_come_again_before_new_ones
        acks_may_come_in_any_order
        an_empty_topic_is_recovered_at_once
        every_group_gets_everything
        consumers_of_a_group_share
        a_stalled_consumer_holds_no_more_than_it_may
        payloads_arrive_as_they_were
        large_payloads_arrive_as_they_were
        a_window_of_many_messages_can_be_held_unacked
        a_cancelled_receive_loses_nothing
        what_a_group_left_is_taken_away_and_no_other_s
    }
}

/// MQTT 3.1.1: who publishes can't tell that nobody has a session, and how many messages are in flight is the broker's
/// decision.
mod older {
    contract! {
        behaviours, [mqtt_older]:
        messages_come_in_order
        acked_messages_are_gone
        unacked_messages_come_again_before_new_ones
        acks_may_come_in_any_order
        an_empty_topic_is_recovered_at_once
        consumers_of_a_group_share
        large_payloads_arrive_as_they_were
        a_window_of_many_messages_can_be_held_unacked
        a_cancelled_receive_loses_nothing
    }
}

/// Where the consumers of a group share what was there before they came.
mod backlog {
    contract! {
        behaviours, [embedded redis redis_older rabbitmq]:
        a_backlog_is_not_read_ahead_without_bound
    }
}

/// Where connections can be encrypted.
mod encrypted {
    contract! {
        tls, [redis rabbitmq mqtt]:
        both_sides_show_a_certificate_and_what_is_wrong_with_one_is_said
    }
}

/// Where connections can be lost.
mod lines {
    contract! {
        cut, [redis redis_older rabbitmq mqtt]:
        a_connection_that_is_cut_costs_no_message
    }
}

/// Redis's own.
mod streams {
    contract! {
        redis, [redis redis_older]:
        the_layout_is_dapr_s
        an_entry_of_another_form_is_a_message_that_is_no_json
        what_stands_beside_a_message_says_of_which_trace_it_is
        a_flushed_server_is_read_on_from
        what_was_trimmed_while_it_was_pending_does_not_come_again
        streams_are_kept_short
        a_peer_takes_over_what_a_dead_consumer_held_but_not_what_a_live_one_holds
        what_was_trimmed_while_a_dead_consumer_held_it_is_pending_no_more
        what_a_consumer_leaves_is_claimed_at_once
        a_group_that_is_read_stays
        a_group_that_was_read_a_moment_ago_stays
        a_restarted_broker_costs_no_message
        what_is_refused_is_explained_without_the_password
    }
}
