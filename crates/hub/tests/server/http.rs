//! HTTP/1.1 as far as tests need it: one request a connection, an answer that may be cut short.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// A request as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Without the query.
    pub(crate) path: String,
    /// By lower-case name.
    pub(crate) headers: BTreeMap<String, String>,
}

impl Request {
    /// The access token that was sent.
    pub(crate) fn token(&self) -> Option<&str> {
        self.headers.get("authorization")?.strip_prefix("Bearer ")
    }

    /// The first byte that was asked for, where a range was.
    pub(crate) fn range_start(&self) -> Option<usize> {
        self.headers.get("range")?.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
    }

    fn read(stream: &TcpStream) -> Option<Request> {
        let mut lines = BufReader::new(stream).lines();
        let first = lines.next()?.ok()?;
        let mut words = first.split(' ');
        let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
        let mut headers = BTreeMap::new();
        for line in lines {
            let line = line.ok()?;
            let Some((name, value)) = line.split_once(':') else { break };
            headers.insert(name.to_lowercase(), value.trim().to_owned());
        }
        let path = target.split('?').next()?.replace("%20", " ");
        Some(Request { method, path, headers })
    }
}

/// An answer.
pub(crate) struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    ranges: bool,
    cut: Option<usize>,
    /// How long the connection stays open after the cut, saying nothing.
    silence: Duration,
}

impl Reply {
    pub(crate) fn status(status: u16) -> Reply {
        let (headers, body, silence) = (Vec::new(), Vec::new(), Duration::ZERO);
        Reply { status, headers, body, ranges: false, cut: None, silence }
    }

    pub(crate) fn json(value: &serde_json::Value) -> Reply {
        let body = value.to_string().into_bytes();
        Reply { body, ..Reply::status(200) }.header("Content-Type", "application/json")
    }

    /// A file, of which parts may be asked for.
    pub(crate) fn file(body: Vec<u8>, etag: &str) -> Reply {
        Reply { body, ranges: true, ..Reply::status(200) }.header("ETag", etag)
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Reply {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn cut(self, after: usize, silence: Duration) -> Reply {
        Reply { cut: Some(after), silence, ..self }
    }

    pub(crate) fn without_ranges(self) -> Reply {
        Reply { ranges: false, ..self }
    }

    pub(crate) fn corrupt(mut self) -> Reply {
        if let Some(byte) = self.body.first_mut() {
            *byte ^= 1;
        }
        self
    }

    fn send(mut self, request: &Request, stream: &mut TcpStream) -> std::io::Result<()> {
        if let Some(start) = request.range_start().filter(|_| self.ranges && self.status == 200) {
            let total = self.body.len();
            if start >= total {
                (self.status, self.body) = (416, Vec::new());
            } else {
                self =
                    self.header("Content-Range", &format!("bytes {start}-{}/{total}", total - 1));
                (self.status, self.body) = (206, self.body.split_off(start));
            }
        }
        let mut head = format!("HTTP/1.1 {} .\r\nConnection: close\r\n", self.status);
        head.push_str(&format!("Content-Length: {}\r\n", self.body.len()));
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        stream.write_all(format!("{head}\r\n").as_bytes())?;
        if request.method != "HEAD" {
            let sent = self.cut.unwrap_or(self.body.len()).min(self.body.len());
            stream.write_all(&self.body[..sent])?;
        }
        stream.flush()?;
        thread::sleep(self.silence);
        Ok(())
    }
}

/// Answers every connection until it is dropped.
pub(crate) struct Listener {
    address: SocketAddr,
    ended: Arc<AtomicBool>,
}

impl Listener {
    pub(crate) fn start(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Listener {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let ended = Arc::new(AtomicBool::new(false));
        let (answer, stop) = (Arc::new(answer), Arc::clone(&ended));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if stop.load(Ordering::SeqCst) {
                    break;
                }
                let answer = Arc::clone(&answer);
                thread::spawn(move || serve(stream, answer.as_ref()));
            }
        });
        Listener { address, ended }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        // Wakes the thread that waits for a connection.
        drop(TcpStream::connect(self.address));
    }
}

fn serve(mut stream: TcpStream, answer: &dyn Fn(&Request) -> Reply) {
    let Some(request) = Request::read(&stream) else { return };
    // A client that goes away in the middle is its own affair.
    let _ = answer(&request).send(&request, &mut stream);
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let _ = stream.read(&mut [0; 64]);
}
