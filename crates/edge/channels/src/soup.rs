//! The sound soup as project-mediaswitch and projectrtp write it.
//!
//! ```json
//! {"loop": true, "files": [{"wav": "file", "start": 0, "stop": 1000, "loop": 2}], "interrupt": true}
//! ```

use std::sync::Arc;
use std::time::Duration;

use hookswitch_call::{Form, MAX_SOUNDS, Plays, Sound, SoundKind, Soup};
use serde_json::Value;

use crate::json::{Failure, Members};

/// What a sound may be kept as, by the member that names its file.
const KINDS: [(&str, SoundKind); 8] = [
    ("wav", SoundKind::Wav),
    ("pcmu", SoundKind::Pcmu),
    ("pcma", SoundKind::Pcma),
    ("l168k", SoundKind::L168k),
    ("l1616k", SoundKind::L1616k),
    ("ilbc", SoundKind::Ilbc),
    ("g722", SoundKind::G722),
    ("tone", SoundKind::Tone),
];

/// Longest place in a sound, in milliseconds: a day.
const LONGEST: u64 = 86_400_000;

/// Most repetitions that are counted.
const MOST_LOOPS: u64 = 1_000_000;

/// Reads a soup.
///
/// # Errors
/// What is wrong, and where in it.
pub(crate) fn soup(value: &Value) -> Result<Arc<Soup>, Failure> {
    let members = Members::of(value)?;
    let (_, files) = members.get(&["files"]).ok_or_else(|| Failure::value("files", "missing: a list of sounds"))?;
    let files = files.as_array().ok_or_else(|| Failure::value("files", "expected a list of sounds"))?;
    if files.is_empty() || files.len() > MAX_SOUNDS {
        return Err(Failure::value("files", format!("expected 1 to {MAX_SOUNDS} sounds")));
    }
    let sounds =
        files.iter().enumerate().map(|(index, file)| sound(file).map_err(|e| e.within(&format!("files[{index}]"))));
    Ok(Arc::new(Soup {
        sounds: sounds.collect::<Result<_, _>>()?,
        plays: plays(&members)?,
        // The second is how projectrtp spells it.
        interrupt: members.flag(&["interrupt", "interupt"], false)?,
    }))
}

/// Whether this is another version of a soup that is played: a sound stands at the same place in both, so that it may go on
/// without a jump.
pub(crate) fn is_version(before: &Soup, soup: &Soup) -> bool {
    let mut pairs = before.sounds.iter().zip(&soup.sounds);
    pairs.any(|(old, new)| old.forms == new.forms && old.start == new.start && old.stop == new.stop)
}

fn sound(file: &Value) -> Result<Sound, Failure> {
    let members = Members::of(file).map_err(|_| Failure::value("file", "expected an object"))?;
    let mut forms = Vec::new();
    for (name, kind) in KINDS {
        if let Some(file) = members.text(&[name])? {
            forms.push(Form { kind, name: file.into() });
        }
    }
    if forms.is_empty() {
        return Err(Failure::value("wav", "missing: one of wav, pcmu, pcma, l168k, l1616k, ilbc, g722 or tone"));
    }
    let start = members.number(&["start"], LONGEST)?.map_or(Duration::ZERO, Duration::from_millis);
    let stop = members.number(&["stop"], LONGEST)?.map(Duration::from_millis);
    if stop.is_some_and(|stop| stop <= start) {
        return Err(Failure::value("stop", "expected more than start"));
    }
    Ok(Sound { forms, start, stop, plays: plays(&members)? })
}

/// `loop`: true is for ever, and a number says how often it is played once more.
fn plays(members: &Members<'_>) -> Result<Plays, Failure> {
    match members.get(&["loop"]) {
        None | Some((_, Value::Bool(false))) => Ok(Plays::ONCE),
        Some((_, Value::Bool(true))) => Ok(Plays::Forever),
        Some(_) => {
            let more = members.number(&["loop"], MOST_LOOPS)?.unwrap_or_default();
            Ok(Plays::Times(u32::try_from(more + 1).unwrap_or(u32::MAX)))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_soup_is_read_with_every_member() {
        let file = json!({"wav": "a.wav", "pcmu": "a.pcmu", "start": 20, "stop": "1000", "loop": 2});
        let value = json!({"loop": true, "interupt": true, "files": [file, {"tone": "440:1000"}]});
        let soup = soup(&value).unwrap();
        assert_eq!((soup.plays, soup.interrupt, soup.sounds.len()), (Plays::Forever, true, 2));
        let first = &soup.sounds[0];
        assert_eq!(first.forms.len(), 2);
        assert_eq!((first.start, first.stop), (Duration::from_millis(20), Some(Duration::from_secs(1))));
        // Two more times than once.
        assert_eq!(first.plays, Plays::Times(3));
        assert_eq!(soup.sounds[1].plays, Plays::ONCE);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        for (value, place) in [
            (json!([]), "body"),
            (json!({}), "files"),
            (json!({"files": []}), "files"),
            (json!({"files": vec![json!({"wav": "x"}); MAX_SOUNDS + 1]}), "files"),
            (json!({"files": [{"wav": "x"}, {"mp3": "x"}]}), "files[1].wav"),
            (json!({"files": [{"wav": 5}]}), "files[0].wav"),
            (json!({"files": ["x"]}), "files[0].file"),
            (json!({"files": [{"wav": "x", "start": -1}]}), "files[0].start"),
            (json!({"files": [{"wav": "x", "start": 10, "stop": 10}]}), "files[0].stop"),
            (json!({"files": [{"wav": "x", "loop": "often"}]}), "files[0].loop"),
            (json!({"files": [{"wav": "x"}], "loop": 1.5}), "loop"),
            (json!({"files": [{"wav": "x"}], "interrupt": "yes"}), "interrupt"),
        ] {
            assert_eq!(soup(&value).unwrap_err().place, place, "{value}");
        }
    }
}
