//! What the three tools say and how they end before anything else happens: flags, files, words.

use crate::call_api_harness::{Place, repository};

const TOOLS: [&str; 3] = ["call-api", "call-cmd", "call-api-client"];

fn nowhere(tool: &str) -> String {
    let list = |tool: &str| format!("config/{tool}.yml,/etc/{tool}.yml,/etc/call-api/{tool}.yml");
    let files = match tool {
        "call-api-client" => format!("{},{}", list(tool), list("call-api")),
        _ => list(tool),
    };
    format!("No config file found in any of {files}: the defaults serve")
}

#[test]
fn the_version_is_a_log_line_and_needs_no_file() {
    for tool in TOOLS {
        for flag in ["-v", "--version", "-version", "-v=true"] {
            let ran = Place::new().run(tool, &[flag]);
            assert_eq!((ran.status, ran.log.len(), ran.stdout.as_str()), (0, 1, ""), "{tool} {flag}: {ran:?}");
            assert!(ran.log[0].starts_with(&format!("info {tool}: v0.")), "{ran:?}");
        }
    }
}

#[test]
fn help_teaches_by_example_and_succeeds() {
    for tool in TOOLS {
        for flag in ["-h", "--help"] {
            let ran = Place::new().run(tool, &[flag]);
            assert_eq!(ran.status, 0);
            for text in ["Examples:", "--config <FILE>", "CALL_API_MI", &format!("/etc/call-api/{tool}.yml")] {
                assert!(ran.stdout.contains(text), "{tool} {flag}: no {text:?} in {}", ran.stdout);
            }
        }
    }
    let help = Place::new().run("call-cmd", &["-h"]).stdout;
    assert!(help.contains("call-cmd CallStart caller=sip:alice@example.test callee=sip:bob@example.test"));
    let help = Place::new().run("call-api-client", &["-h"]).stdout;
    assert!(help.contains("-method CallStart -params '{\"caller\""));
}

#[test]
fn flags_that_make_no_sense_are_status_2() {
    for (arguments, expected) in [
        (&["-nope"][..], "flag provided but not defined: -nope"),
        (&["-config"], "flag needs an argument: -config"),
        (&["-check-config=maybe"], "invalid boolean value \"maybe\" for -check-config: parse error"),
    ] {
        for tool in TOOLS {
            let ran = Place::new().run(tool, arguments);
            assert_eq!((ran.status, ran.log[0].as_str()), (2, expected), "{tool}: {ran:?}");
        }
    }
    for arguments in [&["-wsport", "many"][..], &["-timeout", "soon"]] {
        assert_eq!(Place::new().run("call-api-client", arguments).status, 2);
    }
}

#[test]
fn a_named_file_must_be_one() {
    let place = Place::new().with("folder/x", "").with("bad.yml", "ws_server:\n  prot: 1\n");
    for tool in TOOLS {
        for (file, expected) in [
            ("/nope.yml", "fatal stat /nope.yml: no such file or directory"),
            ("folder", "fatal 'folder' is a directory, not a normal file"),
            ("bad.yml", "fatal bad.yml:2: unknown key `ws_server.prot`"),
        ] {
            let ran = place.run(tool, &["-config", file]);
            assert_eq!((ran.status, ran.log.as_slice()), (1, &[expected.to_owned()][..]), "{tool}");
        }
    }
}

#[test]
fn no_file_at_all_is_a_warning() {
    for tool in TOOLS {
        let ran = Place::new().run(tool, &["-check-config"]);
        assert_eq!((ran.status, ran.log.as_slice()), (0, &[format!("warning {}", nowhere(tool))][..]), "{tool}");
        assert!(ran.stdout.starts_with("# no configuration file: these are the defaults\nws_server:\n"), "{ran:?}");
    }
}

#[test]
fn files_are_found_at_home_and_in_config_and_odd_keys_are_told() {
    for tool in TOOLS {
        let home = format!(".{tool}.yml");
        let place = Place::new().with(&format!("config/{tool}.yml"), "ws_server: { port: 1234 }\ncolour: red\n");
        let ran = place.run(tool, &["--check-config"]);
        assert_eq!(ran.log, [format!("warning config/{tool}.yml:2: unknown key `colour`")]);
        assert!(ran.stdout.contains("port: 1234"), "{ran:?}");
        let ran = place.with(&home, "ws_server: { port: 4321 }").run(tool, &["--check-config"]);
        assert!(ran.log.is_empty() && ran.stdout.contains("port: 4321"), "{ran:?}");
    }
    let shared = Place::new().with("config/call-api.yml", "ws_server: { port: 7 }");
    assert!(
        shared.run("call-api-client", &["-check-config"]).stdout.contains("port: 7"),
        "the daemon's file serves too"
    );
}

#[test]
fn the_files_of_this_repository_are_understood() {
    for tool in TOOLS {
        let file = repository(&format!("config/{tool}.yml"));
        let ran = Place::new().run(tool, &["-check-config", "-config", file.to_str().unwrap()]);
        assert!(ran.status == 0 && ran.log.is_empty(), "{tool}: {ran:?}");
    }
}

#[test]
fn every_key_that_the_example_mentions_is_understood() {
    let text = std::fs::read_to_string(repository("config/call-api.yml")).unwrap();
    // Comments have one space behind their mark, keys that are commented out none or more.
    let uncommented = |line: &str| {
        let (indent, rest) = line.split_at(line.len() - line.trim_start().len());
        let key = rest.strip_prefix('#').filter(|key| !key.starts_with(' ') || key.starts_with("  "));
        format!("{indent}{}\n", key.unwrap_or(rest))
    };
    let text: String = text.lines().map(uncommented).collect();
    let text = text.replace("secret_file: /etc/call-api/desk.token", "secret: 0123456789abcdef");
    let ran = Place::new().with("call-api.yml", &text).run("call-api", &["-check-config", "-config", "call-api.yml"]);
    assert!(ran.status == 0 && ran.log.is_empty(), "{ran:#?}\n{text}");
    for key in [
        "tls",
        "name: \"desk\"",
        "allowed_origins",
        "rate: 100",
        "reply",
        "ca",
        "advertise",
        "uri",
        "from",
        "file_path",
    ] {
        assert!(ran.stdout.contains(key), "{key}: {}", ran.stdout);
    }
}

#[test]
fn of_a_flag_given_twice_the_later_one_counts() {
    let place = Place::new().with("a.yml", "ws_server: { port: 7 }").with("b.yml", "ws_server: { port: 8 }");
    let ran = place.run("call-cmd", &["-config", "a.yml", "-check-config", "-config=b.yml", "-check-config"]);
    assert!(ran.status == 0 && ran.stdout.contains("port: 8"), "{ran:?}");
}

#[test]
fn the_environment_is_stronger_than_the_file() {
    let place = Place::new().with("a.yml", "ws_server: { host: here, port: 1 }").env("CALL_API_HOST", "0.0.0.0");
    let ran = place
        .env("CALL_API_MI", "192.0.2.5:8080")
        .env("CALL_API_PORT", "")
        .run("call-api", &["-check-config", "-config=a.yml"]);
    for line in ["host: \"0.0.0.0\"", "port: 1\n", "url: \"udp:192.0.2.5:8080\""] {
        assert!(ran.stdout.contains(line), "{ran:?}");
    }
    let ran = Place::new().env("CALL_API_PORT", "many").run("call-api", &["-check-config"]);
    assert_eq!((ran.status, ran.log.as_slice()), (1, &["fatal CALL_API_PORT: `many` is no port".to_owned()][..]));
}

#[test]
fn a_log_file_takes_every_line() {
    let place = Place::new().with("a.yml", "log: { file_path: a.log, level: WARN }");
    let ran = place.run("call-cmd", &["-config", "a.yml"]);
    assert_eq!((ran.status, ran.stderr.as_str()), (1, ""));
    let lines = std::fs::read_to_string(place.path("a.log")).unwrap();
    assert!(lines.contains("level=error msg=\"no command specified!\"\n"), "{lines}");
    let place = Place::new().with("a.yml", "log: { file_path: no/such/a.log }");
    let ran = place.run("call-cmd", &["-config", "a.yml", "Echo"]);
    let expected = "fatal open no/such/a.log: no such file or directory".to_owned();
    assert_eq!((ran.status, ran.log.as_slice()), (1, &[expected][..]));
}

#[test]
fn a_missing_command_or_method_is_told_how() {
    let place = Place::new().with("a.yml", "");
    let ran = place.run("call-cmd", &["-config", "a.yml"]);
    let expected = ["error no command specified!", "fatal Usage: call-cmd command [arguments...]"];
    assert_eq!((ran.status, ran.log), (1, expected.map(String::from).to_vec()));
    let ran = place.run("call-api-client", &["-config", "a.yml"]);
    let expected = ["error no method specified!", "fatal Usage: call-api-client jsonrpc_method [jsonrpc_arguments]"];
    assert_eq!((ran.status, ran.log), (1, expected.map(String::from).to_vec()));
    let ran = place.run("call-cmd", &["-config", "a.yml", "Nope", "a=b"]);
    assert_eq!((ran.status, ran.log), (1, vec!["fatal could not initialize Nope command".to_owned()]));
    let ran = place.run("call-api-client", &["-config", "a.yml", "-method", "Echo", "-params", "{"]);
    assert!(ran.status == 1 && ran.log[0].starts_with("fatal failed to parse JSON args: "), "{ran:?}");
}

#[test]
fn a_check_finds_what_would_keep_a_tool_from_working() {
    for (tool, yml, expected) in [
        ("call-api", "evi: { listen: 'sctp:1' }", "fatal evi.listen: "),
        ("call-api", "ws_server: { host: '::', compat: strict }", "fatal ws_server.auth: "),
        ("call-cmd", "mi: { url: 'host:0' }", "fatal mi.url: "),
    ] {
        let ran = Place::new().with("a.yml", yml).run(tool, &["-check-config", "-config", "a.yml"]);
        assert!(ran.status == 1 && ran.log.last().unwrap().starts_with(expected), "{yml}: {ran:?}");
    }
    let ran = Place::new()
        .with("a.yml", "evi: { listen: 'sctp:1' }")
        .run("call-api-client", &["-check-config", "-config=a.yml"]);
    assert_eq!(ran.status, 0, "no matter to the client");
}

#[test]
fn a_daemon_that_cannot_start_says_why() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    for (yml, expected) in [
        (format!("ws_server: {{ host: 127.0.0.1, port: {port} }}"), format!("127.0.0.1:{port} is in use")),
        ("ws_server: { host: 0.0.0.0, compat: strict }".into(), "ws_server.auth: strict and open to others".into()),
        ("evi: { listen: 'sctp:1' }".into(), "evi.listen: ".into()),
        ("http: { listen: here }".into(), "http.listen: ".into()),
        ("ws_server: { tls: { certificate: a.pem, key: b.pem } }".into(), "a.pem: ".into()),
        ("ws_server: { auth: { tokens: [ { name: x, secret: short } ] } }".into(), "ws_server.auth.tokens: x: ".into()),
    ] {
        let ran =
            Place::new().with("a.yml", &yml).env("CALL_API_MI", "127.0.0.1:1").run("call-api", &["-config", "a.yml"]);
        assert_eq!(ran.status, 1, "{yml}: {ran:?}");
        assert!(ran.of_level("fatal").iter().any(|line| line.contains(&expected)), "{yml}: {ran:?}");
    }
}
