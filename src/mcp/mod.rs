//! The tools an agent's CLI is given for its check-ins: an MCP server over two streams, one for
//! each attempt, started by the agent's CLI.
//!
//! **Invariant:** it speaks for the attempt in whose environment it runs and for no other; what it
//! cannot do it says to the model as a tool's error, and ends when its input does. Must not know:
//! how streams are opened, what becomes of a report.

mod tools;

use std::sync::Arc;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, Implementation, ListToolsResult,
    PaginatedRequestParams, ServerCapabilities, ServerConfig,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer, ServerHandler, ServiceExt};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::client::mail::{HangUp, Mail};

/// Why the tools could not be offered.
#[derive(Debug, thiserror::Error)]
pub enum McpError {
    /// Whoever is at the other end did not begin as the protocol wants.
    #[error("cannot offer tools: {why}")]
    Begin {
        /// Why.
        why: String,
    },
    /// It broke off.
    #[error("the tools broke off: {why}")]
    Broken {
        /// Why.
        why: String,
    },
}

/// Offers the tools until the input ends. An end before the first word is no error.
///
/// # Errors
/// [`McpError`].
pub async fn serve<R, W>(mail: Mail, input: R, output: W) -> Result<(), McpError>
where
    R: AsyncRead + Send + Unpin + 'static,
    W: AsyncWrite + Send + Unpin + 'static,
{
    let serving = match (Server { mail: Arc::new(mail) }).serve((input, output)).await {
        Ok(serving) => serving,
        Err(rmcp::service::ServerInitializeError::ConnectionClosed(_)) => return Ok(()),
        Err(error) => return Err(McpError::Begin { why: error.to_string() }),
    };
    serving.waiting().await.map(|_| ()).map_err(|error| McpError::Broken { why: error.to_string() })
}

struct Server {
    mail: Arc<Mail>,
}

/// Hangs up at the end of a call.
struct OnEnd(HangUp);

impl Drop for OnEnd {
    fn drop(&mut self) {
        self.0.now();
    }
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(Implementation::new("standup", env!("CARGO_PKG_VERSION")))
            .with_instructions(
                "How you report to the person who gave you this task. Check in at the rhythm your instructions name, \
                 whenever something is in your way, and with state \"ready\" when the work is done and committed.",
            )
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(tools::all()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        // However this ends: nobody must wait on for an answer that nobody reads.
        let taken_back = OnEnd(HangUp::default());
        let mail = self.mail.until(&taken_back.0);
        let call = tokio::task::spawn_blocking(move || {
            let given = serde_json::Value::Object(request.arguments.unwrap_or_default());
            tools::call(&mail, &request.name, given)
        });
        let done = tokio::select! {
            done = call => done.map_err(|error| ErrorData::internal_error(error.to_string(), None))?,
            () = context.ct.cancelled() => Err("it was taken back".to_owned()),
        };
        let result = match done {
            Ok(text) => CallToolResult::success(vec![ContentBlock::text(text)]),
            Err(why) => CallToolResult::error(vec![ContentBlock::text(why)]),
        };
        Ok(result.into())
    }
}
