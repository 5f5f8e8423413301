//! What requests are called in the GenAI semantic conventions
//! (<https://opentelemetry.io/docs/specs/semconv/gen-ai/>), for metrics and for traces.

/// `gen_ai.operation.name` of a request to this endpoint.
#[must_use]
pub fn operation(endpoint: &str) -> &'static str {
    match endpoint {
        path if path.ends_with("/embeddings") => "embeddings",
        path if path.ends_with("/count_tokens") => "count_tokens",
        path if path.ends_with("/models/{id}") => "generate_content",
        path if path.ends_with("/completions") && !path.contains("/chat/") => "text_completion",
        _ => "chat",
    }
}

/// `error.type` of a request that went wrong: its status, or that its stream broke.
#[must_use]
pub fn error_type(status: u16, has_error: bool) -> Option<String> {
    match status {
        400.. => Some(status.to_string()),
        _ => has_error.then(|| "stream_error".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::operation;
    use crate::server::{ENDPOINTS, Operation};

    #[test]
    fn every_endpoint_that_asks_a_model_has_a_name() {
        let names = ENDPOINTS
            .iter()
            .filter(|endpoint| matches!(endpoint.operation, Operation::Proxy(_)))
            .map(|endpoint| (endpoint.path, operation(endpoint.path)));
        for (path, name) in names {
            let expected = match path {
                "/v1/embeddings" => "embeddings",
                "/v1/completions" => "text_completion",
                "/v1/messages/count_tokens" => "count_tokens",
                "/v1/models/{id}" | "/v1beta/models/{id}" => "generate_content",
                _ => "chat",
            };
            assert_eq!(name, expected, "{path}");
        }
    }
}
