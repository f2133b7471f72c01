//! Files of recordings over HTTP, whole or in part (RFC 9110 section 14): read from the disk piece by piece as they are sent,
//! and never from anywhere but the folder of recordings.
//!
//! ```text
//!   name ─▶ below the folder? ─▶ open ─▶ If-None-Match: 304
//!              │ Lacking           ├──▶ Range: 206, or 416
//!              ▼                   └──▶ 200
//! ```

use std::fs::{File, Metadata, OpenOptions, remove_file};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use futures_util::stream::try_unfold;
use hookswitch_dialect::rest::AUDIO;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;

/// Recordings that are fetched at once from one listener; beyond, they are refused with 503.
pub const MAX_FETCHES: usize = 64;

/// Bytes that are read from the disk in one go.
const PIECE: usize = 64 * 1024;

/// The folder of recordings, for those who fetch from it.
#[derive(Clone)]
pub(super) struct Shelf {
    folder: Option<PathBuf>,
    places: Arc<Semaphore>,
}

/// Why there is nothing to be sent.
#[derive(Debug)]
pub(super) enum Lacking {
    /// There is no such file below the folder.
    File,
    /// The part that is wanted lies behind the end of a file of so many bytes.
    Part(u64),
    /// [`MAX_FETCHES`].
    Busy,
    /// The disk, or the rights of the switch.
    Broken(io::Error),
}

impl From<io::Error> for Lacking {
    fn from(error: io::Error) -> Self {
        use io::ErrorKind::{InvalidFilename, InvalidInput, IsADirectory, NotADirectory, NotFound};
        match error.kind() {
            NotFound | NotADirectory | IsADirectory | InvalidInput | InvalidFilename => Self::File,
            _ if error.raw_os_error() == Some(libc::ELOOP) => Self::File,
            _ => Self::Broken(error),
        }
    }
}

impl Shelf {
    pub(super) fn new(folder: Option<PathBuf>) -> Self {
        Self { folder, places: Arc::new(Semaphore::new(MAX_FETCHES)) }
    }

    /// A place among those who fetch, to be kept until all is sent.
    pub(super) fn place(&self) -> Result<OwnedSemaphorePermit, Lacking> {
        Arc::clone(&self.places).try_acquire_owned().map_err(|_| Lacking::Busy)
    }

    /// Answers `GET` and `HEAD`. `size` is that of the file that is meant, where another one could have its name.
    pub(super) async fn send(
        &self,
        file: &str,
        size: Option<u64>,
        method: &Method,
        headers: &HeaderMap,
    ) -> Result<Response, Lacking> {
        let (folder, file) = (self.folder.clone().ok_or(Lacking::File)?, PathBuf::from(file));
        let place = self.place()?;
        let (file, found) = blocking(move || open(&folder, &file)).await?;
        let length = found.len();
        if size.is_some_and(|size| size != length) {
            return Err(Lacking::File);
        }
        let version = version(&found);
        if listed(headers, &header::IF_NONE_MATCH, &version) {
            return Ok(described(StatusCode::NOT_MODIFIED, &version, None, Body::empty()));
        }
        // Of HEAD a range says nothing (RFC 9110 section 14.2).
        let part = if *method == Method::GET { part(headers, &version, length)? } else { None };
        let (first, count) = part.unwrap_or((0, length));
        let body = if *method == Method::HEAD { Body::empty() } else { stream(file, first, count, place) };
        let Some((first, count)) = part else {
            return Ok(described(StatusCode::OK, &version, Some(length), body));
        };
        let mut response = described(StatusCode::PARTIAL_CONTENT, &version, Some(count), body);
        let last = first + count - 1;
        put(&mut response, header::CONTENT_RANGE, &format!("bytes {first}-{last}/{length}"));
        Ok(response)
    }

    /// Removes a file. `size` as in [`Shelf::send`].
    pub(super) async fn remove(&self, file: &str, size: Option<u64>) -> Result<(), Lacking> {
        let (folder, file) = (self.folder.clone().ok_or(Lacking::File)?, PathBuf::from(file));
        blocking(move || {
            let path = below(&folder, &file)?;
            let found = path.symlink_metadata()?;
            if !found.is_file() || size.is_some_and(|size| size != found.len()) {
                return Err(io::ErrorKind::NotFound.into());
            }
            remove_file(path)
        })
        .await
    }
}

async fn blocking<T: Send + 'static>(what: impl FnOnce() -> io::Result<T> + Send + 'static) -> Result<T, Lacking> {
    spawn_blocking(what).await.map_err(|error| Lacking::Broken(io::Error::other(error)))?.map_err(Lacking::from)
}

/// Where a file lies, with all links followed: below the folder, or nowhere.
fn below(folder: &Path, file: &Path) -> io::Result<PathBuf> {
    let folder = folder.canonicalize()?;
    let path = folder.join(file).canonicalize()?;
    if path.starts_with(&folder) { Ok(path) } else { Err(io::ErrorKind::NotFound.into()) }
}

fn open(folder: &Path, file: &Path) -> io::Result<(File, Metadata)> {
    let path = below(folder, file)?;
    // Whoever puts something else there between the look and the opening: no link is followed, and no pipe waited for.
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path)?;
    let found = file.metadata()?;
    if found.is_file() { Ok((file, found)) } else { Err(io::ErrorKind::NotFound.into()) }
}

/// Names what is in a file: another content has another one (RFC 9110 section 8.8.3).
fn version(found: &Metadata) -> String {
    format!("\"{:x}-{:x}-{:x}.{:09}\"", found.ino(), found.len(), found.mtime(), found.mtime_nsec())
}

fn described(status: StatusCode, version: &str, length: Option<u64>, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    put(&mut response, header::ETAG, version);
    put(&mut response, header::ACCEPT_RANGES, "bytes");
    if let Some(length) = length {
        put(&mut response, header::CONTENT_TYPE, AUDIO);
        response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    response
}

fn put(response: &mut Response, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::try_from(value) {
        response.headers_mut().insert(name, value);
    }
}

fn field<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

/// Whether a list of versions has this one, weakly or not.
fn listed(headers: &HeaderMap, name: &HeaderName, version: &str) -> bool {
    let tags = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    tags.flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|tag| tag == "*" || tag.trim_start_matches("W/") == version)
}

/// First byte and count of the part that is wanted; none is the whole. Several parts, and what is no range of bytes, may be
/// answered with the whole (RFC 9110 section 14.2).
fn part(headers: &HeaderMap, version: &str, length: u64) -> Result<Option<(u64, u64)>, Lacking> {
    let Some(range) = field(headers, &header::RANGE) else { return Ok(None) };
    // A date is never sure enough (RFC 9110 section 13.1.5).
    if field(headers, &header::IF_RANGE).is_some_and(|wanted| wanted != version) {
        return Ok(None);
    }
    let Some((unit, range)) = range.split_once('=') else { return Ok(None) };
    let Some((first, last)) = range.trim().split_once('-').filter(|_| unit.trim().eq_ignore_ascii_case("bytes")) else {
        return Ok(None);
    };
    let (Some(first), Some(last)) = (number(first), number(last)) else { return Ok(None) };
    let (first, end) = match (first, last) {
        (None, None) => return Ok(None),
        (None, Some(count)) => (length - count.min(length), length),
        (Some(first), None) => (first, length),
        (Some(first), Some(last)) if first > last => return Ok(None),
        (Some(first), Some(last)) => (first, last.saturating_add(1).min(length)),
    };
    if first >= end { Err(Lacking::Part(length)) } else { Ok(Some((first, end - first))) }
}

/// Digits, or nothing at all; none is something else.
fn number(text: &str) -> Option<Option<u64>> {
    let text = text.trim();
    if text.is_empty() {
        return Some(None);
    }
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    // A number that is too big for us is behind the end of every file.
    digits.then(|| Some(text.parse().unwrap_or(u64::MAX)))
}

/// A part of a file that is still to be sent.
struct Rest {
    file: File,
    at: u64,
    left: u64,
    _place: OwnedSemaphorePermit,
}

fn stream(file: File, at: u64, left: u64, place: OwnedSemaphorePermit) -> Body {
    Body::from_stream(try_unfold(Rest { file, at, left, _place: place }, |mut rest| async move {
        if rest.left == 0 {
            return Ok::<_, io::Error>(None);
        }
        let next = move || {
            let count = usize::try_from(rest.left).unwrap_or(PIECE).min(PIECE);
            let mut piece = vec![0; count];
            // Of a file that has become shorter the connection is broken off, and nobody takes it for whole.
            rest.file.read_exact_at(&mut piece, rest.at)?;
            rest.at += count as u64;
            rest.left -= count as u64;
            Ok(Some((Bytes::from(piece), rest)))
        };
        spawn_blocking(next).await.map_err(io::Error::other)?
    }))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use axum::body::to_bytes;

    use super::*;

    fn headers(fields: &[(HeaderName, &str)]) -> HeaderMap {
        fields.iter().map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap())).collect()
    }

    #[test]
    fn a_range_is_a_part_the_whole_or_behind_the_end() {
        let of = |range: &str| part(&headers(&[(header::RANGE, range)]), "\"v\"", 100);
        for (range, expected) in [
            ("bytes=0-0", (0, 1)),
            ("bytes=10-19", (10, 10)),
            ("bytes=90-", (90, 10)),
            ("bytes=90-500", (90, 10)),
            ("bytes=90-99999999999999999999999", (90, 10)),
            ("bytes=-30", (70, 30)),
            ("bytes=-500", (0, 100)),
            ("Bytes = 1 - 2", (1, 2)),
        ] {
            assert_eq!(of(range).unwrap(), Some(expected), "{range}");
        }
        for range in
            ["bytes=0-1,5-6", "bytes=5-4", "bytes=-", "bytes=", "bytes", "lines=0-1", "bytes=a-b", "bytes=+1-2"]
        {
            assert_eq!(of(range).unwrap(), None, "{range}");
        }
        for range in ["bytes=100-", "bytes=100-200", "bytes=-0", "bytes=99999999999999999999999-"] {
            assert!(matches!(of(range), Err(Lacking::Part(100))), "{range}");
        }
        let of_version = |wanted: &str| {
            part(&headers(&[(header::RANGE, "bytes=1-2"), (header::IF_RANGE, wanted)]), "\"v\"", 100).unwrap()
        };
        assert_eq!(of_version("\"v\""), Some((1, 2)));
        assert_eq!(
            (of_version("\"w\""), of_version("W/\"v\""), of_version("Sun, 22 Nov 2026 17:00:00 GMT")),
            (None, None, None)
        );
        assert!(matches!(part(&headers(&[(header::RANGE, "bytes=0-")]), "\"v\"", 0), Err(Lacking::Part(0))));
    }

    #[tokio::test]
    async fn nothing_outside_of_the_folder_is_sent_or_removed() {
        let outside = tempfile::tempdir().unwrap();
        let folder = outside.path().join("recordings");
        fs::create_dir_all(folder.join("day")).unwrap();
        fs::write(folder.join("day/a.wav"), "inside").unwrap();
        fs::write(outside.path().join("secret"), "outside").unwrap();
        symlink(outside.path().join("secret"), folder.join("link")).unwrap();
        symlink(outside.path(), folder.join("up")).unwrap();
        let shelf = Shelf::new(Some(folder.clone()));
        let absolute = folder.join("day/a.wav");
        let secret = outside.path().join("secret");
        for file in ["day/a.wav", "./day/../day/a.wav", absolute.to_str().unwrap()] {
            let sent = shelf.send(file, None, &Method::GET, &HeaderMap::new()).await.unwrap();
            assert_eq!(sent.headers()[header::CONTENT_LENGTH], "6");
            assert_eq!(to_bytes(sent.into_body(), 100).await.unwrap(), "inside", "{file}");
        }
        for file in
            ["link", "up/secret", "../secret", secret.to_str().unwrap(), "day", "", "nothing", "a\0b", "/", "/dev/zero"]
        {
            let sent = shelf.send(file, None, &Method::GET, &HeaderMap::new()).await;
            assert!(matches!(sent, Err(Lacking::File)), "{file}: {sent:?}");
            assert!(matches!(shelf.remove(file, None).await, Err(Lacking::File)), "{file}");
        }
        assert!(secret.exists() && absolute.exists());
        assert!(matches!(
            Shelf::new(None).send("day/a.wav", None, &Method::GET, &HeaderMap::new()).await,
            Err(Lacking::File)
        ));
        // Another file that has its name by now.
        let sent = shelf.send("day/a.wav", Some(7), &Method::GET, &HeaderMap::new()).await;
        assert!(matches!(sent, Err(Lacking::File)));
        assert!(matches!(shelf.remove("day/a.wav", Some(7)).await, Err(Lacking::File)));
        shelf.remove("day/a.wav", Some(6)).await.unwrap();
        assert!(!absolute.exists());
    }

    #[tokio::test]
    async fn a_part_and_a_version_and_the_head_alone() {
        let folder = tempfile::tempdir().unwrap();
        let content: Vec<u8> = (0..200_000_u32).map(|n| (n % 251) as u8).collect();
        fs::write(folder.path().join("a.wav"), &content).unwrap();
        let shelf = Shelf::new(Some(folder.path().to_owned()));
        let ask = async |method: Method, fields: &[(HeaderName, &str)]| {
            let sent = shelf.send("a.wav", None, &method, &headers(fields)).await.unwrap();
            let (head, body) = sent.into_parts();
            (head, to_bytes(body, 1_000_000).await.unwrap())
        };
        let (head, body) = ask(Method::GET, &[]).await;
        assert_eq!(
            (head.status, &head.headers[header::CONTENT_TYPE], &body[..]),
            (StatusCode::OK, &AUDIO.parse().unwrap(), &content[..])
        );
        assert_eq!(head.headers[header::ACCEPT_RANGES], "bytes");
        let version = head.headers[header::ETAG].to_str().unwrap().to_owned();
        let (head, body) = ask(Method::GET, &[(header::RANGE, "bytes=65530-131080")]).await;
        assert_eq!((head.status, &body[..]), (StatusCode::PARTIAL_CONTENT, &content[65_530..=131_080]));
        assert_eq!(head.headers[header::CONTENT_RANGE], "bytes 65530-131080/200000");
        let (head, body) = ask(Method::HEAD, &[(header::RANGE, "bytes=0-9")]).await;
        assert_eq!(
            (head.status, &head.headers[header::CONTENT_LENGTH], body.len()),
            (StatusCode::OK, &"200000".parse().unwrap(), 0)
        );
        let (head, body) = ask(Method::GET, &[(header::IF_NONE_MATCH, &format!("\"other\", W/{version}"))]).await;
        assert_eq!((head.status, body.len()), (StatusCode::NOT_MODIFIED, 0));
        fs::write(folder.path().join("a.wav"), &content[1..]).unwrap();
        let (head, _) = ask(Method::GET, &[(header::RANGE, "bytes=0-9"), (header::IF_RANGE, &version)]).await;
        assert_eq!(head.status, StatusCode::OK, "the part of another file would not fit");
    }

    #[tokio::test]
    async fn not_more_are_fetched_at_once_than_there_are_places() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.wav"), vec![7; 2 * PIECE]).unwrap();
        let shelf = Shelf::new(Some(folder.path().to_owned()));
        let mut slow = Vec::new();
        for _ in 0..MAX_FETCHES {
            slow.push(shelf.send("a.wav", None, &Method::GET, &HeaderMap::new()).await.unwrap());
        }
        assert!(matches!(shelf.send("a.wav", None, &Method::GET, &HeaderMap::new()).await, Err(Lacking::Busy)));
        slow.pop();
        assert!(shelf.send("a.wav", None, &Method::GET, &HeaderMap::new()).await.is_ok());
    }

    #[tokio::test]
    async fn a_file_that_becomes_shorter_while_it_is_sent_is_not_taken_for_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wav");
        fs::write(&path, vec![7; 2 * PIECE]).unwrap();
        let shelf = Shelf::new(Some(folder.path().to_owned()));
        let sent = shelf.send("a.wav", None, &Method::GET, &HeaderMap::new()).await.unwrap();
        OpenOptions::new().write(true).open(&path).unwrap().set_len(10).unwrap();
        assert!(to_bytes(sent.into_body(), 1_000_000).await.is_err());
    }
}
