//! Memory per call is a promise of the benchmarks: what is rare is boxed.

use hookswitch_call::machine::{Call, Leg};

/// Most bytes of a call with its two legs, without what it points to. Before calls could be held, transferred and looked
/// for in groups it was 568, 672 before a service could be a conference or a menu,
/// and 696 before calls could be led from outside, beside some thousand bytes of dialogs
/// and media for each.
const MAX_CALL: usize = 704;

#[test]
fn what_is_rare_is_kept_apart_from_the_record_of_a_call() {
    let (call, leg) = (size_of::<Call>(), size_of::<Leg>());
    assert!(call <= MAX_CALL, "a call takes {call} bytes, a leg {leg}");
}
