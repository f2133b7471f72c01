//! `/dir[/<domain>[/<user>]]`: what the directory holds, and how it is changed.

use hookswitch_call::directory::{Directory, DirectoryError, UnnamedControl};

use super::body::{self, DomainBody};
use super::failure::Failure;
use super::{Request, Response};

const ALLOW: &str = "GET, HEAD, PUT, PATCH, DELETE";

pub(super) fn answer(request: Request<'_>, path: &[String], directory: &mut Directory) -> Result<Response, Failure> {
    let wrong_length = |what: &str| Err(Failure::path(400, what.to_owned()));
    match (request.method, path) {
        ("GET" | "HEAD", []) => describe(directory, ""),
        ("GET" | "HEAD", [domain]) => describe(directory, domain),
        ("PUT", [domain]) => put(directory, domain, request.body),
        ("PATCH", [domain]) => patch(directory, domain, request.body),
        ("PUT" | "PATCH", [domain, user]) => put_user(directory, domain, user, request.body),
        ("DELETE", [domain]) => delete(directory, domain),
        ("DELETE", [domain, user]) => delete_user(directory, domain, user),
        ("PUT" | "PATCH", []) => wrong_length("Path too short: name a domain"),
        ("DELETE", _) => wrong_length("Bad path: name a domain, or a domain and a user"),
        ("GET" | "HEAD" | "PUT" | "PATCH", _) => wrong_length("Path wrong length: /dir/<domain>/<user> is the longest"),
        _ => Err(Failure::method(ALLOW)),
    }
}

fn describe(directory: &Directory, domain: &str) -> Result<Response, Failure> {
    let found = directory.describe(domain).ok_or_else(|| no_such_domain(domain, 404))?;
    Ok(Response::json(200, &found))
}

fn put(directory: &mut Directory, domain: &str, body: &[u8]) -> Result<Response, Failure> {
    let body = DomainBody::read(body)?;
    body.require_all()?;
    let (layer, listed) = body.layer()?;
    match directory.put(domain, layer) {
        Ok(()) => Ok(Response::empty(201)),
        Err(error) => Err(Failure::directory(&error, 404, &body::place_of(&error, &listed))),
    }
}

fn patch(directory: &mut Directory, domain: &str, body: &[u8]) -> Result<Response, Failure> {
    let body = DomainBody::read(body)?;
    let (layer, listed) = body.layer()?;
    match directory.patch(domain, layer, body.unnamed()) {
        Ok(()) => Ok(Response::empty(200)),
        Err(error) => Err(Failure::directory(&error, 404, &body::place_of(&error, &listed))),
    }
}

/// One user is added or replaced, by PUT and PATCH alike; the others stay.
fn put_user(directory: &mut Directory, domain: &str, user: &str, body: &[u8]) -> Result<Response, Failure> {
    let layer = body::user(body, user)?;
    match directory.patch(domain, layer, UnnamedControl::Stays) {
        Ok(()) => Ok(Response::empty(200)),
        Err(error) => Err(Failure::directory(&error, 404, &body::place_of_one(&error))),
    }
}

fn delete(directory: &mut Directory, domain: &str) -> Result<Response, Failure> {
    // An unknown domain is a bad path, and has always been.
    directory.remove(domain).map_err(|error| Failure::directory(&error, 400, "path"))?;
    Ok(Response::empty(200))
}

fn delete_user(directory: &mut Directory, domain: &str, user: &str) -> Result<Response, Failure> {
    directory.remove_user(domain, user).map_err(|error| Failure::directory(&error, 404, "path"))?;
    Ok(Response::empty(200))
}

fn no_such_domain(domain: &str, status: u16) -> Failure {
    Failure::directory(&DirectoryError::NoSuchDomain(domain.into()), status, "path")
}
