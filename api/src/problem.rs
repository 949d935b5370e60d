//! Errors, as JSON.

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Response, StatusCode, header};
use axum::response::IntoResponse;
use control::{Code, Refusal};
use engine::{CommandError, FileError};
use serde_json::{Value, json};

/// Why a request is not done.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Problem {
    status: StatusCode,
    body: Value,
    /// A header that goes with it.
    header: Option<(HeaderName, HeaderValue)>,
}

impl Problem {
    /// The usual form: `{"error":"..."}`.
    pub(crate) fn new(status: StatusCode, why: impl Into<String>) -> Self {
        Self {
            status,
            body: json!({"error": why.into()}),
            header: None,
        }
    }

    /// The form of what concerns the overlay: `{"success":false,"error":"..."}`.
    pub(crate) fn unsuccessful(status: StatusCode, why: impl Into<String>) -> Self {
        Self {
            status,
            body: json!({"success": false, "error": why.into()}),
            header: None,
        }
    }

    /// What was asked cannot be.
    pub(crate) fn wrong(why: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, why)
    }

    /// What was named is not there.
    pub(crate) fn missing(why: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, why)
    }

    /// It was tried, and failed.
    pub(crate) fn failed(why: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, why)
    }

    /// The long form, with a class that programs know.
    pub(crate) fn of_class(status: StatusCode, (handled, class): (bool, &str), why: &str) -> Self {
        Self {
            status,
            body: json!({"error": {"handled": handled, "code": class, "message": why}}),
            header: None,
        }
    }

    /// There is no such path.
    pub(crate) fn no_path() -> Self {
        Self::of_class(StatusCode::NOT_FOUND, (false, "HTTPNotFound"), "Not Found")
    }

    /// The path has other methods.
    pub(crate) fn no_method(allowed: String) -> Self {
        let allowed = HeaderValue::try_from(allowed);
        let class = (false, "HTTPMethodNotAllowed");
        let why = "Method Not Allowed";
        Self {
            header: allowed.ok().map(|allowed| (header::ALLOW, allowed)),
            ..Self::of_class(StatusCode::METHOD_NOT_ALLOWED, class, why)
        }
    }

    /// The path is one of Tribler's, and what stands behind it is not there yet.
    pub(crate) fn not_there(feature: &str) -> Self {
        let why = format!("this build has no {feature}");
        Self {
            status: StatusCode::NOT_IMPLEMENTED,
            body: json!({"error": why, "feature": feature}),
            header: None,
        }
    }

    /// Another server did not give what was to be fetched.
    pub(crate) fn of_fetch(refusal: Refusal) -> Self {
        if refusal.code == Code::Failed {
            return Self::new(StatusCode::BAD_GATEWAY, refusal.message);
        }
        refusal.into()
    }

    /// There is no room for it now, as there may be when so many seconds have passed.
    pub(crate) fn later(why: impl Into<String>, seconds: u16) -> Self {
        Self {
            header: Some((header::RETRY_AFTER, HeaderValue::from(seconds))),
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, why)
        }
    }

    /// There is no such download.
    pub(crate) fn no_download() -> Self {
        Self::missing("this download does not exist")
    }

    /// The daemon ends.
    pub(crate) fn stopping() -> Self {
        let class = (false, "Exception");
        Self::of_class(
            StatusCode::SERVICE_UNAVAILABLE,
            class,
            "Tribler is shutting down",
        )
    }

    #[cfg(test)]
    pub(crate) const fn status(&self) -> StatusCode {
        self.status
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let status = match refusal.code {
            Code::Wrong | Code::Unknown => StatusCode::BAD_REQUEST,
            Code::NotFound => StatusCode::NOT_FOUND,
            Code::Ambiguous | Code::Duplicate => StatusCode::CONFLICT,
            Code::Busy | Code::Stopped | Code::NoRoute => StatusCode::SERVICE_UNAVAILABLE,
            Code::NoRoom => StatusCode::INSUFFICIENT_STORAGE,
            Code::Failed | Code::Other => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, refusal.message)
    }
}

impl From<CommandError> for Problem {
    fn from(error: CommandError) -> Self {
        if let CommandError::NoSuchTorrent = error {
            return Self::no_download();
        }
        if let CommandError::Stopped = error {
            return Self::stopping();
        }
        if let CommandError::NoRoom(_) = error {
            return Self::new(StatusCode::INSUFFICIENT_STORAGE, error.to_string());
        }
        Self::failed(error.to_string())
    }
}

impl From<FileError> for Problem {
    fn from(error: FileError) -> Self {
        if let FileError::Command(error) = error {
            return error.into();
        }
        if let FileError::NoSuchFile(_) = error {
            return Self::wrong("index out of range");
        }
        Self::failed(error.to_string())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response<Body> {
        let mut response = json_response(self.status, &self.body);
        if let Some((name, value)) = self.header {
            response.headers_mut().insert(name, value);
        }
        response
    }
}

/// An answer of JSON.
pub(crate) fn json_response(status: StatusCode, body: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// What handlers answer where all is well.
#[derive(Debug)]
pub(crate) struct Answer(pub(crate) Value);

impl IntoResponse for Answer {
    fn into_response(self) -> Response<Body> {
        json_response(StatusCode::OK, &self.0)
    }
}
