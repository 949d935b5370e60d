//! The description of the API, and a page that shows it. Whoever reads it needs no key.

mod archive;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, Response, StatusCode, header};
use axum::routing::get;
use utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED;

use crate::describe::shapes::map;
use crate::describe::{About, JSON};
use crate::problem::{Answer, Problem};
use crate::routes::{Served, route};
use crate::shared::Shared;

pub(crate) fn routes() -> Vec<Served> {
    let page = |summary| {
        let anything = serde_json::json!({"type": "string"});
        About::new(summary)
            .free()
            .answers_as(200, "text/html", anything)
    };
    let moved = About::new("Leads to the page that shows this document")
        .free()
        .answers_as(308, JSON, map(serde_json::json!({})));
    let file = About::new("A file of the page")
        .free()
        .answers_as(200, "*/*", serde_json::json!({}))
        .refuses(&[404]);
    let document = About::new("This document")
        .free()
        .answers(map(serde_json::json!({})));
    vec![
        // Whoever types where the API is wants to see it.
        route("GET", "/", get(lead), moved.clone()),
        route("GET", "/docs", get(lead), moved),
        route("GET", "/docs/", get(index), page("Shows this document")),
        route("GET", "/docs/swagger.json", get(description), document),
        route("GET", "/docs/{file}", get(file_of_page), file),
    ]
}

/// What the page may load: what comes from here.
const ONLY_FROM_HERE: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
    frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/// Has the page show the document; it keeps no key.
const BEGIN: &str = "window.onload = () => { window.ui = SwaggerUIBundle({\
    url: 'swagger.json', dom_id: '#swagger-ui', deepLinking: true, validatorUrl: null,\
    presets: [SwaggerUIBundle.presets.apis, SwaggerUIStandalonePreset],\
    layout: 'BaseLayout' }); };\n";

/// The file of the archive that begins to show the document, which is ours here.
const BEGINS: &str = "swagger-initializer.js";

/// Files of the page are named as if they were beside it.
async fn lead() -> Response<Body> {
    let mut response = Response::new(Body::from("{}"));
    *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
    let headers = response.headers_mut();
    headers.insert(header::LOCATION, HeaderValue::from_static("/docs/"));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(JSON));
    response
}

async fn index() -> Result<Response<Body>, Problem> {
    shown("index.html".to_owned()).await
}

async fn file_of_page(Path(file): Path<String>) -> Result<Response<Body>, Problem> {
    shown(file).await
}

async fn description(State(shared): State<Shared>) -> Answer {
    Answer(shared.0.document.clone())
}

/// A file of the page.
async fn shown(name: String) -> Result<Response<Body>, Problem> {
    let kind = mime_guess::from_path(&name).first_or_octet_stream();
    let read = move || {
        if name == BEGINS {
            return Some(BEGIN.as_bytes().to_vec());
        }
        // What is in a folder of the archive is none of the page's.
        let fits = !name.contains('/');
        archive::read(SWAGGER_UI_VENDORED, &format!("/dist/{name}")).filter(|_| fits)
    };
    let bytes = Shared::apart(read).await?;
    let bytes = bytes.ok_or_else(|| Problem::missing("the page has no such file"))?;
    let mut response = Response::new(Body::from(bytes));
    let headers = response.headers_mut();
    if let Ok(kind) = HeaderValue::from_str(kind.as_ref()) {
        headers.insert(header::CONTENT_TYPE, kind);
    }
    let policy = HeaderValue::from_static(ONLY_FROM_HERE);
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    headers.insert(
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    );
    Ok(response)
}

#[cfg(test)]
mod tests {
    use crate::testing::Scene;
    use crate::{Access, Key, Limits};

    #[tokio::test(flavor = "multi_thread")]
    async fn the_page_needs_no_key_and_loads_nothing_from_elsewhere() {
        let access = Access {
            key: Key::new("secret"),
            names: Vec::new(),
        };
        let scene = Scene::with(access, Limits::default()).await;
        let lead = scene.ask("GET", "/docs", b"").await;
        assert_eq!(
            (lead.status, lead.header("location")),
            (308, Some("/docs/"))
        );
        let root = scene.ask("GET", "/", b"").await;
        assert_eq!(
            (root.status, root.header("location")),
            (308, Some("/docs/"))
        );
        let page = scene.ask("GET", "/docs/", b"").await;
        assert_eq!(
            (page.status, page.header("content-type")),
            (200, Some("text/html"))
        );
        let policy = page.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'self';"), "{policy}");
        let text = String::from_utf8(page.body).unwrap();
        let kinds = ["js", "css", "png"].map(std::ffi::OsStr::new);
        let is_file = |word: &&str| {
            let kind = std::path::Path::new(word).extension();
            kind.is_some_and(|kind| kinds.contains(&kind))
        };
        let named = text.split(['"', '\'']).filter(is_file);
        let mut files = 0;
        for file in named {
            assert!(!file.contains("//"), "{file}");
            let path = format!("/docs/{}", file.trim_start_matches("./"));
            let reply = scene.ask("GET", &path, b"").await;
            assert!(reply.status == 200 && !reply.body.is_empty(), "{path}");
            files += 1;
        }
        assert!(files >= 4, "{text}");
        let script = scene.ask("GET", "/docs/swagger-initializer.js", b"").await;
        assert!(
            String::from_utf8(script.body)
                .unwrap()
                .contains("swagger.json")
        );
        let document = scene.ask("GET", "/docs/swagger.json", b"").await;
        assert_eq!(document.json["openapi"], "3.1.0");
        for path in ["/docs/nofile.js", "/docs/..%2fCargo.toml", "/docs/a/b"] {
            let reply = scene.ask("GET", path, b"").await;
            assert!(
                matches!(reply.status, 401 | 404),
                "{path}: {}",
                reply.status
            );
        }
    }
}
