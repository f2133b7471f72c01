use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use tempfile::TempDir;

use super::*;

/// Longest wait for something that is to happen.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the server does about one request.
#[derive(Clone)]
enum Reply {
    /// Says this, with the sound behind it.
    Says(String, Vec<u8>),
    /// Says nothing.
    Nothing,
    /// Begins to say something, and says no more.
    Half,
}

fn ok(headers: &str, body: &[u8]) -> Reply {
    Reply::Says(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n{headers}\r\n", body.len()), body.to_vec())
}

fn status(line: &str) -> Reply {
    Reply::Says(format!("HTTP/1.1 {line}\r\nContent-Length: 0\r\n\r\n"), Vec::new())
}

/// A web server that has so many replies, and no more; what it was asked is kept.
struct Server {
    url: String,
    replies: Arc<Mutex<VecDeque<Reply>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn new(replies: &[Reply]) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let url = format!("http://{}/sounds/", listener.local_addr().unwrap());
        let replies = Arc::new(Mutex::new(replies.iter().cloned().collect::<VecDeque<_>>()));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (left, heard) = (Arc::clone(&replies), Arc::clone(&asked));
        // It ends with the process; its connections are one request long.
        thread::spawn(move || {
            let mut open = Vec::new();
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                heard.lock().unwrap().push(request(&mut stream));
                match left.lock().unwrap().pop_front().unwrap_or_else(|| status("500 None Left")) {
                    Reply::Says(head, body) => {
                        let head = head.replacen("\r\n", "\r\nConnection: close\r\n", 1);
                        let _ = stream.write_all(&[head.as_bytes(), &body].concat());
                    }
                    Reply::Nothing => open.push(stream),
                    Reply::Half => {
                        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc");
                        open.push(stream);
                    }
                }
            }
        });
        Self { url, replies, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    fn then(&self, reply: Reply) {
        self.replies.lock().unwrap().push_back(reply);
    }
}

fn request(stream: &mut TcpStream) -> String {
    let (mut text, mut byte) = (Vec::new(), [0]);
    while !text.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|count| count > 0) {
        text.extend_from_slice(&byte);
    }
    String::from_utf8(text).unwrap().to_lowercase()
}

struct Stage {
    folder: TempDir,
    server: Server,
    config: WebSoundsConfig,
}

impl Stage {
    fn new(replies: &[Reply]) -> Self {
        let (folder, server) = (tempfile::tempdir().unwrap(), Server::new(replies));
        let from = vec![server.url.parse().unwrap()];
        let config = WebSoundsConfig::new(from, folder.path().join("web"));
        Self { folder, server, config }
    }

    fn start(&self) -> WebSounds {
        WebSounds::start(self.config.clone(), Clock::start()).unwrap()
    }

    fn url(&self, name: &str) -> String {
        format!("{}{name}", self.server.url)
    }

    fn files(&self) -> Vec<String> {
        let files = fs::read_dir(self.folder.path().join("web")).unwrap();
        files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect()
    }
}

type Outcome = Result<Vec<u8>, FileError>;

fn ask(sounds: &WebSounds, url: &str) -> Receiver<Outcome> {
    let (sender, outcome) = channel();
    let read = |kept: Kept| {
        let mut bytes = vec![0; usize::try_from(kept.len).unwrap()];
        kept.file.read_exact_at(&mut bytes, kept.begin).unwrap();
        bytes
    };
    sounds.want(url, Box::new(move |kept| drop(sender.send(kept.map(read)))));
    outcome
}

fn get(sounds: &WebSounds, url: &str) -> Outcome {
    ask(sounds, url).recv_timeout(PATIENCE).unwrap()
}

#[test]
fn a_sound_is_fetched_once_while_it_is_good_also_by_the_next_process() {
    let stage = Stage::new(&[ok("Cache-Control: max-age=600\r\n", b"hello")]);
    let sounds = stage.start();
    let url = stage.url("a.wav");
    for _ in 0..3 {
        assert_eq!(get(&sounds, &url), Ok(b"hello".to_vec()));
    }
    drop(sounds);
    assert_eq!(get(&stage.start(), &url), Ok(b"hello".to_vec()));
    assert_eq!(stage.server.asked().len(), 1);
}

#[test]
fn what_is_not_good_any_more_is_asked_for_by_its_validators() {
    let old = "Cache-Control: max-age=0\r\nETag: \"v1\"\r\nLast-Modified: Sat, 21 Nov 2026 10:00:00 GMT\r\n";
    let new = ok("Cache-Control: max-age=600\r\n", b"new");
    let stage = Stage::new(&[ok(old, b"old"), status("304 Not Modified"), new]);
    let sounds = stage.start();
    let url = stage.url("a.wav");
    assert_eq!(get(&sounds, &url), Ok(b"old".to_vec()));
    assert_eq!(get(&sounds, &url), Ok(b"old".to_vec()), "it has not changed");
    assert_eq!(get(&sounds, &url), Ok(b"new".to_vec()), "it has");
    let asked = stage.server.asked();
    assert!(!asked[0].contains("if-none-match"), "{}", asked[0]);
    for asked in &asked[1..] {
        assert!(asked.contains("if-none-match: \"v1\""), "{asked}");
        assert!(asked.contains("if-modified-since: sat, 21 nov 2026 10:00:00 gmt"), "{asked}");
    }
    assert_eq!((asked.len(), stage.files().len()), (3, 1));
}

#[test]
fn an_old_sound_is_played_when_its_source_fails_unless_that_forbids_it() {
    let stage = Stage::new(&[ok("Cache-Control: max-age=0\r\n", b"old"), status("503 Busy"), Reply::Nothing]);
    let stage =
        Stage { config: WebSoundsConfig { asking: Duration::from_millis(50), ..stage.config.clone() }, ..stage };
    let sounds = stage.start();
    let url = stage.url("a.wav");
    for _ in 0..3 {
        assert_eq!(get(&sounds, &url), Ok(b"old".to_vec()));
    }
    stage.server.then(status("404 Gone"));
    assert_eq!(get(&sounds, &url), Err(FileError::Status(404)));
    assert_eq!(stage.files(), [""; 0], "what is gone is not kept");
    stage.server.then(ok("Cache-Control: max-age=0, must-revalidate\r\n", b"strict"));
    stage.server.then(status("503 Busy"));
    assert_eq!(get(&sounds, &url), Ok(b"strict".to_vec()));
    assert_eq!(get(&sounds, &url), Err(FileError::Status(503)));
}

#[test]
fn a_source_that_stalls_is_given_up_and_leaves_nothing() {
    let stage = Stage::new(&[Reply::Nothing, Reply::Half]);
    let stage =
        Stage { config: WebSoundsConfig { patience: Duration::from_millis(50), ..stage.config.clone() }, ..stage };
    let sounds = stage.start();
    for _ in 0..2 {
        assert_eq!(get(&sounds, &stage.url("a.wav")), Err(FileError::Stalled));
    }
    assert_eq!(stage.files(), [""; 0]);
}

#[test]
fn a_source_that_leads_elsewhere_is_not_followed() {
    let inner = Server::new(&[ok("", b"secret")]);
    let head = format!("HTTP/1.1 302 Found\r\nLocation: {}x.wav\r\nContent-Length: 0\r\n\r\n", inner.url);
    let stage = Stage::new(&[Reply::Says(head, Vec::new())]);
    assert_eq!(get(&stage.start(), &stage.url("a.wav")), Err(FileError::Elsewhere));
    assert_eq!(inner.asked(), [""; 0]);
}

#[test]
fn only_what_is_below_the_configured_urls_is_asked_for() {
    let stage = Stage::new(&[]);
    let sounds = stage.start();
    let host = stage.server.url.strip_suffix("/sounds/").unwrap();
    let port = host.rsplit(':').next().unwrap();
    for url in [
        "http://other.invalid/sounds/a.wav".to_owned(),
        format!("https://127.0.0.1:{port}/sounds/a.wav"),
        format!("{host}/soundsystem/a.wav"),
        format!("{host}/sounds/../secret.wav"),
        format!("{host}/sounds/%2e%2e/secret.wav"),
        format!("{host}/sounds/..%2Fsecret.wav"),
        format!("http://joe:x@127.0.0.1:{port}/sounds/a.wav"),
        format!("{host}/sounds/{}", "a".repeat(MAX_SOUND_URL)),
        "http://".to_owned(),
    ] {
        assert_eq!(get(&sounds, &url), Err(FileError::NotAllowed), "{url}");
    }
    assert_eq!(stage.server.asked(), [""; 0]);
    assert_eq!(get(&sounds, &stage.url("a.wav?v=2")), Err(FileError::Status(500)), "and this one is");
}

/// Ends TLS before a server, with a certificate that is written to `file`; what its URLs begin with then.
fn guard(server: &Server, file: &Path, runtime: &Runtime) -> String {
    let key = rcgen::KeyPair::generate().unwrap();
    let names = vec![Ipv4Addr::LOCALHOST.to_string()];
    let certificate = rcgen::CertificateParams::new(names).unwrap().self_signed(&key).unwrap();
    fs::write(file, certificate.pem()).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let tls = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(tls));
    let listener = runtime.block_on(tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).unwrap();
    let url = format!("https://{}/sounds/", listener.local_addr().unwrap());
    let behind = server.url.trim_start_matches("http://").trim_end_matches("/sounds/").to_owned();
    runtime.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut outside) = acceptor.accept(stream).await else { continue };
            let mut inside = tokio::net::TcpStream::connect(&behind).await.unwrap();
            let _ = tokio::io::copy_bidirectional(&mut outside, &mut inside).await;
        }
    });
    url
}

#[test]
fn a_source_over_https_is_asked_only_if_its_certificate_is_of_an_authority_that_is_known() {
    let stage = Stage::new(&[ok("", b"a sound")]);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let file = stage.folder.path().join("ours.pem");
    let url = guard(&stage.server, &file, &runtime);
    let start = |folder: &str, authorities: Option<PathBuf>| {
        let config = WebSoundsConfig::new(vec![url.parse().unwrap()], stage.folder.path().join(folder));
        WebSounds::start(WebSoundsConfig { authorities, ..config }, Clock::start())
    };
    let sound = format!("{url}a.wav");
    let stranger = start("stranger", None).unwrap();
    let outcome = get(&stranger, &sound);
    assert!(matches!(outcome, Err(FileError::Unreachable(_))), "{outcome:?}");
    assert_eq!(stage.server.asked(), [""; 0], "nothing was said before");
    let known = start("known", Some(file.clone())).unwrap();
    assert_eq!(get(&known, &stage.url("a.wav")), Err(FileError::NotAllowed), "without TLS it is another source");
    assert_eq!(get(&known, &sound), Ok(b"a sound".to_vec()));
    fs::write(&file, "no certificate").unwrap();
    let error = start("known", Some(file)).err().unwrap().to_string();
    assert!(error.contains("ours.pem"), "{error}");
}

#[test]
fn a_sound_has_a_largest_length_whether_its_source_says_how_long_it_is_or_not() {
    let endless = Reply::Says("HTTP/1.1 200 OK\r\n\r\n".to_owned(), vec![7; 11]);
    let stage = Stage::new(&[ok("", &[7; 11]), endless, ok("", &[7; 10])]);
    let stage = Stage { config: WebSoundsConfig { largest: 10, ..stage.config.clone() }, ..stage };
    let sounds = stage.start();
    let url = stage.url("a.wav");
    assert_eq!(get(&sounds, &url), Err(FileError::TooLarge(10)));
    assert_eq!(get(&sounds, &url), Err(FileError::TooLarge(10)));
    assert_eq!(stage.files(), [""; 0]);
    assert_eq!(get(&sounds, &url), Ok(vec![7; 10]));
}

#[test]
fn what_nobody_has_wanted_for_longest_makes_room() {
    let good = "Cache-Control: max-age=600\r\n";
    let stage = Stage::new(&[ok(good, b"a"), ok(good, b"b"), ok(good, b"c"), ok(good, b"b2")]);
    let two = 2 * (HEAD + 2);
    let stage = Stage { config: WebSoundsConfig { most: two, ..stage.config.clone() }, ..stage };
    let sounds = stage.start();
    for (name, sound) in [("a", "a"), ("b", "b"), ("a", "a"), ("c", "c"), ("a", "a"), ("b", "b2")] {
        assert_eq!(get(&sounds, &stage.url(name)), Ok(sound.as_bytes().to_vec()));
    }
    assert_eq!(stage.server.asked().len(), 4);
    assert_eq!(sounds.shared.state().cache.holds().0, 2);
    assert_eq!(stage.files().len(), 2);
}

#[test]
fn a_sound_that_is_not_to_be_kept_is_played_and_not_kept() {
    let stage = Stage::new(&[ok("Cache-Control: no-store\r\n", b"1"), ok("Cache-Control: no-store\r\n", b"2")]);
    let sounds = stage.start();
    assert_eq!(get(&sounds, &stage.url("a")), Ok(b"1".to_vec()));
    assert_eq!(get(&sounds, &stage.url("a")), Ok(b"2".to_vec()));
    assert_eq!(stage.files(), [""; 0]);
}

#[test]
fn all_who_want_a_sound_at_once_wait_for_one_request_and_there_are_only_so_many() {
    let stage = Stage::new(&[Reply::Nothing]);
    let stage = Stage { config: WebSoundsConfig { patience: Duration::from_secs(1), ..stage.config.clone() }, ..stage };
    let sounds = stage.start();
    let url = stage.url("a.wav");
    let waiting: Vec<_> = (0..3).map(|_| ask(&sounds, &url)).collect();
    sounds.shared.state().waiting += MAX_WAITING_FOR_SOUNDS;
    assert_eq!(get(&sounds, &url), Err(FileError::Busy));
    sounds.shared.state().waiting -= MAX_WAITING_FOR_SOUNDS;
    for n in 1..MAX_FETCHES {
        let other = Url::parse(&stage.url(&n.to_string())).unwrap();
        sounds.shared.state().under_way.insert(other, Vec::new());
    }
    assert_eq!(get(&sounds, &stage.url("another")), Err(FileError::Busy));
    for outcome in waiting {
        assert_eq!(outcome.recv_timeout(PATIENCE).unwrap(), Err(FileError::Stalled));
    }
    assert_eq!(stage.server.asked().len(), 1);
    assert_eq!(sounds.shared.state().waiting, 0);
}

#[test]
fn what_a_crash_has_left_behind_is_fetched_again() {
    let good = "Cache-Control: max-age=600\r\n";
    let stage = Stage::new(&[ok(good, b"whole"), ok(good, b"again")]);
    let url = stage.url("a.wav");
    assert_eq!(get(&stage.start(), &url), Ok(b"whole".to_vec()));
    let folder = stage.folder.path().join("web");
    let kept = folder.join(&stage.files()[0]);
    let cut = fs::metadata(&kept).unwrap().len() - 1;
    File::options().write(true).open(&kept).unwrap().set_len(cut).unwrap();
    fs::write(folder.join("7.part"), "half").unwrap();
    fs::write(folder.join("README"), "not ours").unwrap();
    let sounds = stage.start();
    assert_eq!(stage.files(), ["README"]);
    assert_eq!(get(&sounds, &url), Ok(b"again".to_vec()));
    // Somebody empties the folder while we run.
    fs::remove_file(kept).unwrap();
    stage.server.then(ok(good, b"third"));
    assert_eq!(get(&sounds, &url), Ok(b"third".to_vec()));
}

#[test]
fn how_long_a_sound_is_good_its_source_says() {
    let of = |pairs: &[(&'static str, &'static str)], known: Option<&Age>| {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        let age = age_of(Duration::from_secs(5), &headers, known);
        (age.good_for.as_secs(), age.strict)
    };
    assert_eq!(of(&[], None), (GOOD_FOR.as_secs(), false));
    assert_eq!(of(&[("cache-control", "public, Max-Age=\"70\""), ("age", "20")], None), (50, false));
    assert_eq!(of(&[("cache-control", "max-age=70"), ("cache-control", "no-cache")], None), (0, true));
    assert_eq!(of(&[("cache-control", "max-age=soon")], None), (0, false));
    assert_eq!(of(&[("cache-control", "max-age=99999999999")], None), (MAX_GOOD_FOR.as_secs(), false));
    let known = Age { good_for: Duration::from_secs(9), strict: true, ..Age::default() };
    assert_eq!(of(&[], Some(&known)), (9, true), "nothing new was said");
}
