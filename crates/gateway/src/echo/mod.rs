//! stub
#[derive(Debug, Default)]
pub struct EchoOptions;
pub async fn serve(
    _: tokio::net::TcpListener,
    _: EchoOptions,
    _: impl Future<Output = ()>,
) -> std::io::Result<()> {
    Ok(())
}
