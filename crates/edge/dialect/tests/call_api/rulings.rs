//! Which test shows which ruling on compatibility: the numbers are those of the table "Our rulings"
//! of the dialect's contract. A test that is named here and does not exist fails.

/// Number, what is ruled, and where it is shown; `elsewhere` for what is not the dialect's to keep.
const RULINGS: &[(u8, &str, &[&str])] = &[
    (1, "the field is called event", &["reply.rs::members_stand_in_the_order_of_the_original"]),
    (2, "codes of error replies", &["strict.rs::codes_say_what_was_wrong"]),
    (3, "the id of what cannot be read", &["strict.rs::codes_say_what_was_wrong"]),
    (
        4,
        "a request without an id",
        &["strict.rs::a_request_without_an_id_is_not_answered", "captures.rs::echo_and_requests_without_an_id"],
    ),
    (5, "batches", &["batches.rs::a_batch_has_a_limit", "captures.rs::refused_requests"]),
    (
        6,
        "the frame",
        &["envelope.rs::the_original_manner_overlooks_much", "envelope.rs::the_strict_manner_overlooks_nothing"],
    ),
    (7, "ids come back exactly", &["strict.rs::ids_come_back_as_they_were", "captures.rs::refused_requests"]),
    (
        8,
        "parameters that are no strings",
        &[
            "strict.rs::parameters_are_checked_before_a_command_starts",
            "params.rs::strings_and_what_a_strict_session_may_write_instead",
        ],
    ),
    (
        9,
        "missing parameters",
        &["captures.rs::missing_parameters", "strict.rs::parameters_are_checked_before_a_command_starts"],
    ),
    (10, "unknown parameters", &["strict.rs::parameters_are_checked_before_a_command_starts"]),
    (
        11,
        "a bad leg",
        &["commands_end.rs::a_leg_is_caller_or_callee", "captured_holds_and_transfers.rs::a_transfer_of_no_leg"],
    ),
    (
        12,
        "causal order",
        &["any_order.rs::started_first_ended_last_and_once", "captured_holds_and_transfers.rs::holds_and_unholds"],
    ),
    (13, "Ended follows Error", &["commands_end.rs::every_command_starts_and_ends"]),
    (
        14,
        "Error is a string with a reason beside it",
        &["commands_end.rs::the_reason_can_be_switched_off", "notice.rs::a_reason_is_written_as_documented"],
    ),
    (
        15,
        "a second leg that fails",
        &[
            "call_start.rs::a_failing_callee",
            "captures.rs::a_callee_that_cannot_be_reached",
            "transfer.rs::a_failing_status_is_progress_to_the_original_once",
        ],
    ),
    (16, "the true status", &["captured_holds_and_transfers.rs::a_transfer_to_nobody"]),
    (
        17,
        "a REFER that comes to nothing",
        &[
            "captured_holds_and_transfers.rs::a_transfer_that_the_phone_refuses",
            "captured_holds_and_transfers.rs::a_start_whose_caller_refuses_to_call",
        ],
    ),
    (18, "deadlines", &["elsewhere"]),
    (19, "a hold that fails", &["captured_holds_and_transfers.rs::a_hold_that_fails_on_one_leg"]),
    (20, "a hold of one leg", &["hold_and_transfer.rs::one_party_alone"]),
    (21, "two holds at once", &["hold_and_transfer.rs::two_holds_do_not_hear_each_other"]),
    (22, "cmd_id is unique while it runs", &["names_of_calls.rs::a_cmd_id_is_free_again_after_its_command"]),
    (
        23,
        "cmd_id as Call-ID",
        &[
            "call_start.rs::the_cmd_id_becomes_the_call_id",
            "strict.rs::a_cmd_id_has_no_control_characters",
            "names_of_calls.rs::a_cmd_id_never_takes_the_place_of_a_strangers_call_id",
        ],
    ),
    (
        24,
        "URIs are parsed",
        &["call_start.rs::nothing_but_one_uri_reaches_the_switch", "injection.rs::known_ways_through_every_parameter"],
    ),
    (
        25,
        "a start can be cancelled",
        &["names_of_calls.rs::ending_a_running_start_cancels_it", "names_of_calls.rs::strict_clients_cancel_by_cmd_id"],
    ),
    (26, "a client that leaves", &["captures.rs::a_client_that_leaves", "lost_connection.rs::*"]),
    (27, "many commands at once", &["any_order.rs::started_first_ended_last_and_once"]),
    (
        28,
        "only the table can be called",
        &["captures.rs::exported_methods_are_no_commands", "strict.rs::only_the_table_of_commands_can_be_called"],
    ),
    (29, "Test", &["captures.rs::test_answers_and_ends", "strict.rs::only_the_table_of_commands_can_be_called"]),
    (30, "who may connect", &["mode.rs::strict_admits_listed_pages_only", "access.rs::only_listed_commands"]),
    (
        31,
        "limits",
        &[
            "limits.rs::a_message_of_64_kib_passes_and_a_longer_one_closes",
            "limits.rs::commands_in_flight_are_limited_but_can_always_be_ended",
        ],
    ),
    (32, "binary frames", &["limits.rs::binary_is_text_to_the_original_and_an_offence_to_the_strict"]),
    (33, "the order of members", &["reply.rs::members_stand_in_the_order_of_the_original"]),
    (
        34,
        "nothing unasked",
        &["subscriptions.rs::nobody_hears_of_calls_without_asking", "notify_end.rs::nobody_else_is_told"],
    ),
    (35, "localhost", &["elsewhere"]),
    (36, "the first leg ends", &["elsewhere"]),
    (37, "the destination after look-up", &["captured_holds_and_transfers.rs::transfers"]),
    (38, "a carrier that does not answer", &["hold_and_transfer.rs::a_command_that_is_not_taken"]),
];

#[test]
fn every_ruling_has_its_tests() {
    let root = env!("CARGO_MANIFEST_DIR");
    for (index, (number, what, tests)) in RULINGS.iter().enumerate() {
        assert_eq!(usize::from(*number), index + 1);
        assert!(!tests.is_empty(), "{number}: {what}");
        for test in tests.iter().filter(|test| **test != "elsewhere") {
            let (file, name) = test.split_once("::").unwrap();
            let places = [format!("{root}/tests/call_api/{file}"), format!("{root}/src/call_api/{file}")];
            let is_there = places.iter().any(|path| {
                let text = std::fs::read_to_string(path).unwrap_or_default();
                if name == "*" { text.contains("#[test]") } else { text.contains(&format!("fn {name}(")) }
            });
            assert!(is_there, "{number} ({what}): there is no test {test}");
        }
    }
    assert_eq!(RULINGS.len(), 38);
}
