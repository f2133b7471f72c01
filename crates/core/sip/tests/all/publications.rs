//! What users publish: tags, ends, limits.

use std::time::Duration;

use bytes::Bytes;
use hookswitch_sip::Time;
use hookswitch_sip::publication::{MAX_DOCUMENT, PublicationConfig, Publications, Unpublished};

const NOW: Time = Time::from_secs(1_000);
const HOUR: Duration = Duration::from_secs(3_600);

fn text(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

fn publications() -> Publications {
    Publications::new(PublicationConfig::default())
}

#[test]
fn a_document_is_published_refreshed_replaced_and_removed_each_time_under_a_new_tag() {
    let mut it = publications();
    let (first, changed) = it.publish(NOW, "bob@x", None, text("a"), HOUR).unwrap();
    assert!(changed);
    let (second, changed) = it.publish(NOW, "bob@x", Some(&first), Bytes::new(), HOUR).unwrap();
    assert!(!changed && second != first, "a refresh is no news");
    assert_eq!(it.newest(NOW, "bob@x"), Some(&text("a")));
    assert_eq!(it.publish(NOW, "bob@x", Some(&first), text("x"), HOUR), Err(Unpublished::Unmatched));
    assert_eq!(it.publish(NOW, "eve@x", Some(&second), text("x"), HOUR), Err(Unpublished::Unmatched));
    let (third, changed) = it.publish(NOW, "bob@x", Some(&second), text("b"), HOUR).unwrap();
    assert!(changed);
    assert_eq!((it.newest(NOW, "bob@x"), it.len()), (Some(&text("b")), 1));
    let (_, changed) = it.publish(NOW, "bob@x", Some(&third), Bytes::new(), Duration::ZERO).unwrap();
    assert!(changed && it.is_empty() && it.newest(NOW, "bob@x").is_none() && it.poll_timeout().is_none());
}

#[test]
fn the_newest_document_of_several_phones_counts_and_a_refresh_makes_none_newer() {
    let mut it = publications();
    let (desk, _) = it.publish(NOW, "bob@x", None, text("desk"), HOUR).unwrap();
    it.publish(NOW, "bob@x", None, text("mobile"), HOUR / 2).unwrap();
    it.publish(NOW, "bob@x", Some(&desk), Bytes::new(), HOUR).unwrap();
    assert_eq!(it.newest(NOW, "bob@x"), Some(&text("mobile")));
    let later = NOW + HOUR / 2;
    assert_eq!(it.newest(later, "bob@x"), Some(&text("desk")), "the other is over");
}

#[test]
fn what_is_not_refreshed_ends() {
    let mut it = publications();
    // Two of one user that end together, and one of another.
    let (tag, _) = it.publish(NOW, "bob@x", None, text("1"), HOUR).unwrap();
    it.publish(NOW, "bob@x", None, text("2"), HOUR).unwrap();
    it.publish(NOW, "amy@x", None, text("3"), HOUR * 2).unwrap();
    assert_eq!(it.poll_timeout(), Some(NOW + HOUR));
    assert_eq!(it.poll_over(NOW), None);
    let late = NOW + HOUR;
    assert_eq!(it.publish(late, "bob@x", Some(&tag), text("1"), HOUR), Err(Unpublished::Unmatched));
    let mut over = Vec::new();
    while let Some(at) = it.poll_timeout() {
        while let Some(user) = it.poll_over(at) {
            over.push((at, user.to_string()));
        }
        assert!(over.len() < 9, "it comes to an end");
    }
    assert!(it.is_empty());
    assert!(over.contains(&(late, "bob@x".into())) && over.contains(&(NOW + HOUR * 2, "amy@x".into())), "{over:?}");
}

#[test]
fn size_and_number_are_limited() {
    let config = PublicationConfig { max_publications: 3, max_per_user: 2 };
    let mut it = Publications::new(config);
    assert_eq!(it.publish(NOW, "bob@x", None, Bytes::new(), HOUR), Err(Unpublished::Nothing));
    let large = Bytes::from(vec![b'x'; MAX_DOCUMENT + 1]);
    assert_eq!(it.publish(NOW, "bob@x", None, large.clone(), HOUR), Err(Unpublished::TooLarge));
    it.publish(NOW, "bob@x", None, large.slice(1..), HOUR).unwrap();
    it.publish(NOW, "bob@x", None, text("2"), HOUR).unwrap();
    assert_eq!(it.publish(NOW, "bob@x", None, text("3"), HOUR), Err(Unpublished::TooMany));
    it.publish(NOW, "amy@x", None, text("4"), HOUR).unwrap();
    assert_eq!(it.publish(NOW, "eve@x", None, text("5"), HOUR), Err(Unpublished::Full));
    it.forget("bob@x");
    assert_eq!((it.len(), it.users().count()), (1, 1));
    it.publish(NOW, "eve@x", None, text("5"), HOUR).unwrap();
}
