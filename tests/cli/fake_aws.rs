//! An AWS that answers each request from a function, and can leave a request unanswered.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// The status, more headers, and the body of an answer.
pub type Answer = (u16, &'static str, Vec<u8>);

pub struct FakeAws {
    pub endpoint: String,
    /// Each request as `METHOD address body`, with the header `x-amz-target` before the body if there is one.
    requests: Arc<Mutex<Vec<String>>>,
}

impl FakeAws {
    /// Answers with `answer`; a request for which it returns `None` stays unanswered.
    pub fn start(answer: impl Fn(&str) -> Option<Answer> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (recorded, answer) = (Arc::clone(&requests), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (recorded, answer) = (Arc::clone(&recorded), Arc::clone(&answer));
                std::thread::spawn(move || {
                    let stream = stream.unwrap();
                    let request = read(&stream);
                    recorded.lock().unwrap().push(request.clone());
                    match answer(&request) {
                        Some(answer) => write(&stream, &answer),
                        None => std::thread::sleep(Duration::from_secs(60)),
                    }
                });
            }
        });
        Self { endpoint, requests }
    }

    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    /// Waits until a request that contains `text` has arrived.
    pub fn wait_for(&self, text: &str) {
        let end = Instant::now() + Duration::from_secs(30);
        while !self.requests().iter().any(|request| request.contains(text)) {
            assert!(Instant::now() < end, "no `{text}` in {:#?}", self.requests());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn read(stream: &TcpStream) -> String {
    let mut reader = BufReader::new(stream);
    let (mut request, mut line, mut length) = (String::new(), String::new(), 0);
    let mut target = String::new();
    while reader.read_line(&mut line).unwrap_or_default() > 2 {
        if request.is_empty() {
            request = line.trim_end().trim_end_matches(" HTTP/1.1").to_owned();
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if let Some((_, value)) = line.split_once("x-amz-target:") {
            target = format!("{} ", value.trim());
        }
        line.clear();
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    format!("{request} {target}{}", String::from_utf8_lossy(&body))
}

fn write(mut stream: &TcpStream, (status, headers, body): &Answer) {
    let head = format!(
        "HTTP/1.1 {status} Any\r\nconnection: close\r\nx-amz-bucket-region: us-east-1\r\nsmithy-protocol: rpc-v2-cbor\r\n{headers}content-length: {}\r\n\r\n",
        body.len()
    );
    // The program may have gone: a broken connection is no failure of the test.
    let _ = stream.write_all(&[head.as_bytes(), body].concat());
}

pub fn ok(body: &str) -> Option<Answer> {
    Some((200, "", body.into()))
}

pub fn missing(code: &str) -> Option<Answer> {
    let error = format!("<Error><Code>{code}</Code><Message>m</Message></Error>");
    let of_iam = format!("<ErrorResponse>{error}</ErrorResponse>");
    Some((404, "", if code == "NoSuchEntity" { of_iam } else { error }.into_bytes()))
}

/// The answers to reads of account 111122223333, in which nothing exists; `None` for any other request.
pub fn empty_account(request: &str) -> Option<Answer> {
    const CALLER: &str = "<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:iam::111122223333:user/me</Arn>\
        <UserId>u</UserId><Account>111122223333</Account></GetCallerIdentityResult></GetCallerIdentityResponse>";
    if request.contains("GetCallerIdentity") {
        ok(CALLER)
    } else if request.contains("Action=GetRole") || request.contains("Action=List") {
        missing("NoSuchEntity")
    } else if request.contains("DescribeAlarms") {
        // An empty map in CBOR.
        Some((200, "content-type: application/cbor\r\n", vec![0xa0]))
    } else if request.contains("?replication") {
        missing("ReplicationConfigurationNotFoundError")
    } else if request.contains("?object-lock") {
        missing("ObjectLockConfigurationNotFoundError")
    } else if request.starts_with("HEAD ") {
        Some((404, "", Vec::new()))
    } else {
        None
    }
}
