//! stub
use secrecy::SecretString;
use std::net::IpAddr;
use std::path::*;
use std::time::Duration;
use waypost_dialect::provider::Provider;
use waypost_routing::router::Mode;
#[derive(Debug, Clone)]
pub struct Listener {
    pub name: String,
    pub address: IpAddr,
    pub port: u16,
    pub first_byte_timeout: Duration,
    pub idle_timeout: Duration,
    pub body_timeout: Duration,
    pub max_body_bytes: usize,
}
#[derive(Debug, Clone)]
pub struct Config {
    pub listeners: Vec<Listener>,
    pub entries: Vec<ModelEntry>,
    pub default_entry: Option<usize>,
    pub aliases: Vec<Alias>,
    pub routes: Vec<RouteEntry>,
    pub routing: Routing,
}
#[derive(Debug, Clone)]
pub struct Alias {
    pub name: String,
    pub models: Vec<String>,
}
#[derive(Debug, Clone)]
pub struct RouteEntry {
    pub route: waypost_routing::preference::Route,
    pub models: Vec<String>,
}
#[derive(Debug, Clone)]
pub struct Routing {
    pub mode: Mode,
    pub deadline: Duration,
    pub arch_router: Option<ArchRouter>,
}
#[derive(Debug, Clone)]
pub struct ArchRouter {
    pub entry: usize,
    pub model: String,
}
#[derive(Debug, Clone)]
pub enum ModelPattern {
    Exact(String),
    Any,
}
#[derive(Debug, Clone)]
pub struct ModelEntry {
    pub name: String,
    pub provider: Provider,
    pub model: ModelPattern,
    pub key: Option<SecretString>,
    pub key_source: String,
    pub headers: Vec<(http::HeaderName, http::HeaderValue)>,
    pub host: Option<String>,
    pub passthrough_auth: bool,
}
#[derive(Debug)]
pub struct Environment;
impl Environment {
    pub fn of_process(_: &Path) -> Self {
        Self
    }
    pub fn of<const N: usize>(_: [(&str, &str); N]) -> Self {
        Self
    }
}
#[derive(Debug)]
pub struct Loaded {
    pub config: Config,
    pub warnings: Vec<String>,
}
pub fn load(_: &Path, _: &Environment) -> Result<Loaded, String> {
    todo!()
}
pub fn parse(_: &str, _: &str, _: &Environment) -> Result<Loaded, String> {
    todo!()
}
pub fn detect(_: &Environment) -> Option<Loaded> {
    todo!()
}
pub fn find(_: &Path) -> Option<PathBuf> {
    todo!()
}
pub fn json_schema() -> String {
    todo!()
}
