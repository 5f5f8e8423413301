//! Who signs an entry's requests, where it has no key to send.

use std::sync::Arc;
use std::time::SystemTime;

use http::Request;

use super::aws::Role;
use super::client::{Client, Segments};
use super::rotating::Rotating;
use super::sigv4::{Signed, Signer};

/// Access keys of a role, renewed before their end.
pub type Keys = Rotating<Role>;

/// What signs.
#[derive(Debug, Clone)]
pub enum Signing {
    /// An access key.
    Key(Signer),
    /// The key of today.
    Role(Arc<Keys>),
}

impl Signing {
    /// Signs a request that is otherwise ready to go.
    ///
    /// # Errors
    /// Why it cannot be signed, for people.
    pub async fn sign(
        &self,
        client: &Client,
        request: &mut Request<Segments>,
        at: SystemTime,
    ) -> Result<(), String> {
        let today;
        let signer = match self {
            Self::Key(signer) => signer,
            Self::Role(keys) => {
                today = keys.current(client).await?;
                &*today
            }
        };
        let mut headers = std::mem::take(request.headers_mut());
        let signed = Signed { method: request.method(), uri: request.uri(), body: request.body().rest() };
        let result = signer.sign(signed, &mut headers, at);
        *request.headers_mut() = headers;
        result
    }
}
