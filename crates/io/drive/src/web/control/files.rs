//! The files of recordings, for whoever the desk says may have them: from the folder of this process, or through the media
//! node that has written them.

use std::io;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use compact_str::CompactString;
use futures_util::stream::try_unfold;
use hookswitch_dialect::rest::{self, Code, FileAct, FileWanted, Problem};
use hookswitch_nodes::recording_path;
use reqwest::{Client, redirect};
use tokio::time::timeout;

use super::ControlConfig;
use crate::kept::{HEAD_BYTES, length_of};
use crate::nodes::bearer;
use crate::opensips::innermost;
use crate::web::recordings::{Lacking, Shelf};

/// How long nothing may come from a node that sends a file.
const NODE_STALL: Duration = Duration::from_secs(30);

/// Where files are.
#[derive(Clone)]
pub(in crate::web) struct Files {
    shelf: Shelf,
    nodes: Option<Nodes>,
}

/// How nodes are asked.
#[derive(Clone)]
struct Nodes {
    client: Client,
    bearer: Option<HeaderValue>,
    /// How long an answer is waited for that others wait for.
    patience: Duration,
}

impl Files {
    pub(in crate::web) fn new(config: &ControlConfig) -> io::Result<Self> {
        let shelf = Shelf::new(config.recordings.clone());
        let Some(terms) = &config.ask_nodes else { return Ok(Self { shelf, nodes: None }) };
        let client = Client::builder()
            .http1_only()
            .no_proxy()
            .redirect(redirect::Policy::none())
            .connect_timeout(terms.patience)
            .read_timeout(NODE_STALL);
        let client = client.build().map_err(|error| io::Error::other(innermost(&error)))?;
        let bearer = terms.secret.as_deref().map(bearer).transpose()?;
        Ok(Self { shelf, nodes: Some(Nodes { client, bearer, patience: terms.patience }) })
    }

    /// Does what is to be done to a file, and answers.
    pub(super) async fn answer(
        &self,
        wanted: &FileWanted,
        method: &Method,
        headers: &HeaderMap,
    ) -> Result<Response, Problem> {
        // Where nodes write, this process need not have their folder, and what has that name here may be another file.
        let size = wanted.size.filter(|_| wanted.node.is_some());
        let here = match wanted.act {
            _ if wanted.node.is_some() && size.is_none() => Err(Lacking::File),
            FileAct::Send | FileAct::Measure => self.shelf.send(&wanted.file, size, method, headers).await,
            FileAct::Remove => self.shelf.remove(&wanted.file, size).await.map(|()| removed()),
        };
        let answer = match (here, &wanted.node, &self.nodes) {
            (Err(Lacking::File), Some(node), Some(nodes)) => self.through(nodes, node, wanted, headers, method).await?,
            (here, ..) => here,
        };
        match answer {
            Err(Lacking::File) if wanted.act == FileAct::Remove => Ok(removed()),
            answer => answer.map_err(problem),
        }
    }

    /// The document of a recording with how big and how long it is, as its node says; none if that does not. A look at a file
    /// counts as a fetch.
    pub(super) async fn measured(&self, wanted: &FileWanted, document: &[u8]) -> Option<String> {
        let patience = self.nodes.as_ref()?.patience;
        let range = HeaderValue::from_str(&format!("bytes=0-{}", HEAD_BYTES - 1)).ok()?;
        let headers = HeaderMap::from_iter([(header::RANGE, range)]);
        let look = async {
            let said = self.answer(wanted, &Method::GET, &headers).await.ok()?;
            let part = said.headers().get(header::CONTENT_RANGE)?.to_str().ok()?;
            let size: u64 = part.rsplit_once('/')?.1.parse().ok()?;
            Some((to_bytes(said.into_body(), HEAD_BYTES as usize).await.ok()?, size))
        };
        let (head, size) = timeout(patience, look).await.ok()??;
        rest::measured(document, size, length_of(&head, size)?)
    }

    /// Asks the node that has written a file, and passes on what it says.
    async fn through(
        &self,
        nodes: &Nodes,
        node: &CompactString,
        wanted: &FileWanted,
        headers: &HeaderMap,
        method: &Method,
    ) -> Result<Result<Response, Lacking>, Problem> {
        let place = match self.shelf.place() {
            Ok(place) => place,
            Err(lacking) => return Ok(Err(lacking)),
        };
        let mut asked = nodes.client.request(method.clone(), format!("{node}{}", recording_path(&wanted.file)));
        for name in [header::RANGE, header::IF_RANGE, header::IF_NONE_MATCH] {
            for value in headers.get_all(&name) {
                asked = asked.header(&name, value);
            }
        }
        if let Some(bearer) = &nodes.bearer {
            asked = asked.header(header::AUTHORIZATION, bearer);
        }
        let gone = |why: String| {
            let detail = format!("the file is on the media node {node}, {why}");
            Problem::new(Code::NodeUnreachable, detail)
        };
        let said = asked.send().await.map_err(|error| gone(format!("which does not answer: {}", innermost(&error))))?;
        match said.status() {
            StatusCode::NOT_FOUND => return Ok(Err(Lacking::File)),
            StatusCode::RANGE_NOT_SATISFIABLE => {
                let length = said.headers().get(header::CONTENT_RANGE).and_then(|value| value.to_str().ok());
                let length = length.and_then(|text| text.rsplit_once('/')?.1.parse().ok());
                return Ok(Err(Lacking::Part(length.or(wanted.size).unwrap_or_default())));
            }
            StatusCode::OK | StatusCode::PARTIAL_CONTENT | StatusCode::NOT_MODIFIED | StatusCode::NO_CONTENT => {}
            other => return Err(gone(format!("which answers {other}"))),
        }
        let (status, fields) = (said.status(), said.headers().clone());
        let body = match *method == Method::GET && status != StatusCode::NOT_MODIFIED {
            true => Body::from_stream(try_unfold((said, place), |(mut said, place)| async move {
                let piece = said.chunk().await.map_err(io::Error::other)?;
                Ok::<_, io::Error>(piece.map(|piece| (piece, (said, place))))
            })),
            false => Body::empty(),
        };
        let mut response = Response::new(body);
        *response.status_mut() = status;
        for name in
            [header::ACCEPT_RANGES, header::CONTENT_LENGTH, header::CONTENT_RANGE, header::CONTENT_TYPE, header::ETAG]
        {
            if let Some(value) = fields.get(&name) {
                response.headers_mut().insert(name, value.clone());
            }
        }
        Ok(Ok(response))
    }
}

fn removed() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

fn problem(lacking: Lacking) -> Problem {
    match lacking {
        Lacking::File => Problem::new(Code::Gone, "the file of this recording is not there any more"),
        Lacking::Part(length) => {
            let detail = format!("the file has {length} bytes");
            Problem { more: Some(length.to_string()), ..Problem::new(Code::RangeNotSatisfiable, detail) }
        }
        Lacking::Busy => Problem::new(Code::Unavailable, "too many recordings are being fetched"),
        Lacking::Broken(error) => {
            tracing::warn!(%error, "the file of a recording cannot be read or removed");
            Problem::new(Code::Unavailable, format!("the file cannot be read or removed: {error}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::Arc;

    use axum::Router;
    use axum::middleware::from_fn_with_state;
    use axum::routing::any;
    use hookswitch_dialect::access::Grant;
    use tokio::net::TcpListener;

    use super::*;
    use crate::NodesConfig;
    use crate::web::door::{self, Door};
    use crate::web::http::files;
    use crate::web::token::Token;

    const SECRET: &str = "0123456789abcdef";

    /// A media node with this folder; its base URL.
    async fn node(folder: PathBuf) -> CompactString {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let token = Token::of_secret(SECRET, Arc::new(Grant::everything())).unwrap();
        let door = Arc::new(Door { tokens: vec![token], from: None });
        let router = files(Router::new(), Some(folder)).layer(from_fn_with_state(door, door::pass));
        tokio::spawn(axum::serve(listener, router.fallback(any(StatusCode::IM_A_TEAPOT))).into_future());
        url.into()
    }

    fn own(folder: Option<PathBuf>, secret: &str) -> Files {
        let mut config = ControlConfig::new("127.0.0.1:0".parse().unwrap());
        config.recordings = folder;
        config.ask_nodes = Some(NodesConfig { secret: Some(secret.to_owned()), ..NodesConfig::default() });
        Files::new(&config).unwrap()
    }

    fn wanted(file: &str, node: Option<&CompactString>, act: FileAct) -> FileWanted {
        FileWanted { file: file.into(), size: Some(10), node: node.cloned(), act }
    }

    async fn get(files: &Files, wanted: &FileWanted, range: Option<&'static str>) -> Result<(u16, String), Code> {
        let headers = range.into_iter().map(|range| (header::RANGE, HeaderValue::from_static(range))).collect();
        let sent = files.answer(wanted, &Method::GET, &headers).await.map_err(|problem| problem.code)?;
        let status = sent.status().as_u16();
        Ok((status, String::from_utf8(to_bytes(sent.into_body(), 1_000).await.unwrap().into()).unwrap()))
    }

    #[tokio::test]
    async fn a_file_is_fetched_through_the_node_that_has_written_it() {
        let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let path = there.path().join("day one/a?.wav");
        std::fs::create_dir(there.path().join("day one")).unwrap();
        std::fs::write(&path, "0123456789").unwrap();
        let (node, name) = (node(there.path().to_owned()).await, path.to_str().unwrap());
        let files = own(Some(here.path().to_owned()), SECRET);
        let there = wanted(name, Some(&node), FileAct::Send);
        assert_eq!(get(&files, &there, None).await, Ok((200, "0123456789".to_owned())));
        assert_eq!(get(&files, &there, Some("bytes=2-4")).await, Ok((206, "234".to_owned())));
        assert_eq!(get(&files, &there, Some("bytes=10-")).await, Err(Code::RangeNotSatisfiable));
        let head = files.answer(&there, &Method::HEAD, &HeaderMap::new()).await.unwrap();
        assert_eq!((head.status().as_u16(), &head.headers()[header::CONTENT_LENGTH]), (200, &"10".parse().unwrap()));
        // Nobody but the node is asked where this process has written it itself.
        assert_eq!(get(&files, &wanted(name, None, FileAct::Send), None).await, Err(Code::Gone));
        assert_eq!(get(&own(None, "another-0123456789"), &there, None).await, Err(Code::NodeUnreachable));
        let removed =
            files.answer(&wanted(name, Some(&node), FileAct::Remove), &Method::DELETE, &HeaderMap::new()).await;
        assert_eq!(removed.unwrap().status().as_u16(), 204);
        assert!(!path.exists());
        let again = files.answer(&wanted(name, Some(&node), FileAct::Remove), &Method::DELETE, &HeaderMap::new()).await;
        assert_eq!(again.unwrap().status().as_u16(), 204, "there is none any more");
        assert_eq!(get(&files, &there, None).await, Err(Code::Gone));
        let nobody = CompactString::from("http://127.0.0.1:1");
        assert_eq!(get(&files, &wanted(name, Some(&nobody), FileAct::Send), None).await, Err(Code::NodeUnreachable));
    }

    #[tokio::test]
    async fn a_folder_that_is_shared_with_nodes_is_read_here_and_another_file_of_that_name_is_not() {
        let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::write(here.path().join("a.wav"), "0123456789").unwrap();
        let node = node(there.path().to_owned()).await;
        let files = own(Some(here.path().to_owned()), SECRET);
        let shared = wanted("a.wav", Some(&node), FileAct::Send);
        assert_eq!(get(&files, &shared, None).await, Ok((200, "0123456789".to_owned())));
        std::fs::write(here.path().join("a.wav"), "01234567890").unwrap();
        assert_eq!(get(&files, &shared, None).await, Err(Code::Gone), "it is not the one that was recorded");
        let interrupted = FileWanted { size: None, ..shared.clone() };
        assert_eq!(get(&files, &interrupted, None).await, Err(Code::Gone), "nobody knows whether it is that one");
        std::fs::write(there.path().join("a.wav"), "012345").unwrap();
        assert_eq!(get(&files, &interrupted, None).await, Ok((200, "012345".to_owned())), "its node knows");
        let gone = FileWanted { act: FileAct::Remove, ..interrupted };
        let gone = files.answer(&gone, &Method::DELETE, &HeaderMap::new()).await.unwrap();
        assert_eq!(gone.status().as_u16(), 204);
        assert!(!there.path().join("a.wav").exists() && here.path().join("a.wav").exists());
    }

    #[tokio::test]
    async fn how_much_a_node_has_written_it_is_asked() {
        let there = tempfile::tempdir().unwrap();
        let format = hookswitch_codec::wav::WavFormat::mono_pcm(8_000);
        let mut file = vec![0; format.header_len()];
        format.write_header(100_000, &mut file).unwrap();
        // It was killed before it had written what the header says.
        file.resize(file.len() + 80_000, 0);
        std::fs::write(there.path().join("a.wav"), &file).unwrap();
        std::fs::write(there.path().join("b.wav"), "no recording").unwrap();
        std::fs::write(there.path().join("c.wav"), "").unwrap();
        let node = node(there.path().to_owned()).await;
        let files = own(None, SECRET);
        let look = async |files: &Files, name: &str, node: &CompactString| {
            let wanted = FileWanted { size: None, ..wanted(name, Some(node), FileAct::Measure) };
            let document = files.measured(&wanted, br#"{"id":"rec_1_0","state":"finished"}"#).await?;
            serde_json::from_str::<serde_json::Value>(&document).ok()
        };
        let expected = serde_json::json!({
            "id": "rec_1_0", "state": "finished", "bytes": file.len(), "duration_seconds": 5.0,
        });
        assert_eq!(look(&files, "a.wav", &node).await, Some(expected));
        for name in ["b.wav", "c.wav", "gone.wav"] {
            assert_eq!(look(&files, name, &node).await, None, "{name}");
        }
        assert_eq!(look(&own(None, "another-0123456789"), "a.wav", &node).await, None, "it is not allowed in");
        // One that takes connections and says nothing.
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = CompactString::from(format!("http://{}", silent.local_addr().unwrap()));
        let mut files = files;
        files.nodes.as_mut().unwrap().patience = Duration::from_millis(50);
        assert_eq!(look(&files, "a.wav", &url).await, None);
    }
}
